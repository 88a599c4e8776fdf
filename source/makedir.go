package source

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// MakeDir makes a directory of an image for WORKDIR, and what is missing before it. made is false where there is one.
func MakeDir(root *os.File, dir string, uid, gid int) (made bool, err error) {
	w := &writer{Parcel: &Parcel{}, root: int(root.Fd())}
	at, err := follow(w.root, dir, nil)
	if err != nil {
		return false, err
	}
	defer at.close()
	if at.dir() {
		return false, nil
	}
	if at.kind() != unix.S_IFDIR {
		return false, fmt.Errorf("Cannot mkdir: %s is not a directory", dir) //nolint:staticcheck // Docker's words
	}
	to, err := w.parents(at, at.missing, owner{uid, gid}, wayMode)
	if err != nil {
		return false, err
	}
	return true, unix.Close(to.fd)
}
