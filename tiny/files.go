package tiny

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func fileApplets() []applet {
	return []applet{
		{"basename", basename, "FILE [SUFFIX]"},
		{"cat", cat, "[-nbvteAETsu] [FILE]..."},
		{"chgrp", chown, "[-Rhcvf] GROUP FILE..."},
		{"chmod", chmod, "[-Rcvf] MODE[,MODE]... FILE..."},
		{"chown", chown, "[-Rhcvf] USER[:[GROUP]] FILE..."},
		{"cp", cp, "[-adrRPLHpfinuvT] SOURCE... DEST"},
		{"dd", dd, "[if=FILE] [of=FILE] [bs=N] [ibs=N] [obs=N] [count=N] [skip=N] [seek=N] [conv=LIST] [iflag=LIST] [oflag=append] [status=none|noxfer]"},
		{"df", df, "[-hkmTiPa] [-t TYPE] [FILE]..."},
		{"dirname", dirname, "FILE"},
		{"du", du, "[-ahskmcxlbLH] [-d N] [FILE]..."},
		{"find", find, "[PATH]... [EXPRESSION]"},
		{"gunzip", gzips, "[-cdfkt] [FILE]..."},
		{"gzip", gzips, "[-cdfknt123456789] [FILE]..."},
		{"ln", ln, "[-sfnvT] TARGET... LINK|DIR"},
		{"ls", ls, "[-1AaCxdFhHiLlenpRrsStcu] [-w COLUMNS] [--color[=WHEN]] [FILE]..."},
		{"md5sum", sum, "[-c [-sw]] [FILE]..."},
		{"mkdir", mkdir, "[-pv] [-m MODE] DIRECTORY..."},
		{"mkfifo", mkfifo, "[-m MODE] NAME..."},
		{"mknod", mknod, "[-m MODE] NAME b|c|p [MAJOR MINOR]"},
		{"mktemp", mktemp, "[-dqut] [-p DIR] [TEMPLATE]"},
		{"mv", mv, "[-finuvT] SOURCE... DEST"},
		{"readlink", readlink, "[-fnv] FILE"},
		{"realpath", realpath, "FILE..."},
		{"rm", rm, "[-irRfv] FILE..."},
		{"rmdir", rmdir, "[-p] DIRECTORY..."},
		{"sha1sum", sum, "[-c [-sw]] [FILE]..."},
		{"sha256sum", sum, "[-c [-sw]] [FILE]..."},
		{"stat", stat, "[-Lft] [-c FORMAT] FILE..."},
		{"sync", func(c *call) int { return c.bare(unix.Sync) }, ""},
		{"tar", tarball, "c|x|t[zavOkphmo] [-f FILE] [-C DIR] [-T FILE] [-X FILE] [--exclude PATTERN] [FILE]..."},
		{"touch", touch, "[-cahm] [-d DATE | -t DATE | -r FILE] FILE..."},
		{"truncate", truncate, "[-c] -s SIZE FILE..."},
		{"zcat", gzips, "[-cdt] [FILE]..."},
	}
}

func basename(c *call) int {
	o, ok := c.options("+")
	if !ok || len(o.rest) == 0 || len(o.rest) > 2 {
		return c.misused("")
	}
	name := lastPart(o.rest[0])
	if len(o.rest) == 2 && name != o.rest[1] {
		name = strings.TrimSuffix(name, o.rest[1])
	}
	c.print(name, "\n")
	return 0
}

// lastPart is basename(3)'s: a path of slashes is "/".
func lastPart(path string) string {
	trimmed := strings.TrimRight(path, "/")
	if trimmed == "" && path != "" {
		return "/"
	}
	return trimmed[strings.LastIndexByte(trimmed, '/')+1:]
}

func dirname(c *call) int {
	o, ok := c.options("+")
	if !ok || len(o.rest) != 1 {
		return c.misused("")
	}
	path := strings.TrimRight(o.rest[0], "/")
	at := strings.LastIndexByte(path, '/')
	switch {
	case path == "" && o.rest[0] != "":
		path = "/"
	case at < 0:
		path = "."
	default:
		if path = strings.TrimRight(path[:at], "/"); path == "" {
			path = "/"
		}
	}
	c.print(path, "\n")
	return 0
}

