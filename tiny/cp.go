package tiny

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// copying is a cp, or an mv across file systems, under way.
type copying struct {
	*call
	recursive, preserve, force, ask, keep, verbose bool
	update                                         bool
	follow, followTop                              bool
	seen                                           map[inode]string // hard links, kept when everything is
}

type inode struct{ dev, ino uint64 }

func cp(c *call) int {
	o, ok := c.options("arRdPLHpfinvTu", "archive=a", "recursive=r", "preserve=p", "force=f", "verbose=v", "no-dereference=P", "update=u")
	if !ok {
		return 1
	}
	k := &copying{call: c, seen: map[inode]string{}}
	k.recursive = o.has('a') || o.has('r') || o.has('R')
	k.preserve = o.has('a') || o.has('p')
	k.force, k.ask, k.keep, k.verbose = o.has('f'), o.has('i'), o.has('n'), o.has('v')
	k.update = o.has('u')
	k.follow = o.has('L') || !k.recursive && !o.has('P') && !o.has('d')
	k.followTop = k.follow || o.has('H')
	return c.many(o, k.copy)
}

// many gives each source its destination: a directory takes all, a file one.
func (c *call) many(o *options, do func(from, to string, top bool) error) int {
	if len(o.rest) < 2 {
		return c.misused("")
	}
	sources, dest := o.rest[:len(o.rest)-1], o.rest[len(o.rest)-1]
	info, err := os.Stat(dest)
	into := err == nil && info.IsDir() && !o.has('T')
	if len(sources) > 1 && !into {
		return c.fail("target '%s' is not a directory", dest)
	}
	for _, from := range sources {
		to := dest
		if into {
			to = strings.TrimRight(dest, "/") + "/" + lastPart(from)
		}
		if do(from, to, true) != nil {
			c.bad = 1
		}
	}
	return c.bad
}

var errTold = errors.New("told")

func (k *copying) told(format string, args ...any) error {
	k.errorf(format, args...)
	return errTold
}

func (k *copying) copy(from, to string, top bool) error {
	var st, target unix.Stat_t
	look := unix.Lstat
	if k.follow || top && k.followTop {
		look = unix.Stat
	}
	if err := look(from, &st); err != nil {
		return k.told("can't stat '%s': %s", from, reason(err))
	}
	exists := unix.Stat(to, &target) == nil
	if exists && st.Dev == target.Dev && st.Ino == target.Ino {
		return k.told("'%s' and '%s' are the same file", from, to)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return k.directory(from, to, &st, exists, &target)
	}
	if exists && target.Mode&unix.S_IFMT == unix.S_IFDIR {
		return k.told("'%s' is a directory", to)
	}
	if exists && (k.keep || k.update && target.Mtim.Nano() >= st.Mtim.Nano()) {
		return nil
	}
	if exists && k.ask && !k.agreed("overwrite '%s'? ", to) {
		return nil
	}
	if k.preserve && st.Nlink > 1 {
		if first, ok := k.seen[inode{uint64(st.Dev), st.Ino}]; ok {
			unix.Unlink(to)
			if unix.Link(first, to) == nil {
				return nil
			}
		}
		k.seen[inode{uint64(st.Dev), st.Ino}] = to
	}
	if err := k.one(from, to, &st); err != nil {
		return err
	}
	if k.verbose {
		k.printf("'%s' -> '%s'\n", from, to)
	}
	return k.attributes(to, &st)
}

func (k *copying) directory(from, to string, st *unix.Stat_t, exists bool, target *unix.Stat_t) error {
	if !k.recursive {
		return k.told("omitting directory '%s'", from)
	}
	if exists && target.Mode&unix.S_IFMT != unix.S_IFDIR {
		return k.told("'%s' is not a directory", to)
	}
	if within(from, to) {
		return k.told("recursion detected, omitting directory '%s'", from)
	}
	if !exists {
		if err := unix.Mkdir(to, st.Mode&0o777|0o700); err != nil {
			return k.told("can't create directory '%s': %s", to, reason(err))
		}
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return k.told("can't open '%s': %s", from, reason(err))
	}
	var failed error
	for _, entry := range entries {
		if err := k.copy(from+"/"+entry.Name(), strings.TrimRight(to, "/")+"/"+entry.Name(), false); err != nil {
			failed = err
		}
	}
	if !exists && !k.preserve {
		mask := unix.Umask(0)
		unix.Umask(mask)
		unix.Chmod(to, st.Mode&0o7777&^uint32(mask))
	}
	if err := k.attributes(to, st); err != nil {
		return err
	}
	return failed
}

