package tiny

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// mountFlags are the words of -o that are flags of mount(2); the others are the file system's.
var mountFlags = [...]struct {
	word string
	flag uintptr
	off  bool
}{
	{"ro", unix.MS_RDONLY, false}, {"rw", unix.MS_RDONLY, true}, {"nosuid", unix.MS_NOSUID, false}, {"suid", unix.MS_NOSUID, true},
	{"nodev", unix.MS_NODEV, false}, {"dev", unix.MS_NODEV, true}, {"noexec", unix.MS_NOEXEC, false}, {"exec", unix.MS_NOEXEC, true},
	{"sync", unix.MS_SYNCHRONOUS, false}, {"async", unix.MS_SYNCHRONOUS, true}, {"remount", unix.MS_REMOUNT, false},
	{"noatime", unix.MS_NOATIME, false}, {"atime", unix.MS_NOATIME, true}, {"nodiratime", unix.MS_NODIRATIME, false},
	{"relatime", unix.MS_RELATIME, false}, {"strictatime", unix.MS_STRICTATIME, false}, {"bind", unix.MS_BIND, false},
	{"rbind", unix.MS_BIND | unix.MS_REC, false}, {"move", unix.MS_MOVE, false}, {"shared", unix.MS_SHARED, false},
	{"private", unix.MS_PRIVATE, false}, {"slave", unix.MS_SLAVE, false}, {"unbindable", unix.MS_UNBINDABLE, false},
	{"rshared", unix.MS_SHARED | unix.MS_REC, false}, {"rprivate", unix.MS_PRIVATE | unix.MS_REC, false},
	{"rslave", unix.MS_SLAVE | unix.MS_REC, false}, {"silent", unix.MS_SILENT, false}, {"defaults", 0, false},
}

func mount(c *call) int {
	o, ok := c.options("at:o:rw", "types=t", "options=o", "all=a", "read-only=r", "rw=w", "bind=B", "rbind=R", "move=M", "make-shared=1", "make-private=2",
		"make-slave=3", "make-rshared=4", "make-rprivate=5", "make-rslave=6", "make-unbindable=7")
	if !ok {
		return 1
	}
	if len(o.rest) == 0 && !o.has('a') {
		for line := range strings.SplitSeq(strings.TrimSuffix(contents("/proc/self/mounts"), "\n"), "\n") {
			f := strings.Fields(line)
			if len(f) < 4 || f[2] != o.value('t', f[2]) {
				continue
			}
			c.print(unoctal(f[0]), " on ", unoctal(f[1]), " type ", f[2], " (", f[3], ")\n")
		}
		return 0
	}
	var words []string
	for _, opt := range o.order {
		switch {
		case opt.letter == 'o':
			words = append(words, strings.Split(opt.value, ",")...)
		case opt.letter == 'r':
			words = append(words, "ro")
		case opt.letter == 'w':
			words = append(words, "rw")
		}
		if word, ok := map[byte]string{'B': "bind", 'R': "rbind", 'M': "move", '1': "shared", '2': "private", '3': "slave", '4': "rshared",
			'5': "rprivate", '6': "rslave", '7': "unbindable"}[opt.letter]; ok {
			words = append(words, word)
		}
	}
	if o.has('a') {
		if len(o.rest) > 0 {
			return c.misused("-a takes no operand")
		}
		return c.mountAll(o.value('t', ""), words)
	}
	source, target := "none", o.rest[0]
	if len(o.rest) > 1 {
		source, target = o.rest[0], o.rest[1]
	} else {
		entry, found := fstab(target)
		switch {
		case found:
			source, target = entry[0], entry[1]
			if !o.has('t') {
				o.order = append(o.order, option{'t', entry[2]})
			}
			words = append(strings.Split(entry[3], ","), words...)
		case len(words) == 0:
			return c.fail("can't find %s in /etc/fstab", target)
		}
	}
	return c.mountOne(source, target, o.value('t', ""), words)
}

func contents(path string) string {
	data, _ := os.ReadFile(path)
	return string(data)
}