func cat(c *call) int {
	o, ok := c.options("nbvteAuEsT")
	if !ok {
		return 1
	}
	if strings.Trim(o.letters(), "u") == "" { // -u asks for what this does: no byte waits for others
		return c.eachOpened(o.rest, func(name string, r io.Reader) {
			c.out.Flush()
			if _, err := io.Copy(os.Stdout, plain{r}); err != nil {
				c.errorf("%s: %s", name, copyReason(err))
			}
		})
	}
	number, blank, empty := 0, o.has('b'), false
	return c.eachOpened(o.rest, func(_ string, r io.Reader) {
		lines(r, func(line []byte, last bool) bool {
			if o.has('s') && empty && len(line) == 0 {
				return true
			}
			empty = len(line) == 0
			if (o.has('n') && !blank) || blank && len(line) > 0 {
				number++
				c.printf("%6d\t", number)
			}
			c.print(o.visible(line))
			if o.has('e') || o.has('A') || o.has('E') {
				if !last {
					c.print("$")
				}
			}
			if !last || o.has('n') || blank {
				c.print("\n")
			}
			if o.has('u') {
				c.out.Flush()
			}
			return true
		})
	})
}

// plain hides the methods of a file, so that io.Copy reads and writes: sendfile and splice refuse some files of /proc and ttys.
type plain struct{ io.Reader }

func copyReason(err error) string { return strings.ToLower(reason(err)[:1]) + reason(err)[1:] }

func (o *options) visible(line []byte) string {
	if !o.has('v') && !o.has('e') && !o.has('t') && !o.has('A') && !o.has('T') {
		return string(line)
	}
	var b strings.Builder
	for _, ch := range line {
		if ch >= 128 && !o.has('T') {
			b.WriteString("M-")
			ch -= 128
		}
		switch {
		case ch == '\t' && !o.has('t') && !o.has('A') && !o.has('T'):
			b.WriteByte(ch)
		case ch < 32:
			b.WriteByte('^')
			b.WriteByte(ch + 64)
		case ch == 127:
			b.WriteString("^?")
		default:
			b.WriteByte(ch)
		}
	}
	return b.String()
}

func mkdir(c *call) int {
	o, ok := c.options("pvm:", "parents=p", "mode=m", "verbose=v")
	if !ok {
		return 1
	}
	if len(o.rest) == 0 {
		return c.misused("")
	}
	mode, err := parseMode(o.value('m', "777"), 0o777, true)
	if err != nil {
		return c.fail("invalid mode '%s'", o.value('m', ""))
	}
	for _, name := range o.rest {
		err := unix.Mkdir(name, mode&0o777)
		if o.has('p') && err == unix.ENOENT {
			err = os.MkdirAll(name, 0o777)
		}
		if o.has('p') && err == unix.EEXIST {
			if info, failure := os.Stat(name); failure == nil && info.IsDir() {
				continue
			}
		}
		if err == nil && o.has('m') {
			err = unix.Chmod(name, mode)
		}
		if err != nil {
			c.errorf("can't create directory '%s': %s", name, reason(err))
		} else if o.has('v') {
			c.printf("created directory: '%s'\n", name)
		}
	}
	return c.bad
}

func rmdir(c *call) int {
	o, ok := c.options("p", "parents=p", "ignore-fail-on-non-empty=N")
	if !ok {
		return 1
	}
	if len(o.rest) == 0 {
		return c.misused("")
	}
	for _, name := range o.rest {
		for {
			if err := unix.Rmdir(name); err != nil {
				if err == unix.ENOTEMPTY && o.has('N') {
					break
				}
				c.errorf("'%s': %s", name, reason(err))
				break
			}
			parent := filepath.Dir(name)
			if !o.has('p') || parent == "." || parent == "/" {
				break
			}
			name = parent
		}
	}
	return c.bad
}

func rm(c *call) int {
	o, ok := c.options("rRfiv", "recursive=r", "force=f", "verbose=v")
	if !ok {
		return 1
	}
	if len(o.rest) == 0 {
		if o.has('f') {
			return 0
		}
		return c.misused("")
	}
	for _, name := range o.rest {
		last := lastPart(name)
		if last == "." || last == ".." {
			c.errorf("can't remove '.' or '..'")
			continue
		}
		if last == "/" {
			c.errorf("can't remove '/'")
			continue
		}
		c.remove(o, name)
	}
	return c.bad
}

func (c *call) remove(o *options, name string) {
	info, err := os.Lstat(name)
	if err != nil {
		if !(o.has('f') && os.IsNotExist(err)) {
			c.errorf("can't remove '%s': %s", name, reason(err))
		}
		return
	}
	if info.IsDir() {
		if !o.has('r') && !o.has('R') {
			c.errorf("'%s' is a directory", name)
			return
		}
		if o.has('i') && !c.agreed("descend into directory '%s'? ", name) {
			return
		}
		entries, err := os.ReadDir(name)
		if err != nil {
			c.errorf("can't open '%s': %s", name, reason(err))
		}
		for _, entry := range entries {
			c.remove(o, name+"/"+entry.Name())
		}
		if o.has('i') && !c.agreed("remove directory '%s'? ", name) {
			return
		}
		err = unix.Rmdir(name)
		if err != nil {
			c.errorf("can't remove '%s': %s", name, reason(err))
		} else if o.has('v') {
			c.printf("removed directory: '%s'\n", name)
		}
		return
	}
	if o.has('i') && !c.agreed("remove '%s'? ", name) {
		return
	}
	if err := unix.Unlink(name); err != nil {
		c.errorf("can't remove '%s': %s", name, reason(err))
	} else if o.has('v') {
		c.printf("removed '%s'\n", name)
	}
}

