package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"glassbox/linux"
	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// mounts are the detached mounts by what they are for: slots, or descriptors of the host's where the host has taken them.
type mounts map[string]any

// Take is something of the host's that a container shows.
type Take struct {
	For       string // mounts[3], or the path of a device
	From      string
	Source    string
	Subpath   string // what of the source is shown; empty: all
	Recursive bool
	Owners    *Owners // as whom it shows the files' owners; nil: as they are
	Why       string

	host bool // the host takes it: only it may, or can change the owners
	peer bool // mounts below it are passed on between host and container
}

// Host is the descriptor of a take that the host makes.
func (t Take) Host() program.Host { return program.Host(t.For) }

// ByHost says whether the host makes it, before the child exists.
func (t Take) ByHost() bool { return t.host }

// flags for open_tree(2).
func (t Take) flags() int {
	f := unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | recursive(t.Recursive)
	if t.Subpath != "" {
		f |= unix.AT_EMPTY_PATH
	}
	return f
}

// path is where the host finds it, if nobody changes a link meanwhile: good for looking, not for taking.
func (t Take) path() string { return filepath.Join(t.Source, t.Subpath) }

// Takes lists them.
func (t *Tree) Takes() ([]Take, error) {
	var list []Take
	for i, m := range t.Spec.Mounts {
		source, recursive, ok := t.bound(m)
		o := parse(m.Options)
		owners, err := t.owners(m, o)
		if err == nil {
			err = o.check()
		}
		if err != nil {
			return nil, fmt.Errorf("%s.%w", step(i), err)
		}
		if !ok || o.remount {
			continue
		}
		take := Take{
			For: step(i), From: step(i) + ".source", Source: source, Subpath: o.subpath, Recursive: recursive, Owners: owners,
			Why: "take hold of " + source + " on the host", host: t.Shift && !t.Alone || owners != nil,
			peer: slices.ContainsFunc(o.propagation, func(p propagation) bool { return p.kind&(unix.MS_SHARED|unix.MS_SLAVE) != 0 }),
		}
		if _, known := t.Kinds[take.path()]; !known && source != t.Cgroup {
			return nil, fmt.Errorf("%s: bind source %s does not exist", step(i), take.path())
		}
		list = append(list, take)
	}
	if t.UserNS && !t.Still {
		for _, d := range t.shownDevices() {
			list = append(list, Take{For: d.Path, From: d.from, Source: d.host, host: t.Shift && !t.Alone, Why: "take hold of the host's device: mknod is not for a user namespace"})
		}
	}
	return list, nil
}

// take compiles the taking as the child does it. What is below a source is found from its descriptor and never outside of it.
func (t Take) take(b *program.Builder) program.Slot {
	b.From("%s", t.From)
	if t.Subpath == "" {
		return b.Call(unix.SYS_OPEN_TREE, unix.AT_FDCWD, t.Source, t.flags()).Why("%s", t.Why).Keep()
	}
	base := b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, t.Source, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC).Why("hold %s on the host", t.Source).Keep()
	how := openHow(unix.O_PATH|unix.O_CLOEXEC, beneath)
	part := b.Call(unix.SYS_OPENAT2, base, t.Subpath, how, len(how)).Why("%s", partly).Keep()
	b.Close(base)
	tree := b.Call(unix.SYS_OPEN_TREE, part, "", t.flags()).Why("take hold of it").Keep()
	b.Close(part)
	return tree
}

const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS

const partly = "find what is asked for below it: whatever links lie there, none can lead out"

