package tiny

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// finding is a find under way: its expression is a tree of tests.
type finding struct {
	*call
	words    []string
	err      error
	min, max int
	depth    bool
	xdev     bool
	links    bool
	// rootLinks says that links are followed that the command line names.
	rootLinks bool
	acted     bool
	prune     bool // set by -prune for the directory at hand
	stop      bool
	device    uint64
	flush     []func()
	now       time.Time
}

type found struct {
	path  string
	depth int
	st    unix.Stat_t
}

type predicate func(*found) bool

func find(c *call) int {
	f := &finding{call: c, max: 1 << 30, now: time.Now(), words: c.args}
	for len(f.words) > 0 && (f.words[0] == "-L" || f.words[0] == "-H" || f.words[0] == "-P") {
		f.links, f.rootLinks = f.words[0] == "-L", f.words[0] == "-H"
		f.words = f.words[1:]
	}
	var roots []string
	for len(f.words) > 0 && !strings.HasPrefix(f.words[0], "-") && f.words[0] != "(" && f.words[0] != "!" {
		roots = append(roots, f.words[0])
		f.words = f.words[1:]
	}
	if roots == nil {
		roots = []string{"."}
	}
	match := func(*found) bool { return true }
	if len(f.words) > 0 {
		match = f.or()
		if len(f.words) > 0 && f.err == nil {
			f.err = fmt.Errorf("unrecognized: %s", f.words[0])
		}
	}
	if f.err != nil {
		return c.fail("%v", f.err)
	}
	if !f.acted {
		test := match
		match = func(x *found) bool {
			if test(x) {
				c.print(x.path, "\n")
			}
			return true
		}
	}
	for _, root := range roots {
		var st unix.Stat_t
		if unix.Lstat(root, &st) == nil {
			f.device = uint64(st.Dev)
		}
		f.walk(root, 0, match)
	}
	for _, flush := range f.flush {
		flush()
	}
	return c.bad
}

func (f *finding) walk(name string, depth int, match predicate) {
	if f.stop {
		return
	}
	x := &found{path: name, depth: depth}
	err := unix.Lstat(name, &x.st)
	if (f.links || f.rootLinks && depth == 0) && err == nil && x.st.Mode&unix.S_IFMT == unix.S_IFLNK {
		var st unix.Stat_t
		if unix.Stat(name, &st) == nil {
			x.st = st
		}
	}
	if err != nil {
		f.errorf("%s: %s", name, reason(err))
		return
	}
	f.prune = false
	if !f.depth && depth >= f.min {
		match(x)
	}
	if x.st.Mode&unix.S_IFMT == unix.S_IFDIR && !f.prune && depth < f.max && !(f.xdev && uint64(x.st.Dev) != f.device) {
		f.children(name, depth, match)
	}
	if f.depth && depth >= f.min && !f.stop {
		match(x)
	}
}

func (f *finding) children(name string, depth int, match predicate) {
	dir, err := os.Open(name)
	if err != nil {
		f.errorf("%s: %s", name, reason(err))
		return
	}
	found, err := dir.Readdirnames(-1) // the directory's own order, as find shows it
	dir.Close()
	if err != nil {
		f.errorf("%s: %s", name, reason(err))
	}
	for _, child := range found {
		f.walk(strings.TrimSuffix(name, "/")+"/"+child, depth+1, match)
	}
}

func (f *finding) or() predicate {
	left := f.and()
	for len(f.words) > 0 && (f.words[0] == "-o" || f.words[0] == "-or") {
		f.words = f.words[1:]
		a, b := left, f.and()
		left = func(x *found) bool { return a(x) || b(x) }
	}
	return left
}

func (f *finding) and() predicate {
	left := f.not()
	for f.err == nil && len(f.words) > 0 && f.words[0] != "-o" && f.words[0] != "-or" && f.words[0] != ")" {
		if f.words[0] == "-a" || f.words[0] == "-and" {
			f.words = f.words[1:]
		}
		a, b := left, f.not()
		left = func(x *found) bool { return a(x) && b(x) }
	}
	return left
}

func (f *finding) not() predicate {
	if len(f.words) > 0 && (f.words[0] == "!" || f.words[0] == "-not") {
		f.words = f.words[1:]
		p := f.not()
		return func(x *found) bool { return !p(x) }
	}
	return f.primary()
}

