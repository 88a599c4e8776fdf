package rootfs

import (
	"fmt"
	"path"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// device is one device file of the container.
type device struct {
	specs.LinuxDevice
	host string // where the same device is on the host, for a user namespace
	from string
}

// always are the devices that the runtime spec asks for in every container.
var always = []struct {
	name         string
	major, minor int64
}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}}

func (t *Tree) deviceList() []device {
	var list []device
	named := map[string]bool{}
	if t.Spec.Linux != nil {
		for i, d := range t.Spec.Linux.Devices {
			d.Path = path.Clean(d.Path)
			named[d.Path] = true
			list = append(list, device{d, d.Path, fmt.Sprintf("linux.devices[%d]", i)})
		}
	}
	for _, d := range always {
		if p := "/dev/" + d.name; !named[p] {
			list = append(list, device{specs.LinuxDevice{Path: p, Type: "c", Major: d.major, Minor: d.minor}, p, ""})
		}
	}
	return list
}

// devices compiles the device files. As host root they are made with mknod; in a user namespace the host's are shown in their place.
func (t *Tree) devices(b *program.Builder, held mounts) error {
	for _, d := range t.deviceList() {
		b.From("%s", d.from)
		if tree, ok := held[d.Path]; ok {
			t.file(b, d.Path)
			place(b, tree, hold(b, d.Path, 0, 0, "hold the empty file"), "show the host's "+d.host)
			continue
		}
		if err := t.makeDevice(b, d); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) makeDevice(b *program.Builder, d device) error {
	kind, ok := map[string]uint32{"c": unix.S_IFCHR, "u": unix.S_IFCHR, "b": unix.S_IFBLK, "p": unix.S_IFIFO}[d.Type]
	if !ok {
		return fmt.Errorf("%s: unknown device type %q", d.from, d.Type)
	}
	mode := uint32(0o666)
	if d.FileMode != nil {
		mode = uint32(d.FileMode.Perm())
	}
	t.directories(b, path.Dir(d.Path))
	inside(b, d.Path, func(dir any, name string) {
		b.Call(unix.SYS_MKNODAT, dir, name, kind|mode, int(unix.Mkdev(uint32(d.Major), uint32(d.Minor)))).
			Tolerate(unix.EEXIST).Why("the device %s", d.Path)
		if d.UID != nil || d.GID != nil {
			b.Call(unix.SYS_FCHOWNAT, dir, name, id(d.UID), id(d.GID), unix.AT_SYMLINK_NOFOLLOW).Why("its owner")
		}
	})
	return nil
}

func id(p *uint32) int {
	if p == nil {
		return 0
	}
	return int(*p)
}

// links compiles the links of /dev that the runtime spec lists.
func (t *Tree) links(b *program.Builder) {
	b.From("")
	dev := hold(b, "/dev", unix.O_DIRECTORY, 0, "hold /dev")
	for _, l := range [][2]string{
		{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}, {kcore, "core"},
	} {
		if _, known := t.Kinds[l[0]]; l[0] == kcore && !known {
			continue // this kernel was built without it
		}
		b.Call(unix.SYS_SYMLINKAT, l[0], dev, l[1]).Tolerate(unix.EEXIST).Why("/dev/%s is a link into /proc", l[1])
	}
	if t.ownTerminals() {
		b.Call(unix.SYS_SYMLINKAT, "pts/ptmx", dev, "ptmx").Tolerate(unix.EEXIST).Why("new terminals come from the container's own /dev/pts")
	}
	b.Close(dev)
}

const kcore = "/proc/kcore"

func (t *Tree) ownTerminals() bool {
	for _, m := range t.Spec.Mounts {
		if m.Type == "devpts" {
			return true
		}
	}
	return false
}
