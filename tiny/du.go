package tiny

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

type measuring struct {
	*call
	o      *options
	seen   map[inode]bool
	depth  int
	device uint64
}

func du(c *call) int {
	o, ok := c.options("ahskmcxLHlbd:", "max-depth=d", "human-readable=h", "summarize=s", "all=a", "total=c")
	if !ok {
		return 1
	}
	m := &measuring{call: c, o: o, seen: map[inode]bool{}, depth: 1 << 30}
	if o.has('d') {
		m.depth = int(o.number('d', 0))
	}
	if o.failed {
		return 1
	}
	if o.has('s') {
		m.depth = 0
	}
	rest := o.rest
	if len(rest) == 0 {
		rest = []string{"."}
	}
	total := int64(0)
	for _, name := range rest {
		var st unix.Stat_t
		if m.look(name, 0, &st) == nil {
			m.device = uint64(st.Dev)
		}
		total += m.measure(name, 0)
	}
	if o.has('c') {
		m.show(total, "total")
	}
	return c.bad
}

// look follows links: all of them with -L, those of the command line with -H.
func (m *measuring) look(name string, depth int, st *unix.Stat_t) error {
	if how := m.o.last("LH"); how == 'L' || how == 'H' && depth == 0 {
		return unix.Stat(name, st)
	}
	return unix.Lstat(name, st)
}

// measure counts each inode once, in blocks of 512 bytes.
func (m *measuring) measure(name string, depth int) int64 {
	var st unix.Stat_t
	if err := m.look(name, depth, &st); err != nil {
		m.errorf("%s: %s", name, reason(err))
		return 0
	}
	if m.o.has('x') && uint64(st.Dev) != m.device {
		return 0
	}
	dir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if (!dir && st.Nlink > 1 && !m.o.has('l')) || m.o.has('L') {
		key := inode{uint64(st.Dev), st.Ino}
		if m.seen[key] {
			return 0
		}
		m.seen[key] = true
	}
	sum := st.Blocks
	if m.o.has('b') {
		sum = st.Size
	}
	if dir {
		entries, err := os.ReadDir(name)
		if err != nil {
			m.errorf("can't open '%s': %s", name, reason(err))
		}
		for _, entry := range entries {
			path := name + "/" + entry.Name()
			if name == "/" {
				path = "/" + entry.Name()
			}
			sum += m.measure(path, depth+1)
		}
	}
	if depth <= m.depth && (dir || m.o.has('a') || depth == 0) {
		m.show(sum, name)
	}
	return sum
}

func (m *measuring) show(blocks int64, name string) {
	text := strconv.FormatInt((blocks+1)/2, 10)
	switch scale := m.o.last("hkm"); {
	case m.o.has('b') && scale == 'h':
		text = human(blocks)
	case m.o.has('b'):
		text = strconv.FormatInt(blocks, 10)
	case scale == 'h':
		text = human(blocks * 512)
	case scale == 'm':
		text = strconv.FormatInt((blocks*512+1<<19)>>20, 10)
	}
	m.print(text, "\t", name, "\n")
}