func fstab(name string) ([]string, bool) {
	for line := range strings.SplitSeq(contents("/etc/fstab"), "\n") {
		f := strings.Fields(line)
		if len(f) >= 4 && !strings.HasPrefix(f[0], "#") && (f[0] == name || f[1] == name) {
			return f, true
		}
	}
	return nil, false
}

// mountAll mounts what /etc/fstab lists, or the file systems of one type in it; words are added to each one's options.
func (c *call) mountAll(kind string, words []string) int {
	for line := range strings.SplitSeq(contents("/etc/fstab"), "\n") {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasPrefix(f[0], "#") || strings.Contains(f[3], "noauto") || f[2] == "swap" || kind != "" && f[2] != kind {
			continue
		}
		c.mountOne(f[0], f[1], f[2], append(strings.Split(f[3], ","), words...))
	}
	return c.bad
}

func (c *call) mountOne(source, target, kind string, words []string) int {
	flags, data := uintptr(0), []string{}
words:
	for _, word := range words {
		for _, m := range mountFlags {
			if m.word != word {
				continue
			}
			if m.off {
				flags &^= m.flag
			} else {
				flags |= m.flag
			}
			continue words
		}
		if word != "" {
			data = append(data, word)
		}
	}
	kinds := []string{kind}
	if kind == "" && flags&(unix.MS_BIND|unix.MS_MOVE|unix.MS_REMOUNT|unix.MS_SHARED|unix.MS_PRIVATE|unix.MS_SLAVE|unix.MS_UNBINDABLE) == 0 {
		kinds = diskKinds()
	}
	var err error
	for _, kind := range kinds {
		if err = c.attach(source, target, kind, flags, strings.Join(data, ",")); err != unix.EINVAL {
			break
		}
	}
	switch err {
	case nil:
		return 0
	case unix.EPERM, unix.EACCES:
		return c.fail("mounting %s on %s failed: %s", source, target, reason(err))
	}
	return c.fail("mounting %s on %s failed: %s", source, target, reason(err))
}

// attach makes one mount. A read-only bind takes two calls: mount(2) ignores other flags beside MS_BIND.
func (c *call) attach(source, target, kind string, flags uintptr, data string) error {
	err := unix.Mount(source, target, kind, flags, data)
	extra := flags &^ (unix.MS_BIND | unix.MS_REC | unix.MS_REMOUNT)
	if err == nil && flags&unix.MS_BIND != 0 && flags&unix.MS_REMOUNT == 0 && extra != 0 {
		err = unix.Mount("none", target, "", extra|unix.MS_BIND|unix.MS_REMOUNT, "")
	}
	return err
}

// diskKinds are the file systems the kernel knows that live on a device: what to try without -t.
func diskKinds() (list []string) {
	for line := range strings.SplitSeq(contents("/proc/filesystems"), "\n") {
		if kind, ok := strings.CutPrefix(line, "\t"); ok && kind != "" {
			list = append(list, kind)
		}
	}
	if list == nil {
		list = []string{""}
	}
	return list
}

func umount(c *call) int {
	o, ok := c.options("lfra", "lazy=l", "force=f", "all=a")
	if !ok {
		return 1
	}
	names := o.rest
	if o.has('a') {
		list := filesystems()
		for i := len(list) - 1; i >= 0; i-- {
			if list[i].dir != "/" && list[i].dir != "/proc" {
				names = append(names, list[i].dir)
			}
		}
	}
	if len(names) == 0 {
		return c.misused("")
	}
	flags := 0
	if o.has('l') {
		flags |= unix.MNT_DETACH
	}
	if o.has('f') {
		flags |= unix.MNT_FORCE
	}
	for _, name := range names {
		target := name
		for _, fs := range filesystems() { // a device stands for where it is mounted last
			if fs.device == name && strings.HasPrefix(name, "/") {
				target = fs.dir
			}
		}
		err := unix.Unmount(target, flags)
		if err == unix.EBUSY && o.has('r') {
			err = unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
		}
		if err != nil {
			c.errorf("can't unmount %s: %s", name, reason(err))
		}
	}
	return c.bad
}
