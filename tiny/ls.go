package tiny

import (
	"cmp"
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
	color bool
	many  bool // more than one operand: directories get a heading
	first bool
}

type entry struct {
	name string // as shown
	path string
	st   unix.Stat_t
}

func ls(c *call) int {
	o, ok := c.options("1AaCdFhiLHlnpRrSstucexw:", "all=a", "almost-all=A", "human-readable=h", "inode=i", "recursive=R", "reverse=r", "color=K?", "full-time=e", "size=s", "width=w")
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
	} else if o.has('C') || o.has('x') {
		l.width = 80
	}
	if o.has('w') {
		l.width = int(o.number('w', 0))
	}
	if l.color, ok = c.colored(o); !ok || o.failed {
		return 1
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

func (l *listing) long() bool { return l.o.has('l') || l.o.has('n') || l.o.has('e') }

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
			n = cmp.Compare(b.st.Size, a.st.Size)
		case l.o.has('t'), !l.long() && l.o.last("cu") != 0: // without -l there is no time to show: it sorts
			x, y := l.time(a), l.time(b)
			n = cmp.Compare(y.Nano(), x.Nano())
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
	if total && l.o.has('s') {
		l.total(list)
	}
	for _, e := range list {
		cells = append(cells, l.prefix(e)+l.painted(e)+l.suffix(e))
	}
	if l.width == 0 || l.o.last("1Cx") == '1' {
		for _, cell := range cells {
			l.print(cell, "\n")
		}
		return
	}
	l.columns(cells)
}

// prefix is what -i and -s put before a name.
func (l *listing) prefix(e entry) (text string) {
	if l.o.has('i') {
		text = padLeft(strconv.FormatUint(e.st.Ino, 10), 7) + " "
	}
	if l.o.has('s') {
		text += padLeft(strconv.FormatInt(e.st.Blocks/2, 10), 6) + " "
	}
	return text
}

func (l *listing) total(list []entry) {
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

// painted is the name in the colour of its kind.
func (l *listing) painted(e entry) string {
	kind := e.st.Mode & unix.S_IFMT
	code := map[uint32]string{unix.S_IFDIR: "1;34", unix.S_IFLNK: "1;36", unix.S_IFIFO: "0;33", unix.S_IFSOCK: "1;35", unix.S_IFCHR: "1;33",
		unix.S_IFBLK: "1;33"}[kind]
	if kind == unix.S_IFREG && e.st.Mode&0o111 != 0 {
		code = "1;32"
	}
	if !l.color || code == "" {
		return e.name
	}
	return "\x1b[" + code + "m" + e.name + "\x1b[m"
}

// breadth is how many columns a cell takes on the screen: colours take none.
func breadth(cell string) int {
	parts := strings.Split(cell, "\x1b[")
	n := len([]rune(parts[0]))
	for _, part := range parts[1:] {
		_, text, _ := strings.Cut(part, "m")
		n += len([]rune(text))
	}
	return n
}

// columns shows names down and then across, or with -x across and then down, as wide as the widest.
func (l *listing) columns(cells []string) {
	widest := 1
	for _, cell := range cells {
		widest = max(widest, breadth(cell))
	}
	widest += 2
	across := max(1, l.width/widest)
	down := (len(cells) + across - 1) / across
	for row := range down {
		first, step, end := row, down, len(cells)
		if l.o.last("Cx") == 'x' {
			first, step, end = row*across, 1, min(len(cells), (row+1)*across)
		}
		for i := first; i < end; i += step {
			if l.print(cells[i]); i+step < end {
				l.print(strings.Repeat(" ", widest-breadth(cells[i])))
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
		l.total(list)
	}
	for _, e := range list {
		l.print(l.prefix(e))
		l.printf("%-10s %4d %-8s %-8s ", modeText(e.st.Mode), e.st.Nlink, l.names.user(int(e.st.Uid)), l.names.group(int(e.st.Gid)))
		switch kind := e.st.Mode & unix.S_IFMT; {
		case kind == unix.S_IFCHR || kind == unix.S_IFBLK:
			l.printf("%4d, %3d ", unix.Major(uint64(e.st.Rdev)), unix.Minor(uint64(e.st.Rdev)))
		case l.o.has('h'):
			l.printf("%9s ", human(e.st.Size))
		default:
			l.printf("%9d ", e.st.Size)
		}
		l.print(l.when(l.time(e)), " ", l.painted(e))
		if e.st.Mode&unix.S_IFMT == unix.S_IFLNK {
			target, _ := os.Readlink(e.path)
			l.print(" -> ", target)
		}
		l.print(l.suffix(e), "\n")
	}
}

// time is the one that is shown and sorted by: of the contents, with -c of the inode, with -u of the last access.
func (l *listing) time(e entry) unix.Timespec {
	switch l.o.last("cu") {
	case 'c':
		return e.st.Ctim
	case 'u':
		return e.st.Atim
	}
	return e.st.Mtim
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
