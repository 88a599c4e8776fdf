package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"glassbox/archive"

	"golang.org/x/sys/unix"
)

// block is what everything in a tar archive is made of.
const block = 512

func rounded(n int64) int64 { return (n + block - 1) / block * block }

// Size is how many bytes Docker's client would send for it, as a tar archive.
func (c *Context) Size() (int64, error) {
	if c.sent < 0 {
		if err := c.measure(context.Background(), c.Root.Name()); err != nil {
			return 0, err
		}
	}
	return c.sent, nil
}

// measure finds out the size, and whether all can be read that Docker's client would read.
func (c *Context) measure(ctx context.Context, dir string) error {
	m := measuring{size: 2 * block, dir: dir, links: map[inode]bool{}, may: readsAll()} // an archive's end is two blocks
	at, err := follow(int(c.Root.Fd()), ".", nil)
	if err != nil {
		return err
	}
	defer at.close()
	w := walk{ctx: ctx, tree: &c.Tree, sieve: sieve{ignore: c.Ignore}, visit: m.visit}
	if err := w.from(at); errors.Is(err, fs.ErrPermission) {
		var denied *os.PathError
		if errors.As(err, &denied) {
			err = fmt.Errorf("checking context: can't stat '%s'", filepath.Join(dir, denied.Path))
		}
		return err
	} else if err != nil {
		return err
	}
	c.sent = m.size + c.own()
	return nil
}

type measuring struct {
	size  int64
	dir   string // what errors call the context
	links map[inode]bool
	may   bool // read everything
}

func (m *measuring) visit(f *file) error {
	if f.bare {
		return nil // only what is in it is sent
	}
	link := ""
	if f.kind() == unix.S_IFLNK {
		var err error
		if link, err = archive.Readlink(f.dir, f.base); err != nil {
			return named("readlink", f.name, err)
		}
	}
	m.size += header(f.name, link, f.isDir())
	if f.kind() != unix.S_IFREG {
		return nil
	}
	if !m.may && unix.Faccessat(f.dir, f.base, unix.R_OK, unix.AT_EACCESS) != nil {
		return &unreadable{filepath.Join(m.dir, f.name)}
	}
	if f.shared() {
		id := inode{f.st.Dev, f.st.Ino}
		if m.links[id] {
			return nil
		}
		m.links[id] = true
	}
	m.size += rounded(f.st.Size) + capable(f)
	return nil
}

// unreadable is a file that Docker's client could not read to send it.
type unreadable struct{ file string }

func (u *unreadable) Error() string {
	return "checking context: no permission to read from '" + u.file + "'"
}

// readsAll reports whether modes forbid us nothing, capabilities(7).
func readsAll() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	const enough = 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&enough != 0
}

// capable is what a file's capabilities take: only executables are looked at, since to others they mean nothing.
func capable(f *file) int64 {
	if f.st.Mode&0o111 == 0 {
		return 0
	}
	n, err := unix.Lgetxattr(descriptor(f.dir)+"/"+f.base, capabilities, nil)
	if err != nil || n == 0 {
		return 0
	}
	return block + rounded(int64(record("SCHILY.xattr."+capabilities, string(make([]byte, min(n, freeLength))))))
}

// header is how long a file's header is: one block, and two and more for a name or a link's target that does not fit.
func header(name, link string, dir bool) int64 {
	if dir {
		name += "/"
	}
	var records int
	if !ascii(name) || len(name) > nameLength && !splits(name) {
		records += record("path", name)
	}
	if !ascii(link) || len(link) > nameLength {
		records += record("linkpath", link)
	}
	if records == 0 {
		return block
	}
	return 2*block + rounded(int64(records))
}

func ascii(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Lengths of the fields of a header, POSIX ustar.
const (
	nameLength   = 100
	prefixLength = 155
)

// splits reports whether a name fits into both its fields, divided at a slash.
func splits(name string) bool {
	head := name[:min(len(name), prefixLength+1)]
	i := strings.LastIndex(strings.TrimSuffix(head, "/"), "/")
	rest := len(name) - i - 1
	return i > 0 && rest > 0 && rest <= nameLength
}

// record is the length of a PAX record, which counts its own length's digits: "30 path=...\n".
func record(key, value string) int {
	n := len(key) + len(value) + 3
	for digits := 1; ; digits++ {
		total := n + digits
		if len(strconv.Itoa(total)) == digits {
			return total
		}
	}
}

// own is what Docker's client sends of Dockerfile and .dockerignore in addition: both are sent even if they are ignored, a Dockerfile from
// elsewhere under a name of its own, which is added to what is ignored.
func (c *Context) own() int64 {
	var extra int64
	stat := func(name string) (int64, bool) {
		at, err := follow(int(c.Root.Fd()), name, nil)
		if err != nil {
			return 0, false
		}
		defer at.close()
		return at.st.Size, at.there()
	}
	if size, there := stat(".dockerignore"); there && c.Ignore.Hides(".dockerignore", false) {
		extra += block + rounded(size)
	}
	if !c.added {
		if c.Ignore.Hides(c.Name, false) {
			extra += header(c.Name, "", false) + rounded(int64(len(c.Dockerfile)))
		}
		return extra
	}
	// Docker's client copies the archive to add them, and ends the copy before its last file is filled up and the archive closed.
	const line = 34 // "\n.dockerfile." and twenty letters and "\n"
	extra -= 2 * block
	if size, there := stat(".dockerignore"); there {
		return extra + rounded(size+line) - rounded(size) + block + int64(len(c.Dockerfile))
	}
	return extra + block + rounded(int64(len(c.Dockerfile))) + block + int64(len(".dockerignore")) + line
}
