package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Shifter mounts a container's overlay for its user namespace. The host does it, inside the child's mount namespace, since an overlay
// mounted by the namespace's own root would not honour trusted.overlay.opaque: deleted files would come back. Each layer is
// shown through an id-mapped mount, mount_setattr(2): no file is changed or copied. What the container writes is kept under the
// shifted ids, so its directory is given to the namespace's root first.
type Shifter struct {
	layers *Layers
	pid    func() int // of the child, known once it is made
	work   chan func()
	userns int
	tree   int
}

// NewShifter prepares for a child that is not made yet.
func NewShifter(l *Layers, pid func() int) *Shifter { return &Shifter{layers: l, pid: pid} }

// Requests are the host's half, between the writing of the id maps and the child's going on. uid and gid are the namespace's root on the host.
func (s *Shifter) Requests(uid, gid uint32) []program.Request {
	l := s.layers
	var out []program.Request
	ask := func(call, why string, do func() error) {
		out = append(out, program.Request{Call: call, From: "linux.uidMappings", Why: why, Do: do})
	}
	for _, dir := range []string{l.Upper, l.Work} {
		if dir != "" {
			ask(fmt.Sprintf("fchownat(AT_FDCWD, %q, %d, %d, 0)", dir, uid, gid), "what the container writes belongs to its root",
				func() error { return unix.Fchownat(unix.AT_FDCWD, dir, int(uid), int(gid), 0) })
		}
	}
	ask("setns(<child's mount namespace>, CLONE_NEWNS)", "enter the container's mount namespace, as the host's root", s.enter)
	ask(fmt.Sprintf(`mount("tmpfs", %q, "tmpfs", 0, "mode=700")`, l.Mount), "a place for the layers, seen in that namespace only", s.there(func() error {
		return unix.Mount("tmpfs", l.Mount, "tmpfs", 0, "mode=700")
	}))
	ask(fmt.Sprintf("chdir(%q)", l.Mount), "stand in it", s.there(func() error { return unix.Chdir(l.Mount) }))
	for i, layer := range l.Lower {
		name := strconv.Itoa(i)
		ask(fmt.Sprintf("mkdirat(AT_FDCWD, %q, 0700)", name), "a mount point for the layer", s.there(func() error { return unix.Mkdirat(unix.AT_FDCWD, name, 0o700) }))
		ask(fmt.Sprintf("open_tree(AT_FDCWD, %q, OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC)", layer), "take the layer as a mount of its own", s.there(func() (err error) {
			s.tree, err = unix.OpenTree(unix.AT_FDCWD, layer, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
			return err
		}))
		out[len(out)-1].Gives = "<layer>"
		ask(`mount_setattr(<layer>, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_IDMAP, attr_clr=0, propagation=0 /* MS_??? */, userns_fd=<user namespace>}, 32)`,
			"show its files' owners as the user namespace counts them", s.there(func() error {
				return unix.MountSetattr(s.tree, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(s.userns)})
			}))
		ask(fmt.Sprintf(`move_mount(<layer>, "", AT_FDCWD, %q, MOVE_MOUNT_F_EMPTY_PATH)`, name), "attach it: overlay on a detached one is refused before Linux 6.5", s.there(func() error {
			defer unix.Close(s.tree)
			return unix.MoveMount(s.tree, "", unix.AT_FDCWD, name, unix.MOVE_MOUNT_F_EMPTY_PATH)
		}))
	}
	data := l.data(numbers(len(l.Lower)))
	ask(fmt.Sprintf(`mount("overlay", %q, "overlay", 0, %q)`, l.Mount, data), "lay the container's writable directory over the shifted layers", s.there(func() error {
		return unix.Mount("overlay", l.Mount, "overlay", 0, data)
	}))
	return out
}

func numbers(n int) []string {
	var names []string
	for i := range n {
		names = append(names, strconv.Itoa(i))
	}
	return names
}

// enter starts the thread that lives in the child's mount namespace. Changing the mount namespace of one thread is allowed once it
// no longer shares root and working directory with the others, setns(2).
func (s *Shifter) enter() error {
	proc := filepath.Join("/proc", strconv.Itoa(s.pid()), "ns")
	user, err := os.Open(filepath.Join(proc, "user"))
	if err != nil {
		return err
	}
	mnt, err := os.Open(filepath.Join(proc, "mnt"))
	if err != nil {
		user.Close()
		return err
	}
	defer mnt.Close()
	s.work = make(chan func())
	entered := make(chan error)
	program.Apart(func() {
		err := unix.Unshare(unix.CLONE_FS)
		if err == nil {
			err = unix.Setns(int(mnt.Fd()), unix.CLONE_NEWNS)
		}
		entered <- err
		if err == nil {
			for do := range s.work {
				do()
			}
		}
		user.Close()
	})
	s.userns = int(user.Fd())
	if err := <-entered; err != nil {
		s.work = nil
		return err
	}
	return nil
}

// there makes a function run on that thread.
func (s *Shifter) there(do func() error) func() error {
	return func() error {
		answer := make(chan error)
		s.work <- func() { answer <- do() }
		return <-answer
	}
}

// Leave ends the thread; the mounts stay as long as the container.
func (s *Shifter) Leave() {
	if s != nil && s.work != nil {
		close(s.work)
		s.work = nil
	}
}