func within(from, to string) bool {
	source, err1 := canonical(from)
	dest, err2 := canonical(to)
	return err1 == nil && err2 == nil && (dest == source || strings.HasPrefix(dest, strings.TrimRight(source, "/")+"/"))
}

func (k *copying) one(from, to string, st *unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := os.Readlink(from)
		if err == nil {
			unix.Unlink(to)
			err = unix.Symlink(target, to)
		}
		if err != nil {
			return k.told("can't create symlink '%s' to '%s': %s", to, target, reason(err))
		}
		return nil
	case unix.S_IFREG:
		return k.contents(from, to, st.Mode)
	}
	if !k.recursive {
		return k.contents(from, to, 0o666)
	}
	unix.Unlink(to)
	if err := unix.Mknod(to, st.Mode, int(st.Rdev)); err != nil {
		return k.told("can't create '%s': %s", to, reason(err))
	}
	return nil
}

func (k *copying) contents(from, to string, mode uint32) error {
	in, err := os.Open(from)
	if err != nil {
		return k.told("can't open '%s': %s", from, reason(err))
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, os.FileMode(mode&0o777))
	if err != nil && k.force {
		unix.Unlink(to)
		out, err = os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, os.FileMode(mode&0o777))
	}
	if err != nil {
		return k.told("can't create '%s': %s", to, reason(err))
	}
	_, err = io.Copy(out, in)
	if failure := out.Close(); err == nil {
		err = failure
	}
	if err != nil {
		return k.told("write error: %s", reason(err))
	}
	return nil
}

// attributes preserves times, owner and mode; the owner before the mode, since chown(2) clears set-user-ID.
func (k *copying) attributes(to string, st *unix.Stat_t) error {
	if !k.preserve {
		return nil
	}
	link := st.Mode&unix.S_IFMT == unix.S_IFLNK
	unix.UtimesNanoAt(unix.AT_FDCWD, to, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
	if err := unix.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
		if err == unix.EPERM {
			st.Mode &^= unix.S_ISUID | unix.S_ISGID
		} else {
			return k.told("can't preserve ownership of '%s': %s", to, reason(err))
		}
	}
	if !link {
		if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
			return k.told("can't preserve permissions of '%s': %s", to, reason(err))
		}
		unix.UtimesNanoAt(unix.AT_FDCWD, to, []unix.Timespec{st.Atim, st.Mtim}, 0)
	}
	return nil
}

func mv(c *call) int {
	o, ok := c.options("finuvT", "force=f", "interactive=i", "no-clobber=n", "update=u", "verbose=v")
	if !ok {
		return 1
	}
	return c.many(o, func(from, to string, _ bool) error { return c.move(o, from, to) })
}

func newer(name string, than *unix.Stat_t) bool {
	var st unix.Stat_t
	return unix.Lstat(name, &st) != nil || st.Mtim.Nano() > than.Mtim.Nano()
}

func (c *call) move(o *options, from, to string) error {
	k := &copying{call: c, recursive: true, preserve: true, seen: map[inode]string{}}
	var target unix.Stat_t
	exists := unix.Lstat(to, &target) == nil
	if exists && o.has('n') || exists && o.has('u') && !newer(from, &target) {
		return nil
	}
	if exists && o.last("fi") != 'f' {
		guarded := unix.Access(to, unix.W_OK) != nil && target.Mode&unix.S_IFMT != unix.S_IFLNK && isTerminal(0)
		if (guarded || o.has('i')) && !c.agreed("overwrite '%s'? ", to) {
			return nil
		}
	}
	err := unix.Rename(from, to)
	if err == unix.EXDEV {
		if exists {
			unix.Unlink(to)
		}
		if err := k.copy(from, to, false); err != nil {
			return err
		}
		if err := os.RemoveAll(from); err != nil {
			return k.told("can't remove '%s': %s", from, reason(err))
		}
		err = nil
	}
	if err != nil {
		return k.told("can't rename '%s': %s", from, reason(err))
	}
	if o.has('v') {
		c.printf("'%s' -> '%s'\n", from, to)
	}
	return nil
}
