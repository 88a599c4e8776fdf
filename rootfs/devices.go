package rootfs

import (
	"fmt"
	"path"
	"slices"
	"strings"

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

// deviceTypes are the values of linux.devices[].type.
var deviceTypes = map[string]uint32{"c": unix.S_IFCHR, "u": unix.S_IFCHR, "b": unix.S_IFBLK, "p": unix.S_IFIFO}

// deviceList is what config.json and the runtime spec ask for, each path once. What a mount will cover is left out, and so is /dev/ptmx,
// which is a link into the container's own terminals.
func (t *Tree) deviceList() []device {
	var list []device
	named := map[string]bool{"/dev/ptmx": true}
	add := func(d device) {
		d.Path = destination(specs.Mount{Destination: d.Path})
		mounted := slices.ContainsFunc(t.Spec.Mounts, func(m specs.Mount) bool { return destination(m) == d.Path })
		if !named[d.Path] && !mounted {
			list = append(list, d)
		}
		named[d.Path] = true
	}
	if t.Spec.Linux != nil {
		for i, d := range t.Spec.Linux.Devices {
			add(device{d, path.Clean(d.Path), fmt.Sprintf("linux.devices[%d]", i)})
		}
	}
	for _, d := range always {
		p := "/dev/" + d.name
		add(device{specs.LinuxDevice{Path: p, Type: "c", Major: d.major, Minor: d.minor}, p, ""})
	}
	return list
}

// shownDevices are those that a user namespace may not make itself: the host's are shown in their place. A FIFO is no device to mknod(2).
func (t *Tree) shownDevices() []device {
	return slices.DeleteFunc(t.deviceList(), func(d device) bool { return d.Type == "p" })
}

func (t *Tree) checkDevices() error {
	if t.Spec.Linux == nil {
		return nil
	}
	first := map[string]specs.LinuxDevice{}
	for i, d := range t.Spec.Linux.Devices {
		from := fmt.Sprintf("linux.devices[%d]", i)
		if _, known := deviceTypes[d.Type]; !known {
			return fmt.Errorf("%s.type: unknown device type %q", from, d.Type)
		}
		if !path.IsAbs(d.Path) {
			return fmt.Errorf("%s.path: %q is not absolute", from, d.Path)
		}
		p := path.Clean(d.Path)
		if o, twice := first[p]; twice && (o.Type != d.Type || o.Major != d.Major || o.Minor != d.Minor) {
			return fmt.Errorf("%s.path: %s is two different devices", from, p)
		}
		first[p] = d
	}
	return nil
}

// devices compiles the device files. As host root they are made with mknod; in a user namespace the host's are shown in their place.
func (t *Tree) devices(b *program.Builder, held mounts) {
	in, dir := "", program.Slot(0) // the directory of the last one is held until another is needed
	defer func() {
		if in != "" {
			b.Close(dir)
		}
	}()
	for _, d := range t.deviceList() {
		b.From("%s", d.from)
		if tree, ok := held[d.Path]; ok {
			t.file(b, d.Path)
			t.place(b, specs.Mount{Destination: d.Path, Source: d.host, Type: "bind"}, tree, t.hold(b, d.Path, 0, unix.RESOLVE_NO_SYMLINKS, "hold the empty file"))
			continue
		}
		if parent := path.Dir(d.Path); parent != in {
			if in != "" {
				b.Close(dir)
			}
			t.directories(b, parent)
			in, dir = parent, t.hold(b, parent, unix.O_DIRECTORY, 0, "hold the directory of devices")
		}
		t.makeDevice(b, d, dir)
	}
}

// makeDevice compiles one, in its directory. Whose directory it is decides what may be there already: in a tmpfs made by this program there is nothing. What
// an image has in its place may be anything, a link or a wrong device, and goes. A directory of the host's keeps what it has.
func (t *Tree) makeDevice(b *program.Builder, d device, dir program.Slot) {
	kind := deviceTypes[d.Type]
	mode := uint32(0o666)
	if d.FileMode != nil {
		mode = uint32(d.FileMode.Perm())
	}
	number := 0
	if kind != unix.S_IFIFO {
		number = int(unix.Mkdev(uint32(d.Major), uint32(d.Minor)))
	}
	name := path.Base(d.Path)
	made := func(as string) program.Added {
		return b.Call(unix.SYS_MKNODAT, dir, as, kind|mode, number).Why("the device %s", d.Path)
	}
	owned := d.UID != nil && *d.UID != 0 || d.GID != nil && *d.GID != 0
	owner := func(of string) {
		if owned {
			b.Call(unix.SYS_FCHOWNAT, dir, of, id(d.UID), id(d.GID), unix.AT_SYMLINK_NOFOLLOW).Why("its owner")
		}
	}
	switch whose := t.directoryOf(d.Path); {
	case whose == ours:
		made(name)
		owner(name)
	case whose == images:
		b.Call(unix.SYS_UNLINKAT, dir, name, 0).Tolerate(unix.ENOENT).Why("what the image has there is not to be trusted")
		made(name).Tolerate(unix.EEXIST) // by another start from the same directory
		owner(name)
	case !owned:
		made(name).Tolerate(unix.EEXIST)
	default:
		temporary := ".glassbox-" + name
		made(temporary)
		owner(temporary)
		b.Call(unix.SYS_LINKAT, dir, temporary, dir, name, 0).Tolerate(unix.EEXIST).Why("under its name, unless the host has one there")
		b.Call(unix.SYS_UNLINKAT, dir, temporary, 0).Why("and under no other")
	}
}

// Whose a directory of the container is.
type owner int

const (
	images owner = iota
	ours         // a new tmpfs: empty
	hosts        // bound from the host, or otherwise given
)

// directoryOf says whose the directory of a path is, by the mount in which it is.
func (t *Tree) directoryOf(p string) owner {
	whose, longest := images, ""
	for _, m := range t.Spec.Mounts {
		at := destination(m)
		if len(at) < len(longest) || !strings.HasPrefix(path.Dir(p)+"/", at+"/") {
			continue
		}
		longest, whose = at, hosts
		if o := parse(m.Options); m.Type == "tmpfs" && !o.bind && !o.copyUp && !o.remount {
			whose = ours
		} else if m.Type == "tmpfs" && o.copyUp {
			whose = images
		}
	}
	return whose
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
	t.directories(b, "/dev")
	dev := t.hold(b, "/dev", unix.O_DIRECTORY, 0, "hold /dev")
	for _, l := range [][2]string{
		{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}, {kcore, "core"},
	} {
		if _, known := t.Kinds[l[0]]; l[0] == kcore && !known {
			continue // this kernel was built without it
		}
		b.Call(unix.SYS_SYMLINKAT, l[0], dev, l[1]).Tolerate(unix.EEXIST).Why("/dev/%s is a link into /proc", l[1])
	}
	if t.ownTerminals() {
		if t.directoryOf("/dev/ptmx") == images {
			b.Call(unix.SYS_UNLINKAT, dev, "ptmx", 0).Tolerate(unix.ENOENT).Why("the image's would be another's terminals")
		}
		b.Call(unix.SYS_SYMLINKAT, "pts/ptmx", dev, "ptmx").Tolerate(unix.EEXIST).Why("new terminals come from the container's own /dev/pts")
	}
	b.Close(dev)
}

const kcore = "/proc/kcore"

func (t *Tree) ownTerminals() bool {
	return slices.ContainsFunc(t.Spec.Mounts, func(m specs.Mount) bool { return m.Type == "devpts" })
}
