package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"glassbox/archive"
	"glassbox/program"
	"glassbox/rootfs"

	"golang.org/x/sys/unix"
)

// pausing gives a tree what it needs to have the host do something in the middle of the files: a gate, and what the child holds there.
func (p *Plan) pausing(tree *rootfs.Tree, b *phases) {
	tree.Pause = func(gate, why string, half ...program.Request) {
		b.Gate(gate, why)
		b.next("files", "The container's file tree goes on.").Host = half
	}
	tree.Answer = func(s program.Slot) int { return int(p.process.Slot(s)) }
	tree.Fetch = func(number int) (*os.File, error) {
		fd, err := unix.PidfdGetfd(int(p.process.Pidfd.Fd()), number, 0)
		return os.NewFile(uintptr(fd), "fetched"), err
	}
	tree.Copy = func(to, from *os.File) error {
		return p.asRoot(func() error {
			_, err := archive.Copy(to, from)
			return err
		})
	}
}

// asRoot makes files as the root of the child's user namespace, whatever that is on the host.
func (p *Plan) asRoot(do func() error) error {
	uid, err := rootIn(p.process.Pid, "uid_map")
	if err != nil {
		return err
	}
	gid, err := rootIn(p.process.Pid, "gid_map")
	switch {
	case err != nil:
		return err
	case uid == 0 && gid == 0:
		return do()
	}
	return program.As(uid, gid, do)
}

// rootIn is who the namespace's root is on the host, user_namespaces(7).
func rootIn(pid int, file string) (int, error) {
	path := filepath.Join("/proc", strconv.Itoa(pid), file)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var inside, outside, count int
		if _, err := fmt.Sscan(line, &inside, &outside, &count); err == nil && inside == 0 && count > 0 {
			return outside, nil
		}
	}
	return 0, fmt.Errorf("%s: nobody is root there", path)
}