// Requests are the take as the host makes it: the root of a user namespace may not pass through the host's private directories.
func (t Take) Requests(keep func(program.Host, *os.File)) []program.Request {
	take := program.Request{
		Call: fmt.Sprintf("open_tree(AT_FDCWD, %q, %s)", t.Source, linux.OpenTreeFlags.Join(uint64(t.flags()), "OPEN_TREE_???")), From: t.From, Why: t.Why,
		Gives: "<" + t.For + ">",
		Do: func() error {
			fd, err := unix.OpenTree(unix.AT_FDCWD, t.Source, uint(t.flags()))
			if err == nil {
				keep(t.Host(), os.NewFile(uintptr(fd), t.Source))
			}
			return err
		},
	}
	if t.Subpath == "" {
		return []program.Request{take}
	}
	base, part := -1, -1
	take.Call = fmt.Sprintf(`open_tree(<part>, "", %s)`, linux.OpenTreeFlags.Join(uint64(t.flags()), "OPEN_TREE_???"))
	take.Do = func() error {
		defer unix.Close(part)
		fd, err := unix.OpenTree(part, "", uint(t.flags()))
		if err == nil {
			keep(t.Host(), os.NewFile(uintptr(fd), t.path()))
		}
		return err
	}
	return []program.Request{{
		Call: fmt.Sprintf("openat(AT_FDCWD, %q, O_PATH|O_DIRECTORY|O_CLOEXEC)", t.Source), From: t.From, Why: "hold " + t.Source + " on the host", Gives: "<source>",
		Do: func() (err error) {
			base, err = unix.Open(t.Source, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			return err
		},
	}, {
		Call: fmt.Sprintf("openat2(<source>, %q, {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_NO_MAGICLINKS|RESOLVE_BENEATH}, 24)", t.Subpath), From: t.From, Why: partly, Gives: "<part>",
		Do: func() (err error) {
			defer unix.Close(base)
			part, err = unix.Openat2(base, t.Subpath, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: beneath})
			return err
		},
	}, take}
}

// gather compiles the taking of what else the host gives, while its paths can still be named, and the making of new file systems, in the
// order of config.json, which is the order in which lists of mounts show them. A user namespace gets a proc and a sysfs only while it sees
// one already (mount_too_revealing, fs/namespace.c); the path of a block device is one of the host's. What is to pass mounts on between host
// and container, a peer, must be taken while the host's mounts do: so with one of them, this comes first.
func (t *Tree) gather(b *program.Builder, takes []Take, held mounts) {
	byName, peers := map[string]Take{}, false
	for _, take := range takes {
		byName[take.For] = take
		peers = peers || take.peer
	}
	for i, m := range t.Spec.Mounts {
		take, taken := byName[step(i)]
		switch {
		case held[step(i)] != nil:
		case taken:
			held[step(i)] = take.get(b)
			if !take.peer && (t.Foreign || peers) {
				setAttr(b, held[step(i)], unix.AT_RECURSIVE, attributes{}, unix.MS_SLAVE, "what is mounted below it stays invisible to others")
			}
		case t.isNew(m):
			held[step(i)] = t.fileSystem(b, i)
		}
	}
	for _, take := range takes {
		if held[take.For] == nil { // a device
			held[take.For] = take.get(b)
		}
	}
	t.privateProc(b)
}

// get compiles the taking, or names what the host has taken.
func (t Take) get(b *program.Builder) any {
	if t.ByHost() {
		return t.Host()
	}
	return t.take(b)
}

// Sources are the host's paths that a start looks at beforehand: those that a container's bind mounts show, those that may have to stand in
// for a file system which a user namespace cannot mount, and those of the kernel that are to be hidden.
func Sources(spec *specs.Spec, dir string) []string {
	t := Tree{Spec: spec, Dir: dir}
	list := []string{"/proc", "/sys", kcore}
	if spec.Linux != nil { // what is the kernel's is the same in the container
		for _, p := range spec.Linux.MaskedPaths {
			if strings.HasPrefix(p, "/proc/") || strings.HasPrefix(p, "/sys/") {
				list = append(list, filepath.Clean(p))
			}
		}
	}
	for _, m := range spec.Mounts {
		if source, _, ok := t.bound(m); ok {
			list = append(list, filepath.Join(source, parse(m.Options).subpath))
		}
	}
	return list
}

// bound says whether a mount shows something of the host, and what. In a user namespace that shares the host's network, sysfs cannot be
// mounted; with the host's PIDs, proc cannot: the host's own is shown in their place.
func (t *Tree) bound(m specs.Mount) (source string, recursive, ok bool) {
	o := parse(m.Options)
	switch {
	case o.bind || m.Type == "bind":
		return t.absolute(m.Source), o.recursive || m.Type == "bind" && !o.bind, true
	case m.Type == "sysfs" && t.UserNS && !t.OwnNet:
		return "/sys", true, true
	case m.Type == "proc" && t.UserNS && !t.OwnPID:
		return "/proc", true, true
	case (m.Type == "cgroup2" || m.Type == "cgroup") && t.Cgroup != "":
		return t.Cgroup, false, true // what a new mount of cgroup2 would show, without its 10 ms in the kernel
	}
	return "", false, false
}
