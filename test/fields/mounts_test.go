package fields

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestMounts(t *testing.T) {
	need.SecondKernel(t)
	check(t, mountsRows)
}

// on adds a mount at /mnt.
func on(kind, source string, options ...string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/mnt", Type: kind, Source: source, Options: options})
	}
}

// memoryAt adds a tmpfs at /mnt.
func memoryAt(options ...string) func(*specs.Spec) { return on("tmpfs", "tmpfs", options...) }

// data adds a bind mount at /mnt of a directory with a file, owned by 1000 and 1001.
func data(options ...string) func(*testing.T, *box) {
	return func(t *testing.T, b *box) {
		b.file(t, "data/file", "text")
		for _, name := range []string{"data", "data/file"} {
			if err := os.Chown(b.Path(name), 1000, 1001); err != nil {
				t.Fatal(err)
			}
		}
		on("bind", "data", options...)(b.Spec)
	}
}

// file leaves a file of the bundle.
func (b *box) file(t *testing.T, name, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(b.Path(name)), 0o755)
	if err == nil {
		err = os.WriteFile(b.Path(name), []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// image makes something in the container's root file system.
func image(make func(root string) error) func(*testing.T, *box) {
	return func(t *testing.T, b *box) {
		if err := make(b.Root("")); err != nil {
			t.Fatal(err)
		}
	}
}

// both are two ways to prepare.
func both(a, b func(*testing.T, *box)) func(*testing.T, *box) {
	return func(t *testing.T, bundle *box) {
		a(t, bundle)
		b(t, bundle)
	}
}

// edited prepares by an edit.
func edited(edit func(*specs.Spec)) func(*testing.T, *box) {
	return func(_ *testing.T, b *box) { edit(b.Spec) }
}

// every line of mountinfo has these options of the mount, and with ! before a word not that one.
func every(lines int, words ...string) func(*testing.T, string) {
	return func(t *testing.T, out string) {
		all := strings.Split(out, "\n")
		if len(all) < lines {
			t.Errorf("%d mounts, want at least %d:\n%s", len(all), lines, out)
		}
		for _, line := range all {
			has := strings.Split(strings.Fields(line)[2], ",")
			for _, w := range words {
				if word, not := strings.CutPrefix(w, "!"); slices.Contains(has, word) == not {
					t.Errorf("want %s in: %s", w, line)
				}
			}
		}
	}
}

// holds says that what is printed holds these pieces.
func holds(pieces ...string) func(*testing.T, string) {
	return func(t *testing.T, out string) {
		for _, p := range pieces {
			if !strings.Contains(out, p) {
				t.Errorf("want %q in:\n%s", p, out)
			}
		}
	}
}

var sysAdmin = []string{"CAP_SYS_ADMIN"}

const (
	mnt   = "probe mountinfo /mnt"
	below = "probe mountinfo /mnt /mnt/fs/cgroup"
)

func masked(paths ...string) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, paths...) }
}

func readOnly(paths ...string) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, paths...) }
}

func sysctl(name, value string) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{name: value} }
}

func device(d specs.LinuxDevice) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Linux.Devices = append(s.Linux.Devices, d) }
}

// noDev leaves /dev as the image has it.
func noDev(s *specs.Spec) {
	s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == "/dev" })
}

func terminals(options ...string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/dev/pts", Type: "devpts", Source: "devpts",
			Options: append([]string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}, options...)})
	}
}

func edits(list ...func(*specs.Spec)) func(*specs.Spec) {
	return func(s *specs.Spec) {
		for _, edit := range list {
			edit(s)
		}
	}
}

func maps(container, host, size uint32) []specs.LinuxIDMapping {
	return []specs.LinuxIDMapping{{ContainerID: container, HostID: host, Size: size}}
}

// owned gives the last mount maps of its own.
func owned(uid, gid []specs.LinuxIDMapping) func(*testing.T, *box) {
	return edited(func(s *specs.Spec) {
		m := &s.Mounts[len(s.Mounts)-1]
		m.UIDMappings, m.GIDMappings = uid, gid
	})
}

