package tiny

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// listing is an ls under way.
type listing struct {
	*call
	o     *options
	names *names
	width int
	many  bool // more than one operand: directories get a heading
	first bool
}

type entry struct {
	name string // as shown
	path string
	st   unix.Stat_t
}

func ls(c *call) int {
	o, ok := c.options("1AaCdFhiLHlnpRrStucexTk", "all=a", "almost-all=A", "human-readable=h", "inode=i", "recursive=R", "reverse=r", "color=T")
	if !ok {
		return 1
	}
	rest := o.rest
	if len(rest) == 0 {
		rest = []string{"."}
	}
	l := &listing{call: c, o: o, names: loadNames(o.has('n')), many: len(rest) > 1, first: true}
	if size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil {
		if l.width = int(size.Col); l.width == 0 {
			l.width = 80
		}
	} else if o.has('C') {
		l.width = 80
	}
	var files, dirs []entry
	for _, name := range rest {
		e := entry{name: name, path: name}
		err := unix.Lstat(name, &e.st)
		if err == nil && e.st.Mode&unix.S_IFMT == unix.S_IFLNK && (!l.long() && !o.has('d') || o.has('L') || o.has('H')) {
			var st unix.Stat_t
			if unix.Stat(name, &st) == nil {
				e.st = st
			}
		}
		switch {
		case err != nil:
			c.errorf("%s: %s", name, reason(err))
		case e.st.Mode&unix.S_IFMT == unix.S_IFDIR && !o.has('d'):
			dirs = append(dirs, e)
		default:
			files = append(files, e)
		}
	}
	l.sort(files)
	l.sort(dirs)
	if len(files) > 0 {
		l.show(files, false)
		l.first = false
	}
	for _, d := range dirs {
		l.directory(d.path)
	}
	return c.bad
}

func (l *listing) long() bool { return l.o.has('l') || l.o.has('n') }

func (l *listing) directory(path string) {
	f, err := os.Open(path)
	var found []string
	if err == nil {
		found, err = f.Readdirnames(-1)
		f.Close()
	}
	if l.many || l.o.has('R') {
		if !l.first {
			l.print("\n")
		}
		l.print(path, ":\n")
	}
	l.first = false
	if err != nil {
		l.errorf("can't open '%s': %s", path, reason(err))
		return
	}
	if l.o.has('a') {
		found = append(found, ".", "..")
	}
	var list []entry
	for _, name := range found {
		if strings.HasPrefix(name, ".") && !l.o.has('a') && !l.o.has('A') {
			continue
		}
		e := entry{name: name, path: strings.TrimSuffix(path, "/") + "/" + name}
		look := unix.Lstat
		if l.o.has('L') {
			look = unix.Stat
		}
		if err := look(e.path, &e.st); err != nil {
			l.errorf("%s: %s", e.path, reason(err))
			continue
		}
		list = append(list, e)
	}
	l.sort(list)
	l.show(list, true)
	if !l.o.has('R') {
		return
	}
	for _, e := range list {
		if e.st.Mode&unix.S_IFMT == unix.S_IFDIR && e.name != "." && e.name != ".." {
			l.directory(e.path)
		}
	}
}

func (l *listing) sort(list []entry) {
	slices.SortStableFunc(list, func(a, b entry) int {
		n := 0
		switch {
		case l.o.has('S'):
			n = int(min(max(b.st.Size-a.st.Size, -1), 1))
		case l.o.has('t'):
			n = int(min(max(b.st.Mtim.Nano()-a.st.Mtim.Nano(), -1), 1))
		}
		if n == 0 {
			n = strings.Compare(a.name, b.name)
		}
		if l.o.has('r') {
			n = -n
		}
		return n
	})
}

