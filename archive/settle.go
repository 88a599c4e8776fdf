package archive

import (
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Settle is Layer for an upper directory that becomes a layer itself: it makes the directory what unpacking the archive would give. Sockets
// go, and what extended attributes have no form in a layer; times become whole seconds, none of them later than latest (zero: they
// stay). It returns the size of the files, as Unpack counts it. Nobody uses the directory meanwhile.
func Settle(w io.Writer, upper *os.File, latest time.Time) (size int64, err error) {
	p := newWriter(w, Options{})
	p.layer, p.settled = true, &settled{latest: latest}
	if err := p.root(int(upper.Fd())); err != nil {
		return 0, err
	}
	return p.settled.size, p.tar.Close()
}

// settled is what there is to do to a directory that becomes a layer.
type settled struct {
	latest time.Time
	size   int64
}

// time is the time that a file has in the archive. On a nil receiver it is the file's own.
func (s *settled) time(t time.Time) time.Time {
	if s != nil && !s.latest.IsZero() && t.After(s.latest) {
		return s.latest.Truncate(time.Second)
	}
	return t
}

// written ends the writing of a file: nothing changes it any more.
func (s *settled) written(n *node, target string) error {
	if s == nil {
		return nil
	}
	switch n.kind() {
	case unix.S_IFREG:
		s.size += int64(n.Size)
	case unix.S_IFLNK:
		s.size += int64(len(target))
	}
	stamp := timespec(s.time(time.Unix(n.Mtime.Sec, 0)))
	return named("utimensat", n.name, unix.UtimesNanoAt(n.fd, "", []unix.Timespec{stamp, stamp}, unix.AT_EMPTY_PATH))
}

// socket removes a file that has no form in an archive.
func (s *settled) socket(dir *node, base, name string) error {
	return named("unlinkat", name, unix.Unlinkat(dir.fd, base, 0))
}

// attribute removes an extended attribute that has no form in an archive: an ACL, or what the kernel trusts. Labels of security modules
// belong to the host.
func (s *settled) attribute(fd int, name string) error {
	if overlayOwn(name) || strings.HasPrefix(name, "security.") {
		return nil
	}
	if err := unix.Removexattr(descriptor(fd), name); err != nil && err != unix.ENODATA && err != unix.ENOTSUP {
		return err
	}
	return nil
}