func (f *finding) pop(after string) string {
	if len(f.words) == 0 {
		if f.err == nil {
			f.err = fmt.Errorf("%s requires an argument", after)
		}
		return ""
	}
	word := f.words[0]
	f.words = f.words[1:]
	return word
}

func always(*found) bool { return true }

func (f *finding) primary() predicate {
	word := f.pop("expression")
	switch word {
	case "(":
		p := f.or()
		if f.pop("(") != ")" && f.err == nil {
			f.err = fmt.Errorf("unmatched (")
		}
		return p
	case "-true":
		return always
	case "-false":
		return func(*found) bool { return false }
	case "-depth":
		f.depth = true
		return always
	case "-xdev", "-mount":
		f.xdev = true
		return always
	case "-follow":
		f.links = true
		return always
	case "-maxdepth", "-mindepth":
		n, err := strconv.Atoi(f.pop(word))
		if err != nil && f.err == nil {
			f.err = fmt.Errorf("invalid number after %s", word)
		}
		if word == "-maxdepth" {
			f.max = n
		} else {
			f.min = n
		}
		return always
	case "-print", "-print0":
		f.acted = true
		end := map[string]string{"-print": "\n", "-print0": "\x00"}[word]
		return func(x *found) bool { f.print(x.path, end); return true }
	case "-prune":
		return func(*found) bool { f.prune = true; return true }
	case "-quit":
		f.acted = true
		return func(*found) bool { f.stop = true; return true }
	case "-delete":
		f.acted, f.depth = true, true
		return f.delete
	case "-exec":
		f.acted = true
		return f.exec()
	case "-ls":
		f.acted = true
		return f.long
	case "-empty":
		return empty
	}
	return f.test(word)
}

func (f *finding) test(word string) predicate {
	value := ""
	if word == "-name" || word == "-iname" || word == "-path" || word == "-wholename" || word == "-type" || word == "-size" || word == "-perm" ||
		word == "-user" || word == "-group" || word == "-newer" || word == "-mtime" || word == "-atime" || word == "-ctime" || word == "-mmin" ||
		word == "-links" || word == "-inum" || word == "-uid" || word == "-gid" {
		value = f.pop(word)
	}
	switch word {
	case "-name":
		return func(x *found) bool { return glob(value, lastPart(x.path)) }
	case "-iname":
		return func(x *found) bool { return glob(strings.ToLower(value), strings.ToLower(lastPart(x.path))) }
	case "-path", "-wholename":
		return func(x *found) bool { return globPath(value, x.path) }
	case "-type":
		kind, ok := map[string]uint32{"f": unix.S_IFREG, "d": unix.S_IFDIR, "l": unix.S_IFLNK, "c": unix.S_IFCHR, "b": unix.S_IFBLK,
			"p": unix.S_IFIFO, "s": unix.S_IFSOCK}[value]
		if !ok {
			f.err = fmt.Errorf("unknown type '%s'", value)
		}
		return func(x *found) bool { return x.st.Mode&unix.S_IFMT == kind }
	case "-size":
		return f.size(value)
	case "-perm":
		return f.perm(value)
	case "-user", "-uid":
		id, err := strconv.Atoi(value)
		if u, failure := userNamed(value); failure == nil {
			id, err = u.uid, nil
		}
		if err != nil {
			f.err = fmt.Errorf("unknown user %s", value)
		}
		return func(x *found) bool { return int(x.st.Uid) == id }
	case "-group", "-gid":
		id, err := groupID(value)
		if err != nil {
			f.err = err
		}
		return func(x *found) bool { return int(x.st.Gid) == id }
	case "-newer":
		var st unix.Stat_t
		if err := unix.Stat(value, &st); err != nil {
			f.err = fmt.Errorf("%s: %s", value, reason(err))
		}
		return func(x *found) bool { return x.st.Mtim.Nano() > st.Mtim.Nano() }
	case "-mtime", "-mmin", "-atime", "-ctime":
		unit := 24 * time.Hour
		if word == "-mmin" {
			unit = time.Minute
		}
		return f.number(value, func(x *found) int64 {
			ts := map[byte]unix.Timespec{'m': x.st.Mtim, 'a': x.st.Atim, 'c': x.st.Ctim}[word[1]]
			return int64(f.now.Sub(time.Unix(ts.Unix())) / unit)
		})
	case "-links":
		return f.number(value, func(x *found) int64 { return int64(x.st.Nlink) })
	case "-inum":
		return f.number(value, func(x *found) int64 { return int64(x.st.Ino) })
	}
	if f.err == nil {
		f.err = fmt.Errorf("unrecognized: %s", word)
	}
	return always
}