func (l *listing) show(list []entry, total bool) {
	if l.long() {
		l.showLong(list, total)
		return
	}
	var cells []string
	for _, e := range list {
		cell := e.name + l.suffix(e)
		if l.o.has('i') {
			cell = padLeft(strconv.FormatUint(e.st.Ino, 10), 7) + " " + cell
		}
		cells = append(cells, cell)
	}
	if l.width == 0 || l.o.has('1') {
		for _, cell := range cells {
			l.print(cell, "\n")
		}
		return
	}
	l.columns(cells)
}

// columns shows names down and then across, as wide as the widest.
func (l *listing) columns(cells []string) {
	widest := 1
	for _, cell := range cells {
		widest = max(widest, len([]rune(cell)))
	}
	widest += 2
	across := max(1, l.width/widest)
	down := (len(cells) + across - 1) / across
	for row := range down {
		for i := row; i < len(cells); i += down {
			if l.print(cells[i]); i+down < len(cells) {
				l.print(strings.Repeat(" ", widest-len([]rune(cells[i]))))
			}
		}
		l.print("\n")
	}
}

func (l *listing) suffix(e entry) string {
	kind := e.st.Mode & unix.S_IFMT
	if kind == unix.S_IFDIR && (l.o.has('p') || l.o.has('F')) {
		return "/"
	}
	if !l.o.has('F') {
		return ""
	}
	switch {
	case kind == unix.S_IFLNK && !l.long():
		return "@"
	case kind == unix.S_IFIFO:
		return "|"
	case kind == unix.S_IFSOCK:
		return "="
	case kind == unix.S_IFREG && e.st.Mode&0o111 != 0:
		return "*"
	}
	return ""
}

func (l *listing) showLong(list []entry, total bool) {
	if total {
		blocks := int64(0)
		for _, e := range list {
			blocks += e.st.Blocks
		}
		if l.o.has('h') {
			l.print("total ", human(blocks*512), "\n")
		} else {
			l.printf("total %d\n", blocks/2)
		}
	}
	for _, e := range list {
		if l.o.has('i') {
			l.printf("%7d ", e.st.Ino)
		}
		l.printf("%-10s %4d %-8s %-8s ", modeText(e.st.Mode), e.st.Nlink, l.names.user(int(e.st.Uid)), l.names.group(int(e.st.Gid)))
		switch kind := e.st.Mode & unix.S_IFMT; {
		case kind == unix.S_IFCHR || kind == unix.S_IFBLK:
			l.printf("%4d, %3d ", unix.Major(uint64(e.st.Rdev)), unix.Minor(uint64(e.st.Rdev)))
		case l.o.has('h'):
			l.printf("%9s ", human(e.st.Size))
		default:
			l.printf("%9d ", e.st.Size)
		}
		l.print(l.when(e.st.Mtim), " ", e.name)
		if e.st.Mode&unix.S_IFMT == unix.S_IFLNK {
			target, _ := os.Readlink(e.path)
			l.print(" -> ", target)
		}
		l.print(l.suffix(e), "\n")
	}
}

// when shows the time of a recent file and the year of another.
func (l *listing) when(ts unix.Timespec) string {
	t := time.Unix(ts.Unix())
	if l.o.has('e') {
		return t.Format("Mon Jan _2 15:04:05 2006")
	}
	age := time.Since(t)
	if age > 365*24*time.Hour/2 || age < -15*time.Minute {
		return t.Format("Jan _2  2006")
	}
	return t.Format("Jan _2 15:04")
}

func padLeft(text string, width int) string {
	return strings.Repeat(" ", max(0, width-len(text))) + text
}

// human shows a size as busybox does: 999, 1.5K, 20.0M.
func human(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10)
	}
	value, unit := float64(n), -1
	for value >= 1024 && unit < 5 {
		value /= 1024
		unit++
	}
	// Rounding may reach the next unit: 1023.95K is 1.0M.
	if value >= 1023.95 && unit < 5 {
		value /= 1024
		unit++
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + "KMGTPE"[unit:unit+1]
}
