package source

import (
	"context"
	"strconv"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// block is what everything in a tar archive is made of.
const block = 512

func rounded(n int64) int64 { return (n + block - 1) / block * block }

// Size is how many bytes Docker's client would send for it, as a tar archive.
func (c *Context) Size() (int64, error) {
	if c.sent >= 0 {
		return c.sent, nil
	}
	size := int64(2 * block) // an archive's end
	links := map[inode]bool{}
	at, err := follow(int(c.Root.Fd()), ".", nil)
	if err != nil {
		return 0, err
	}
	defer at.close()
	w := walk{ctx: context.Background(), tree: &c.Tree, sieve: sieve{ignore: c.Ignore}}
	w.visit = func(f *file) error {
		if f.bare {
			return nil // only what is in it is sent
		}
		size += header(f.name, f.isDir())
		if f.kind() != unix.S_IFREG {
			return nil
		}
		if f.shared() {
			id := inode{f.st.Dev, f.st.Ino}
			if links[id] {
				return nil
			}
			links[id] = true
		}
		size += rounded(f.st.Size) + capable(f)
		return nil
	}
	if err := w.from(at); err != nil {
		return 0, err
	}
	own, err := c.own()
	return size + own, err
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

// header is how long a file's header is: one block, and two and more for a name that does not fit.
func header(name string, dir bool) int64 {
	if dir {
		name += "/"
	}
	ascii := true
	for i := range len(name) {
		ascii = ascii && name[i] < utf8.RuneSelf
	}
	if len(name) <= 100 && ascii {
		return block
	}
	return 2*block + rounded(int64(record("path", name)))
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
func (c *Context) own() (int64, error) {
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
		extra += header(".dockerignore", false) + rounded(size)
	}
	if !c.added {
		if c.Ignore.Hides(c.Name, false) {
			extra += header(c.Name, false) + rounded(int64(len(c.Dockerfile)))
		}
		return extra, nil
	}
	extra += block + rounded(int64(len(c.Dockerfile)))
	const line = 34 // "\n.dockerfile." and twenty letters and "\n"
	if size, there := stat(".dockerignore"); there {
		extra += rounded(size+line) - rounded(size)
	} else {
		extra += block + rounded(int64(len(".dockerignore"))+line)
	}
	return extra, nil
}