// agreed asks on stderr; only y is yes.
func (c *call) agreed(question string, args ...any) bool {
	c.out.Flush()
	io.WriteString(c.err, c.name+": ")
	ask := &call{out: c.out, err: c.err}
	ask.printf(question, args...)
	c.out.Flush()
	answer := false
	var buf [1]byte
	for first := true; ; first = false {
		n, err := c.in.Read(buf[:])
		if n == 0 || err != nil || buf[0] == '\n' {
			return answer
		}
		if first {
			answer = buf[0] == 'y' || buf[0] == 'Y'
		}
	}
}

func ln(c *call) int {
	o, ok := c.options("sfnvT", "symbolic=s", "force=f", "no-dereference=n", "verbose=v")
	if !ok {
		return 1
	}
	if len(o.rest) == 0 {
		return c.misused("")
	}
	targets, dest := o.rest, "."
	if len(targets) > 1 {
		dest, targets = targets[len(targets)-1], targets[:len(targets)-1]
	}
	for _, target := range targets {
		path := dest
		info, err := os.Stat(dest)
		if o.has('n') || o.has('T') {
			info, err = os.Lstat(dest)
		}
		if err == nil && info.IsDir() && !o.has('T') {
			path = strings.TrimRight(dest, "/") + "/" + lastPart(target)
		} else if len(targets) > 1 {
			return c.fail("target '%s' is not a directory", dest)
		}
		if o.has('f') {
			unix.Unlink(path)
		}
		if o.has('s') {
			err = unix.Symlink(target, path)
		} else {
			err = unix.Link(target, path)
		}
		if err != nil {
			c.errorf("%s: %s", path, reason(err))
		} else if o.has('v') {
			c.printf("'%s' -> '%s'\n", path, target)
		}
	}
	return c.bad
}

func readlink(c *call) int {
	o, ok := c.options("fnv", "canonicalize=f")
	if !ok {
		return 1
	}
	if len(o.rest) != 1 {
		return c.misused("")
	}
	var path string
	var err error
	if o.has('f') {
		path, err = canonical(o.rest[0])
	} else {
		path, err = os.Readlink(o.rest[0])
	}
	if err != nil {
		if o.has('v') {
			c.errorf("%s: %s", o.rest[0], reason(err))
		}
		return 1
	}
	if c.print(path); !o.has('n') {
		c.print("\n")
	}
	return 0
}

// canonical resolves all links; the last part need not exist.
func canonical(path string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	resolved, err := filepath.EvalSymlinks(full)
	if err == nil {
		return resolved, nil
	}
	if target, failure := os.Readlink(full); failure == nil {
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(full), target)
		}
		full = target
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(full))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(full)), nil
}

func realpath(c *call) int {
	o, ok := c.options("")
	if !ok || len(o.rest) == 0 {
		return c.misused("")
	}
	for _, name := range o.rest {
		path, err := canonical(name)
		if err != nil {
			c.errorf("%s: %s", name, reason(err))
			continue
		}
		c.print(path, "\n")
	}
	return c.bad
}

func touch(c *call) int {
	o, ok := c.options("camhd:t:r:", "no-create=c", "date=d", "reference=r")
	if !ok {
		return 1
	}
	if len(o.rest) == 0 {
		return c.misused("")
	}
	now := time.Now()
	times := []unix.Timespec{unix.NsecToTimespec(now.UnixNano()), unix.NsecToTimespec(now.UnixNano())}
	if reference := o.value('r', ""); reference != "" {
		var st unix.Stat_t
		if err := unix.Stat(reference, &st); err != nil {
			return c.fail("%s: %s", reference, reason(err))
		}
		times = []unix.Timespec{st.Atim, st.Mtim}
	}
	if date := o.value('d', o.value('t', "")); date != "" {
		at, err := parseDate(date, now)
		if err != nil {
			return c.fail("invalid date '%s'", date)
		}
		times = []unix.Timespec{unix.NsecToTimespec(at.UnixNano()), unix.NsecToTimespec(at.UnixNano())}
	}
	if o.has('a') != o.has('m') {
		keep := 0
		if o.has('a') {
			keep = 1
		}
		times[keep].Nsec = unix.UTIME_OMIT
	}
	flags := 0
	if o.has('h') {
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	for _, name := range o.rest {
		err := unix.UtimesNanoAt(unix.AT_FDCWD, name, times, flags)
		if err == unix.ENOENT {
			if o.has('c') {
				continue
			}
			var fd int
			if fd, err = unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o666); err == nil {
				unix.Close(fd)
				if o.has('r') || o.has('d') || o.has('t') {
					err = unix.UtimesNanoAt(unix.AT_FDCWD, name, times, flags)
				}
			}
		}
		if err != nil {
			c.errorf("%s: %s", name, reason(err))
		}
	}
	return c.bad
}