var mountsRows = []row{
	{name: "proc", inside: "probe mountinfo /proc", prints: "/proc proc rw,nosuid,nodev,noexec,relatime [] rw"},
	{name: "the order is config.json's", prepare: data("bind"), inside: "cut -d' ' -f5 /proc/self/mountinfo", prints: "/\n/proc\n/dev\n/sys\n/mnt"},
	{name: "options of a new file system", edit: memoryAt("nosuid", "nodev", "noexec", "nodiratime", "noatime", "nosymfollow", "size=64k", "mode=711"),
		inside: mnt, check: holds("/mnt tmpfs rw,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow", "size=64k,mode=711")},
	{name: "several options in one word", here: true, edit: memoryAt("size=64k,mode=711"), inside: mnt, check: holds("size=64k,mode=711")},
	{name: "ro of a new file system", here: true, edit: memoryAt("ro", "mode=755"), inside: mnt, check: holds("/mnt tmpfs ro,relatime [] ro")},
	{name: "sync, dirsync and lazytime", here: true, edit: memoryAt("sync", "dirsync", "lazytime"), inside: "grep ' /mnt ' /proc/self/mountinfo", check: holds("sync,dirsync", "lazytime")},
	{name: "async, nolazytime, nomand, loud, noiversion and defaults", here: true, edit: memoryAt("sync", "async", "lazytime", "nolazytime", "nomand", "loud", "noiversion", "defaults"), inside: mnt,
		check: holds("/mnt tmpfs rw,relatime [] rw")},
	{name: "silent and iversion", edit: memoryAt("silent", "iversion", "size=64k"), inside: mnt, check: holds("/mnt tmpfs", "size=64k")},
	{name: "of two words the later counts", here: true, edit: memoryAt("ro", "rw", "noexec", "exec", "nosuid", "suid", "nodev", "dev", "noatime", "atime", "nodiratime", "diratime", "nosymfollow", "symfollow"),
		inside: mnt, check: holds("/mnt tmpfs rw,relatime []")},
	{name: "strictatime", here: true, edit: memoryAt("strictatime"), inside: mnt, check: every(1, "!relatime", "!noatime")},
	{name: "nostrictatime", here: true, edit: memoryAt("strictatime", "nostrictatime"), inside: mnt, check: every(1, "relatime")},
	{name: "norelatime", here: true, edit: memoryAt("norelatime"), inside: mnt, check: every(1, "relatime")},
	{name: "an option that the file system does not know", edit: memoryAt("sized=4"), refused: "mounts[3]"},
	{name: "a file system that the kernel does not know", edit: on("nonsense", "x"), refused: "mounts[3]"},
	{name: "a destination without a slash", here: true, edit: func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "mnt/deep/er", Type: "tmpfs", Source: "here"})
	}, inside: "probe mountinfo /mnt/deep/er", check: holds("/mnt/deep/er tmpfs")},
	{name: "no destination", edit: func(s *specs.Spec) { s.Mounts = append(s.Mounts, specs.Mount{Type: "tmpfs"}) }, refused: "mounts[3].destination"},
	{name: "devpts", edit: terminals("gid=5"), inside: "stat -c %a /dev/pts/ptmx; readlink /dev/ptmx; cat /dev/ptmx </dev/null >/dev/null & sleep 0; probe mountinfo /dev/pts",
		check: holds("666\npts/ptmx", "gid=5,mode=620,ptmxmode=666")},
	{name: "mqueue", edit: on("mqueue", "mqueue", "nosuid"), inside: mnt, check: holds("/mnt mqueue rw,nosuid,relatime")},

	{name: "bind of a directory, relative to the bundle", prepare: data("bind"), inside: "cat /mnt/file", prints: "text"},
	{name: "bind of a file on a file", prepare: func(t *testing.T, b *box) {
		b.file(t, "motd", "hello")
		b.Spec.Mounts = append(b.Spec.Mounts, specs.Mount{Destination: "/etc/new/motd", Source: "motd", Options: []string{"bind", "ro"}})
	}, inside: "cat /etc/new/motd; echo x >/etc/new/motd", code: 1, prints: "hello"},
	{name: "bind of what does not exist", edit: on("bind", "nothing", "bind"), refused: "mounts[3]"},
	{name: "attributes of a bind mount", prepare: data("bind", "ro", "nosuid", "nodev", "noexec", "noatime", "nosymfollow"), inside: mnt,
		check: every(1, "ro", "nosuid", "nodev", "noexec", "noatime", "nosymfollow", "!relatime")},
	{name: "strictatime of a bind mount", here: true, prepare: data("bind", "strictatime"), inside: mnt, check: every(1, "!noatime", "!relatime")},
	{name: "relatime of a bind mount", here: true, prepare: data("bind", "noatime", "relatime"), inside: mnt, check: every(1, "relatime")},
	{name: "a bind mount cannot change its file system", here: true, prepare: data("bind", "size=3"), inside: "cat /mnt/file", prints: "text", warns: `"size=3" has no effect`},
	{name: "bind alone", here: true, edit: on("bind", "/sys", "bind"), inside: "ls /mnt/fs/cgroup; " + below, check: every(1)},
	{name: "ro is the mount's alone", here: true, edit: on("bind", "/sys", "rbind", "rrw", "ro"), inside: "probe mountinfo /mnt/fs/cgroup", check: every(1, "!ro")},
	{name: "rro", edit: on("bind", "/sys", "rbind", "rro"), inside: below, check: every(2, "ro")},
	{name: "rro and rrw", here: true, edit: on("bind", "/sys", "rbind", "rro", "rrw"), inside: below, check: every(2, "rw")},
	{name: "rnosuid, rnodev, rnoexec, rnodiratime, rnoatime, rnosymfollow", edit: on("bind", "/sys", "rbind", "rnosuid", "rnodev", "rnoexec", "rnodiratime", "rnoatime", "rnosymfollow"), inside: below,
		check: every(2, "nosuid", "nodev", "noexec", "nodiratime", "noatime", "nosymfollow")},
	{name: "rsuid, rdev, rexec, rdiratime, ratime, rsymfollow", here: true, edit: on("bind", "/sys", "rbind", "rsuid", "rdev", "rexec", "rdiratime", "ratime", "rsymfollow"), inside: below,
		check: every(2, "!nosuid", "!nodev", "!noexec", "!nodiratime", "relatime", "!nosymfollow")},
	{name: "rstrictatime", here: true, edit: on("bind", "/sys", "rbind", "rstrictatime"), inside: below, check: every(2, "!relatime", "!noatime")},
	{name: "rrelatime", here: true, edit: on("bind", "/sys", "rbind", "rstrictatime", "rrelatime"), inside: below, check: every(2, "relatime")},
	{name: "rnorelatime and rnostrictatime", here: true, edit: on("bind", "/sys", "rbind", "rstrictatime", "rnostrictatime", "rnorelatime"), inside: below, check: every(2, "relatime")},

	{name: "propagation of a bind mount", here: true, prepare: data("bind"), inside: mnt, check: holds("[]")},
	{name: "shared", here: true, prepare: data("bind", "shared"), inside: mnt, check: holds("[shared:")},
	{name: "unbindable", here: true, prepare: data("bind", "unbindable"), inside: mnt, check: holds("[unbindable]")},
	{name: "shared of a new file system", here: true, edit: memoryAt("shared"), inside: mnt, check: holds("/mnt tmpfs rw,relatime [shared:")},
	{name: "unbindable of a new file system", here: true, edit: memoryAt("runbindable"), inside: mnt, check: holds("[unbindable]")},
	{name: "rshared", edit: on("bind", "/sys", "rbind", "rshared"), inside: below, check: func(t *testing.T, out string) {
		if strings.Count(out, "[shared:") != len(strings.Split(out, "\n")) {
			t.Errorf("not all are shared:\n%s", out)
		}
	}},

	{name: "remount of a bind mount", prepare: both(data("bind"), edited(on("", "", "remount", "bind", "ro", "nosuid"))), inside: mnt, check: every(1, "ro", "nosuid")},
	{name: "remount of a file system", edit: edits(memoryAt("size=64k"), on("", "", "remount", "ro", "size=128k")), inside: mnt, check: holds("/mnt tmpfs ro,relatime [] ro", "size=128k")},
	{name: "remount where nothing is mounted", edit: on("", "", "remount", "bind", "ro"), refused: "mounts[3]"},

	{name: "tmpcopyup", prepare: both(image(func(root string) error {
		dir := filepath.Join(root, "mnt")
		if err := os.WriteFile(dir+"/one", []byte("1"), 0o640); err != nil {
			return err
		}
		for _, do := range []error{os.Chmod(dir, 0o751), os.Chown(dir, 3, 4), os.Chown(dir+"/one", 5, 6), os.Link(dir+"/one", dir+"/two"), os.Symlink("one", dir+"/link")} {
			if do != nil {
				return do
			}
		}
		return nil
	}), edited(memoryAt("tmpcopyup", "nosuid", "ro"))),
		inside: "stat -c '%a %u %g %h' /mnt /mnt/one /mnt/two; readlink /mnt/link; cat /mnt/link; probe mountinfo /mnt",
		check:  holds("751 3 4 2\n640 5 6 2\n640 5 6 2\none\n1/mnt tmpfs ro,nosuid,relatime")},
	{name: "tmpcopyup with a mode of its own", here: true, edit: memoryAt("tmpcopyup", "mode=700", "uid=9"), inside: "stat -c '%a %u' /mnt", prints: "700 9"},
	{name: "a tmpfs has the mode of what it covers", prepare: both(image(func(root string) error { return os.Chmod(root+"/mnt", 0o751) }), edited(memoryAt())), inside: "stat -c %a /mnt", prints: "751"},
	{name: "a tmpfs on what the image does not have", here: true, edit: func(s *specs.Spec) { s.Mounts = append(s.Mounts, specs.Mount{Destination: "/new", Type: "tmpfs"}) },
		inside: "stat -c %a /new", prints: "1777"},
	{name: "tmpcopyup in a user namespace", prepare: both(func(t *testing.T, b *box) {
		for name, id := range map[string]int{"": 0, "one": 100004} {
			path := filepath.Join(b.Root("mnt"), name)
			if name != "" {
				b.file(t, "rootfs/mnt/"+name, "1")
			}
			if err := os.Chown(path, id, id); err != nil {
				t.Fatal(err)
			}
		}
	}, edited(edits(ownUsers, memoryAt("tmpcopyup")))), inside: "stat -c '%u %g' /mnt /mnt/one; touch /mnt/new", prints: "0 0\n4 4"},
	{name: "tmpcopyup leaves the image as it is", here: true, prepare: both(image(func(root string) error { return os.WriteFile(root+"/mnt/one", []byte("1"), 0o640) }), edited(memoryAt("tmpcopyup"))),
		inside: "echo 2 >/mnt/one; cat /mnt/one; umount /mnt 2>/dev/null; echo $?", prints: "2\n1"},
	{name: "tmpcopyup of another file system", edit: on("mqueue", "mqueue", "tmpcopyup"), refused: "mounts[3].options: tmpcopyup"},
	{name: "tmpcopyup of a bind mount", prepare: data("bind", "tmpcopyup"), refused: "mounts[3].options: tmpcopyup"},

	{name: "idmap with maps of its own", prepare: both(data("bind", "idmap"), owned(maps(1000, 7, 1), maps(1001, 8, 1))), inside: "stat -c '%u %g' /mnt/file", prints: "7 8"},
	{name: "maps without idmap", here: true, prepare: both(data("bind"), owned(maps(1000, 7, 1), maps(1001, 8, 1))), inside: "stat -c '%u %g' /mnt/file", prints: "7 8"},
	{name: "ridmap with maps of its own", prepare: both(data("rbind", "ridmap"), owned(maps(1000, 7, 1), maps(1001, 8, 1))), inside: "stat -c '%u %g' /mnt/file", prints: "7 8"},
	{name: "what a map does not have belongs to nobody", here: true, prepare: both(data("bind", "idmap"), owned(maps(0, 0, 1), maps(0, 0, 1))), inside: "stat -c '%u %g' /mnt/file", prints: "65534 65534"},
	{name: "idmap with the container's maps", prepare: both(data("bind", "idmap"), edited(ownUsers)), inside: "stat -c '%u %g' /mnt/file", prints: "1000 1001"},
	{name: "without idmap in a user namespace", here: true, prepare: both(data("bind"), edited(ownUsers)), inside: "stat -c '%u %g' /mnt/file", prints: "65534 65534"},
	{name: "idmap with maps of its own in a user namespace", prepare: both(both(data("bind", "idmap"), edited(ownUsers)), owned(maps(1000, 100007, 1), maps(1001, 100008, 1))),
		inside: "stat -c '%u %g' /mnt/file", prints: "7 8"},
	{name: "idmap without any maps", prepare: data("bind", "idmap"), refused: "mounts[3].options: idmap"},
	{name: "uidMappings without gidMappings", prepare: both(data("bind", "idmap"), owned(maps(0, 0, 1), nil)), refused: "mounts[3].uidMappings"},
	{name: "maps that overlap", prepare: both(data("bind", "idmap"), owned(append(maps(0, 5, 2), maps(1, 9, 2)...), maps(0, 5, 1))), refused: "mounts[3].uidMappings"},
	{name: "idmap of a tmpfs", edit: memoryAt("idmap"), refused: "mounts[3].options: idmap"},

	{name: "inside /proc", edit: func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/proc/sys/kernel", Type: "tmpfs"})
	}, refused: `"/proc/sys/kernel" cannot be mounted because it is inside /proc`},
	{name: "on /proc", edit: func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/a/../proc/", Type: "tmpfs"})
	}, refused: `"/proc" cannot be mounted because it is not of type proc`},
	{name: "what lxcfs mounts", here: true, prepare: func(t *testing.T, b *box) {
		b.file(t, "uptime", "0 0\n")
		b.Spec.Mounts = append(b.Spec.Mounts, specs.Mount{Destination: "/proc/uptime", Source: "uptime", Options: []string{"bind"}})
	}, inside: "cat /proc/uptime", prints: "0 0"},
	{name: "proc on a link of the image", prepare: image(func(root string) error {
		return firstError(os.Remove(root+"/proc"), os.Symlink("tmp", root+"/proc"))
	}), refused: "mounts[0]"},

	{name: "linux.maskedPaths", edit: masked("/proc/kcore", "/proc/keys", "/sys/firmware", "/proc/timer_list", "/nothing", "/etc/passwd", "/tmp"),
		inside: "cat /proc/keys /etc/passwd; ls -A /sys/firmware; ls -A /tmp; touch /tmp/x || stat -c %t:%T /proc/keys /etc/passwd", prints: "1:3\n1:3"},
	{name: "linux.maskedPaths in a user namespace", edit: edits(ownUsers, masked("/proc/kcore", "/proc/keys", "/sys/firmware", "/etc/passwd", "/tmp")),
		inside: "cat /proc/keys /etc/passwd; ls -A /sys/firmware; ls -A /tmp; stat -c %t:%T /proc/keys /etc/passwd", prints: "1:3\n1:3"},
	{name: "linux.readonlyPaths", edit: readOnly("/proc/sys", "/proc/nothing", "/nothing", "/etc", "/bin/busybox"),
		inside: "echo x >/proc/sys/kernel/hostname || touch /etc/x || probe mountinfo /proc/sys /etc /bin/busybox", check: every(3, "ro")},
	{name: "linux.readonlyPaths covers what is mounted below", here: true, edit: edits(on("bind", "/sys", "rbind"), readOnly("/mnt")), inside: below, check: every(3)},
	{name: "root.readonly", edit: func(s *specs.Spec) { s.Root.Readonly = true }, inside: "touch /x || probe mountinfo /", check: every(1, "ro")},
	{name: "root.path absolute", here: true, prepare: func(_ *testing.T, b *box) { b.Spec.Root.Path = b.Root("") + "/" }, inside: "echo yes", prints: "yes"},
	{name: "root.path absent", edit: func(s *specs.Spec) { s.Root.Path = "nothing" }, refused: "root.path"},
	{name: "root.path is a file", edit: func(s *specs.Spec) { s.Root.Path = "config.json" }, refused: "root.path"},
	{name: "root.path is a link", prepare: func(t *testing.T, b *box) {
		if err := os.Symlink("rootfs", b.Path("link")); err != nil {
			t.Fatal(err)
		}
		b.Spec.Root.Path = "link"
	}, refused: "is a symlink"},

	{name: "linux.sysctl of the network", edit: sysctl("net.ipv4.ip_forward", "1"), inside: "cat /proc/sys/net/ipv4/ip_forward", prints: "1"},
	{name: "linux.sysctl with slashes", here: true, edit: sysctl("net/ipv4/conf/lo/rp_filter", "2"), inside: "cat /proc/sys/net/ipv4/conf/lo/rp_filter", prints: "2"},
	{name: "linux.sysctl of messages", here: true, edit: sysctl("kernel.msgmax", "8190"), inside: "cat /proc/sys/kernel/msgmax", prints: "8190"},
	{name: "linux.sysctl kernel.domainname", here: true, edit: sysctl("kernel.domainname", "example.org"), inside: "cat /proc/sys/kernel/domainname", prints: "example.org"},
	{name: "linux.sysctl without a proc", edit: edits(sysctl("kernel.msgmax", "8190"), func(s *specs.Spec) {
		s.Mounts = s.Mounts[1:]
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: sysAdmin, Effective: sysAdmin, Permitted: sysAdmin}
	}), inside: "ls -A /proc; mount -t proc proc /proc; cat /proc/sys/kernel/msgmax", prints: "8190"},
	{name: "linux.sysctl of the machine", edit: sysctl("vm.swappiness", "1"), refused: "linux.sysctl[vm.swappiness]"},
	{name: "linux.sysctl that leads out", edit: sysctl("net/../kernel/core_pattern", "x"), refused: "linux.sysctl[net/../kernel/core_pattern]"},
	{name: "linux.sysctl unknown", edit: sysctl("net.nonsense", "1"), refused: "linux.sysctl[net.nonsense]"},

	{name: "devices of every container", inside: "stat -c '%n %a %t:%T' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; readlink /dev/fd; readlink /dev/stdin",
		prints: "/dev/null 666 1:3\n/dev/zero 666 1:5\n/dev/full 666 1:7\n/dev/random 666 1:8\n/dev/urandom 666 1:9\n/dev/tty 666 5:0\n/proc/self/fd\n/proc/self/fd/0"},
	{name: "linux.devices", edit: edits(
		device(specs.LinuxDevice{Path: "/dev/sub/x", Type: "c", Major: 10, Minor: 229, FileMode: new(os.FileMode(0o640)), UID: new(uint32(7)), GID: new(uint32(8))}),
		device(specs.LinuxDevice{Path: "/dev/y", Type: "b", Major: 7, Minor: 300}),
		device(specs.LinuxDevice{Path: "/dev/u", Type: "u", Major: 1, Minor: 3}),
		device(specs.LinuxDevice{Path: "/tmp/p", Type: "p", FileMode: new(os.FileMode(0o600))}),
	), inside: "stat -c '%F %a %t:%T %u %g' /dev/sub/x /dev/y /dev/u /tmp/p",
		prints: "character special file 640 a:e5 7 8\nblock special file 666 7:12c 0 0\ncharacter special file 666 1:3 0 0\nfifo 600 0:0 0 0"},
	{name: "linux.devices of another type", edit: device(specs.LinuxDevice{Path: "/dev/x", Type: "q"}), refused: "linux.devices[0].type"},
	{name: "linux.devices with two meanings", edit: edits(device(specs.LinuxDevice{Path: "/dev/x", Type: "c", Major: 1}), device(specs.LinuxDevice{Path: "/dev//x", Type: "c", Major: 2})), refused: "linux.devices[1].path"},
	{name: "a FIFO in a user namespace", here: true, edit: edits(ownUsers, device(specs.LinuxDevice{Path: "/dev/p", Type: "p", FileMode: new(os.FileMode(0o600))})), inside: "stat -c '%F %a' /dev/p", prints: "fifo 600"},
	{name: "devices in a user namespace", edit: ownUsers, inside: "stat -c '%n %t:%T' /dev/null /dev/tty; echo x >/dev/null", prints: "/dev/null 1:3\n/dev/tty 5:0"},
	{name: "what an image has in place of devices", prepare: both(image(func(root string) error {
		return firstError(os.Symlink("/etc/passwd", root+"/dev/null"), os.WriteFile(root+"/dev/zero", nil, 0o600), unix.Mknod(root+"/dev/full", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 1))))
	}), edited(edits(noDev, terminals()))), inside: "stat -c '%n %F %t:%T' /dev/null /dev/zero /dev/full; echo x >/dev/null; grep -c root /etc/passwd",
		prints: "/dev/null character special file 1:3\n/dev/zero character special file 1:5\n/dev/full character special file 1:7\n1"},
	{name: "a mount in the place of a device", here: true, prepare: func(t *testing.T, b *box) {
		b.file(t, "full", "text")
		b.Spec.Mounts = append(b.Spec.Mounts, specs.Mount{Destination: "/dev/full", Source: "full", Options: []string{"bind"}})
	}, inside: "cat /dev/full", prints: "text"},
	{name: "the host's devices", here: true, edit: edits(noDev, func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/dev", Source: "/dev", Options: []string{"rbind", "rprivate"}})
	}), inside: "stat -c '%n %t:%T' /dev/null", prints: "/dev/null 1:3"},

	{name: "rootfsPropagation", here: true, inside: "probe mountinfo /", check: func(t *testing.T, out string) {
		if strings.Contains(out, "shared:") {
			t.Errorf("what is mounted in the container reaches the host: %s", out)
		}
	}},
	{name: "rootfsPropagation private", here: true, edit: propagation("rprivate"), inside: "probe mountinfo /", check: holds("[]")},
	{name: "rootfsPropagation shared", here: true, edit: propagation("shared"), inside: "probe mountinfo /", check: holds("[shared:")},
	{name: "rootfsPropagation rshared", edit: propagation("rshared"), inside: "probe mountinfo / /dev", check: func(t *testing.T, out string) {
		if strings.Count(out, "shared:") != 2 {
			t.Errorf("not both are shared:\n%s", out)
		}
	}},
	{name: "rootfsPropagation slave", here: true, edit: propagation("rslave"), inside: "probe mountinfo /", check: func(t *testing.T, out string) {
		if strings.Contains(out, "shared:") {
			t.Errorf("what is mounted in the container reaches the host: %s", out)
		}
	}},
	{name: "rootfsPropagation unbindable", edit: propagation("unbindable"), inside: "probe mountinfo /", check: holds("[unbindable]")},
	{name: "rootfsPropagation unknown", edit: propagation("secret"), refused: "linux.rootfsPropagation"},

	{name: "linux.mountLabel", needs: []feature{without("SELinux", "/sys/fs/selinux/enforce")}, edit: func(s *specs.Spec) { s.Linux.MountLabel = "system_u:object_r:container_file_t:s0:c1,c2" }, refused: "linux.mountLabel"},
}

func propagation(word string) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Linux.RootfsPropagation = word }
}

// ownUsers gives the container a user namespace whose root owns the bundle's files, and whose other users are not the host's.
func ownUsers(s *specs.Spec) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: 1, HostID: 100001, Size: 65535}}
	s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
