package source

import (
	"errors"
	"path"

	"golang.org/x/sys/unix"
)

// target is a directory that is written to.
type target struct {
	fd      int
	name    string
	existed bool
}

// parents makes what is missing of a path, and opens its last directory.
func (w *writer) parents(to *place, missing []string, who owner, mode uint32) (target, error) {
	if to.kind() != unix.S_IFDIR {
		return target{}, named("mkdir", "/"+to.full(), unix.ENOTDIR)
	}
	fd, err := unix.Openat(to.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return target{}, named("open", "/"+to.name, err)
	}
	at := target{fd: fd, name: to.name, existed: true}
	for _, name := range missing {
		next, err := w.mkdir(at, name, who, mode)
		unix.Close(at.fd)
		if err != nil {
			return target{}, err
		}
		at = next
	}
	return at, nil
}

func (w *writer) mkdir(in target, name string, who owner, mode uint32) (target, error) {
	at := target{name: path.Join(in.name, name)}
	if err := unix.Mkdirat(in.fd, name, 0o700); err != nil {
		return at, named("mkdir", "/"+at.name, err)
	}
	var err error
	if at.fd, err = unix.Openat(in.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err != nil {
		return at, named("open", "/"+at.name, err)
	}
	var st unix.Stat_t // below a set-group-id directory it is one too, mkdir(2)
	if err := errors.Join(unix.Fstat(at.fd, &st), unix.Fchown(at.fd, who.uid, who.gid), unix.Fchmod(at.fd, mode|st.Mode&unix.S_ISGID)); err != nil {
		unix.Close(at.fd)
		return at, named("chown", "/"+at.name, err)
	}
	w.made = append(w.made, at.name)
	return at, nil
}

// spot finds where a single file goes: into a directory that is there or is asked for by how Dest is written, or to that very name.
func (w *writer) spot(called string, to *place, who owner) (target, string, error) {
	if to.dir() || directory(w.order.Dest) {
		at, err := w.parents(to, to.missing, who, w.mode.made())
		return at, called, err
	}
	if n := len(to.missing); n > 0 {
		at, err := w.parents(to, to.missing[:n-1], who, w.mode.made())
		return at, to.missing[n-1], err
	}
	dir, base := path.Split(to.name)
	above, err := follow(w.root, dir, nil)
	if err != nil {
		return target{}, "", err
	}
	defer above.close()
	at, err := w.parents(above, above.missing, who, w.mode.made())
	return at, base, err
}