func mkfifo(c *call) int {
	o, ok := c.options("m:", "mode=m")
	if !ok || len(o.rest) == 0 {
		return c.misused("")
	}
	mode, err := parseMode(o.value('m', "666"), 0o666, false)
	if err != nil {
		return c.fail("invalid mode '%s'", o.value('m', ""))
	}
	for _, name := range o.rest {
		if err := unix.Mkfifo(name, mode); err != nil {
			c.errorf("%s: %s", name, reason(err))
		}
	}
	return c.bad
}

func mknod(c *call) int {
	o, ok := c.options("m:", "mode=m")
	if !ok || len(o.rest) < 2 {
		return c.misused("")
	}
	mode, err := parseMode(o.value('m', "666"), 0o666, false)
	if err != nil {
		return c.fail("invalid mode '%s'", o.value('m', ""))
	}
	name, kind, dev := o.rest[0], o.rest[1], uint64(0)
	switch {
	case kind == "p" && len(o.rest) == 2:
		mode |= unix.S_IFIFO
	case len(o.rest) == 4 && (kind == "c" || kind == "u" || kind == "b"):
		mode |= unix.S_IFCHR
		if kind == "b" {
			mode = mode&^unix.S_IFMT | unix.S_IFBLK
		}
		major, err1 := strconv.ParseUint(o.rest[2], 0, 32)
		minor, err2 := strconv.ParseUint(o.rest[3], 0, 32)
		if err1 != nil || err2 != nil {
			return c.fail("invalid number '%s'", o.rest[2]+" "+o.rest[3])
		}
		dev = unix.Mkdev(uint32(major), uint32(minor))
	default:
		return c.misused("")
	}
	if err := unix.Mknod(name, mode, int(dev)); err != nil {
		return c.fail("%s: %s", name, reason(err))
	}
	return 0
}

func mktemp(c *call) int {
	o, ok := c.options("dqutp:", "directory=d", "quiet=q", "dry-run=u", "tmpdir=p")
	if !ok {
		return 1
	}
	dir := o.value('p', os.Getenv("TMPDIR"))
	if dir == "" {
		dir = "/tmp"
	}
	template := dir + "/tmp.XXXXXX"
	if len(o.rest) > 0 {
		template = o.rest[0]
		if o.has('t') || o.has('p') {
			template = dir + "/" + template
		}
	}
	path, err := temporary(template, o.has('d'))
	if err != nil {
		if o.has('q') {
			return 1
		}
		return c.fail("%s: %s", template, reason(err))
	}
	if o.has('u') {
		os.Remove(path)
	}
	c.print(path, "\n")
	return 0
}

// temporary replaces the X at the end of a template by what no file has yet, and makes the file or directory.
func temporary(template string, dir bool) (string, error) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	stem := strings.TrimRight(template, "X")
	if len(template)-len(stem) < 6 {
		return "", unix.EINVAL
	}
	for range 1000 {
		path := stem
		for range len(template) - len(stem) {
			n := rand.IntN(len(letters))
			path += letters[n : n+1]
		}
		var err error
		if dir {
			err = unix.Mkdir(path, 0o700)
		} else {
			var fd int
			if fd, err = unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600); err == nil {
				unix.Close(fd)
			}
		}
		if err != unix.EEXIST {
			return path, err
		}
	}
	return "", unix.EEXIST
}

func truncate(c *call) int {
	o, ok := c.options("cs:", "size=s", "no-create=c")
	if !ok || len(o.rest) == 0 || !o.has('s') {
		return c.misused("")
	}
	word := o.value('s', "")
	relative := strings.HasPrefix(word, "+") || strings.HasPrefix(word, "-")
	n, err := size(word)
	if err != nil {
		return c.fail("invalid number '%s'", word)
	}
	flags := os.O_WRONLY | os.O_CREATE
	if o.has('c') {
		flags = os.O_WRONLY
	}
	for _, name := range o.rest {
		f, err := os.OpenFile(name, flags, 0o666)
		if err != nil {
			if !(o.has('c') && os.IsNotExist(err)) {
				c.errorf("%s: %s", name, reason(err))
			}
			continue
		}
		want := n
		if info, failure := f.Stat(); relative && failure == nil {
			want = max(0, info.Size()+n)
		}
		if err := f.Truncate(want); err != nil {
			c.errorf("%s: %s", name, reason(err))
		}
		f.Close()
	}
	return c.bad
}
