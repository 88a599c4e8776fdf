package source

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

// owner is to whom files are given.
type owner struct{ uid, gid int }

// parseOwner reads --chown: names are those of the image. A user alone stands for the group of that name too.
func parseOwner(text string, image *os.File) (owner, error) {
	who, group, several := strings.Cut(text, ":")
	if !several {
		group = who
	}
	if strings.Contains(group, ":") {
		return owner{}, fmt.Errorf("unable to convert uid/gid chown string to host mapping: invalid chown string format: %s", text)
	}
	uid, err := number(image, "etc/passwd", who, "no such user: ", func(r io.Reader) (ids []int, err error) {
		all, err := user.ParsePasswdFilter(r, func(u user.User) bool { return u.Name == who })
		for _, u := range all {
			ids = append(ids, u.Uid)
		}
		return ids, err
	})
	if err != nil {
		return owner{}, fmt.Errorf("unable to convert uid/gid chown string to host mapping: can't find uid for user %s: %w", who, err)
	}
	gid, err := number(image, "etc/group", group, "no such group: ", func(r io.Reader) (ids []int, err error) {
		all, err := user.ParseGroupFilter(r, func(g user.Group) bool { return g.Name == group })
		for _, g := range all {
			ids = append(ids, g.Gid)
		}
		return ids, err
	})
	if err != nil {
		return owner{}, fmt.Errorf("unable to convert uid/gid chown string to host mapping: can't find gid for group %s: %w", group, err)
	}
	return owner{uid, gid}, nil
}

// number is a name's id in a file of the image; a number stands for itself.
func number(image *os.File, file, name, missing string, ids func(io.Reader) ([]int, error)) (int, error) {
	if id, err := strconv.Atoi(name); err == nil {
		if id < 0 || id > 1<<32-2 {
			return 0, fmt.Errorf("no id is %d", id)
		}
		return id, nil
	}
	at, err := follow(int(image.Fd()), file, nil)
	if err != nil {
		return 0, err
	}
	defer at.close()
	if !at.there() || at.kind() != unix.S_IFREG {
		return 0, &os.PathError{Op: "open", Path: "/" + file, Err: unix.ENOENT}
	}
	f, err := os.Open(descriptor(at.fd))
	if err != nil {
		return 0, named("open", "/"+file, err)
	}
	defer f.Close()
	found, err := ids(f)
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, fmt.Errorf("%s%s", missing, name)
	}
	return found[0], nil
}

// Owner looks up "user" or "user:group" in an image, as --chown does.
func Owner(root *os.File, who string) (uid, gid int, err error) {
	o, err := parseOwner(who, root)
	return o.uid, o.gid, err
}
