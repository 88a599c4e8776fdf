package engine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"glassbox/archive"
	"glassbox/image"
	"glassbox/program"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"golang.org/x/sys/unix"
)

// errNoPath has Docker's own slip.
var errNoPath = &Error{Class: InvalidParameter, Text: "bad parameter: pathcannot be empty"}

// StatPath describes a file in a container; a link itself.
func (c *Containers) StatPath(ctx context.Context, ref, name string) (container.PathStat, error) {
	if name == "" {
		return container.PathStat{}, errNoPath
	}
	v, err := c.view(ctx, ref)
	if err != nil {
		return container.PathStat{}, err
	}
	file, stat, err := v.stat(name)
	if err == nil {
		err = file.Close()
	}
	return stat, errors.Join(noFile(err, name, ref), v.close())
}

// CopyFrom reads a file or directory of a container as an archive.
func (c *Containers) CopyFrom(ctx context.Context, ref, name string) (io.ReadCloser, container.PathStat, error) {
	if name == "" {
		return nil, container.PathStat{}, errNoPath
	}
	v, err := c.view(ctx, ref)
	if err != nil {
		return nil, container.PathStat{}, err
	}
	at := trailing(path.Join("/", name), name)
	file, stat, err := v.stat(at)
	if err != nil {
		return nil, stat, errors.Join(noFile(err, name, ref), v.close())
	}
	o := archive.Options{Root: filepath.Base(at), Owners: archive.Owners(v.IDMap)}
	if o.Enter, err = v.enters(at, o.Root); err != nil {
		return nil, stat, errors.Join(err, file.Close(), v.close())
	}
	c.tell(v.record, "archive-path")
	return archive.Stream(func(w io.Writer) error {
		return errors.Join(archive.Write(w, file, o), file.Close(), v.close())
	}), stat, nil
}

// trailing is a cleaned path with the end that the original had: "/." and "/" ask for a directory.
func trailing(clean, original string) string {
	switch {
	case path.Base(clean) != "." && path.Base(original) == "." && original != "":
		return strings.TrimSuffix(clean, "/") + "/."
	case strings.HasSuffix(original, "/") && !strings.HasSuffix(clean, "/"):
		return clean + "/"
	}
	return clean
}

// enters says which of the mounts in a container are copied along: those that the user asked for. What the kernel makes up (/proc, /sys,
// /dev) is copied only if it was named.
func (v *view) enters(at, root string) (func(string) bool, error) {
	if !v.live {
		return func(string) bool { return true }, nil
	}
	base, err := v.follow(at, false)
	if err != nil {
		return nil, err
	}
	var shown []string
	for _, at := range v.mounted() {
		place, err := v.follow(at, false)
		if err != nil {
			return nil, err
		}
		shown = append(shown, place)
	}
	prefix := strings.TrimSuffix(root, "/") + "/"
	return func(name string) bool {
		inside := path.Join(base, strings.TrimPrefix(name, prefix))
		for _, place := range shown {
			if within(place, inside) {
				return true
			}
		}
		return false
	}, nil
}

// mounted are the places of what the user has mounted, and of the files that each container has.
func (r *record) mounted() []string {
	places := []string{"/etc/resolv.conf", "/etc/hostname", "/etc/hosts"}
	for _, m := range r.Mounts {
		places = append(places, m.Destination)
	}
	for at := range r.HostConfig.Tmpfs {
		places = append(places, at)
	}
	return places
}

func within(dir, name string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// CopyTo extracts an archive in a container's directory.
func (c *Containers) CopyTo(ctx context.Context, ref, name string, content io.Reader, o container.CopyToContainerOptions) error {
	if name == "" {
		return errNoPath
	}
	v, err := c.view(ctx, ref)
	if err != nil {
		return err
	}
	err = v.extract(ctx, name, content, o)
	if err == nil {
		c.tell(v.record, "extract-to-dir")
	}
	return errors.Join(noFile(err, name, ref), v.close())
}

func (v *view) extract(ctx context.Context, name string, content io.Reader, o container.CopyToContainerOptions) error {
	at, err := v.follow(path.Join("/", name), true)
	if err != nil {
		return err
	}
	dir, stat, err := v.stat(trailing(at, name))
	if err != nil {
		return err
	}
	defer dir.Close()
	if !stat.Mode.IsDir() {
		return invalid("extraction point is not a directory")
	}
	if err := v.writable(at, dir); err != nil {
		return err
	}
	to := archive.Target{Root: v.root, Dir: at, Shown: at, Owners: archive.Owners(v.IDMap)}
	if o.CopyUIDGID && v.Config.User != "" {
		who, err := lookupUser(v, v.Config.User, nil)
		if err != nil {
			return err
		}
		to.Owner = &archive.Owner{UID: int(who.UID), GID: int(who.GID)}
	}
	plain, err := image.Decompress(content)
	if err != nil {
		return err
	}
	defer plain.Close()
	return v.asRoot(func() error { return archive.Extract(ctx, plain, to) })
}

// asRoot makes files as the root of the container's user namespace, which its volumes' mounts count.
func (v *view) asRoot(do func() error) error {
	root, other := v.hostRoot()
	if !other {
		return do()
	}
	return program.As(root, root, do)
}

// writable refuses, in Docker's words, what was asked to be read-only. What a running container has mounted over its read-only root
// (a tmpfs) is as writable as it is for its processes.
func (v *view) writable(at string, dir *os.File) error {
	var over *mountPoint
	for i, m := range v.Mounts {
		if within(m.Destination, at) && m.Type != mount.TypeTmpfs && (over == nil || len(m.Destination) > len(over.Destination)) {
			over = &v.Mounts[i]
		}
	}
	switch {
	case over != nil && !over.RW:
		return invalid("mounted volume is marked read-only")
	case over == nil && v.HostConfig.ReadonlyRootfs && (!v.live || readOnly(dir)):
		return invalid("container rootfs is marked read-only")
	}
	return nil
}

func readOnly(dir *os.File) bool {
	var s unix.Statfs_t
	return unix.Fstatfs(int(dir.Fd()), &s) == nil && s.Flags&unix.ST_RDONLY != 0
}

// noFile is what a missing file is called to the user.
func noFile(err error, name, ref string) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	return &Error{Class: NotFound, Text: "Could not find the file " + name + " in container " + ref, Cause: err}
}