// number compares as +N, -N and N do.
func (f *finding) number(text string, of func(*found) int64) predicate {
	sign := byte(0)
	if text != "" && (text[0] == '+' || text[0] == '-') {
		sign, text = text[0], text[1:]
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f.err = fmt.Errorf("invalid number '%s'", text)
	}
	return func(x *found) bool {
		switch v := of(x); sign {
		case '+':
			return v > n
		case '-':
			return v < n
		default:
			return v == n
		}
	}
}

func (f *finding) size(text string) predicate {
	unit := int64(512)
	if text != "" {
		if u, ok := map[byte]int64{'c': 1, 'b': 512, 'k': 1024, 'M': 1 << 20, 'G': 1 << 30, 'w': 2}[text[len(text)-1]]; ok {
			unit, text = u, text[:len(text)-1]
		}
	}
	return f.number(text, func(x *found) int64 { return (x.st.Size + unit - 1) / unit })
}

func (f *finding) perm(text string) predicate {
	sign := byte(0)
	if text != "" && (text[0] == '-' || text[0] == '/' || text[0] == '+') {
		sign, text = text[0], text[1:]
	}
	want, err := parseMode(text, 0, false)
	if err != nil {
		f.err = fmt.Errorf("invalid mode '%s'", text)
	}
	return func(x *found) bool {
		mode := x.st.Mode & 0o7777
		switch sign {
		case '-':
			return mode&want == want
		case 0:
			return mode == want
		}
		return want == 0 || mode&want != 0
	}
}

func empty(x *found) bool {
	switch x.st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return x.st.Size == 0
	case unix.S_IFDIR:
		entries, err := os.ReadDir(x.path)
		return err == nil && len(entries) == 0
	}
	return false
}

func (f *finding) delete(x *found) bool {
	if x.path == "." {
		return true
	}
	var err error
	if x.st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = unix.Rmdir(x.path)
	} else {
		err = unix.Unlink(x.path)
	}
	if err != nil {
		f.errorf("%s: %s", x.path, reason(err))
	}
	return err == nil
}

func (f *finding) long(x *found) bool {
	l := &listing{call: f.call, o: &options{order: []option{{letter: 'l'}}}, names: loadNames(false)}
	f.printf("%7d %6d ", x.st.Ino, x.st.Blocks/2)
	l.showLong([]entry{{name: x.path, path: x.path, st: x.st}}, false)
	return true
}

// exec reads -exec COMMAND {} ; or -exec COMMAND {} + .
func (f *finding) exec() predicate {
	var words []string
	for {
		word := f.pop("-exec")
		if f.err != nil {
			return always
		}
		if word == ";" {
			return func(x *found) bool { return f.command(replaced(words, x.path)) }
		}
		if word == "+" && len(words) > 0 && words[len(words)-1] == "{}" {
			break
		}
		words = append(words, word)
	}
	words = words[:len(words)-1]
	var paths []string
	run := func() {
		if len(paths) > 0 && !f.command(append(append([]string{}, words...), paths...)) {
			f.bad = 1
		}
		paths = nil
	}
	f.flush = append(f.flush, run)
	return func(x *found) bool {
		if paths = append(paths, x.path); len(paths) == 1000 {
			run()
		}
		return true
	}
}

func replaced(words []string, by string) []string {
	list := make([]string, len(words))
	for i, word := range words {
		list[i] = strings.ReplaceAll(word, "{}", by)
	}
	return list
}

func (f *finding) command(words []string) bool {
	f.out.Flush()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		f.errorf("%s: %s", words[0], execReason(err))
	}
	return err == nil
}

// execReason words the failure of os/exec to start something.
func execReason(err error) string {
	if e, ok := err.(*exec.Error); ok && e.Err == exec.ErrNotFound {
		return "No such file or directory"
	}
	return reason(err)
}

func glob(pattern, name string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "[!", "[^"), name)
	return ok && err == nil
}

// globPath lets * match slashes, as fnmatch(3) does without FNM_PATHNAME.
func globPath(pattern, name string) bool {
	return glob(strings.ReplaceAll(pattern, "/", "\x01"), strings.ReplaceAll(name, "/", "\x01"))
}
