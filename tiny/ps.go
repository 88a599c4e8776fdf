package tiny

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"glassbox/tiny/signals"
)

// proc is a process as /proc tells of it (proc_pid_stat(5)).
type proc struct {
	pid, ppid, pgid, sid int
	group                int // the process: that of a thread is its leader's
	uid, gid             int
	comm, state, args    string
	tty                  int
	ticks                uint64 // of CPU time, user and system
	started              uint64 // in ticks after boot
	vsz, rss             int64  // KiB
	nice, threads        int
}

// tick is a hundredth of a second: USER_HZ on every Linux.
const tick = 10 * time.Millisecond

func processes() (list []proc) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, ok := readProcess(pid); ok {
				list = append(list, p)
			}
		}
	}
	slices.SortFunc(list, func(a, b proc) int { return a.pid - b.pid })
	return list
}

// threads are the threads of the processes, each as if it were one; the name in braces is the thread's own.
func threads(list []proc) (all []proc) {
	for _, leader := range list {
		dir := "/proc/" + strconv.Itoa(leader.pid) + "/task"
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			tid, _ := strconv.Atoi(e.Name())
			if p, ok := readTask(dir+"/"+e.Name(), tid); ok {
				p.group = leader.pid
				all = append(all, p)
			}
		}
	}
	slices.SortFunc(all, func(a, b proc) int { return a.pid - b.pid })
	return all
}

func readProcess(pid int) (p proc, ok bool) { return readTask("/proc/"+strconv.Itoa(pid), pid) }

func readTask(dir string, pid int) (p proc, ok bool) {
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return p, false
	}
	text := contents(dir + "/stat")
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return p, false
	}
	f := strings.Fields(text[end+1:])
	if len(f) < 22 {
		return p, false
	}
	number := func(i int) int { n, _ := strconv.Atoi(f[i]); return n }
	big := func(i int) uint64 { n, _ := strconv.ParseUint(f[i], 10, 64); return n }
	p = proc{pid: pid, group: pid, uid: int(st.Uid), gid: int(st.Gid), comm: text[open+1 : end], state: f[0], ppid: number(1), pgid: number(2), sid: number(3),
		tty: number(4), ticks: big(11) + big(12), nice: number(16), threads: number(17), started: big(19), vsz: int64(big(20) >> 10),
		rss: int64(big(21)) * int64(os.Getpagesize()) >> 10}
	for _, flag := range []struct {
		on     bool
		letter string
	}{{p.rss == 0 && p.state != "Z", "W"}, {p.nice < 0, "<"}, {p.nice > 0, "N"}} {
		if flag.on {
			p.state += flag.letter
		}
	}
	p.args = strings.TrimRight(strings.ReplaceAll(contents(dir+"/cmdline"), "\x00", " "), " ")
	p.args = strings.Map(func(r rune) rune {
		if r < ' ' {
			return '?'
		}
		return r
	}, p.args)
	return p, true
}

// command is busybox's: the arguments, or [name] for a kernel thread or a zombie; the name in braces when argv[0] hides it.
func (p *proc) command() string {
	if p.args == "" {
		return "[" + p.comm + "]"
	}
	first, _, _ := strings.Cut(p.args, " ")
	name := strings.TrimPrefix(lastPart(first), "-")
	if !strings.HasPrefix(name, p.comm) && !(len(p.comm) == 15 && strings.HasPrefix(name, p.comm)) {
		return "{" + p.comm + "} " + p.args
	}
	return p.args
}

func (p *proc) time() string {
	seconds := int(time.Duration(p.ticks) * tick / time.Second)
	if seconds >= 3600*10 {
		return fmt.Sprintf("%dh%02d", seconds/3600, seconds/60%60)
	}
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

func (p *proc) terminal() string {
	if p.tty == 0 {
		return "?"
	}
	major, minor := unix.Major(uint64(p.tty)), unix.Minor(uint64(p.tty))
	switch {
	case major >= 136 && major < 144:
		return "pts/" + strconv.Itoa(int(minor+(major-136)*256))
	case major == 4 && minor < 64:
		return "tty" + strconv.Itoa(int(minor))
	case major == 4:
		return "ttyS" + strconv.Itoa(int(minor-64))
	case major == 5 && minor == 1:
		return "console"
	}
	return fmt.Sprintf("%d,%d", major, minor)
}

func uptimeNow() time.Duration {
	seconds, _ := strconv.ParseFloat(strings.Fields(readLine("/proc/uptime") + " 0")[0], 64)
	return time.Duration(seconds * float64(time.Second))
}

// column is one that -o knows.
type column struct {
	header string
	width  int // negative: to the right
	of     func(*proc) string
}

func columns(name string, n *names) (column, bool) {
	switch name {
	case "pid":
		return column{"PID", -5, func(p *proc) string { return strconv.Itoa(p.pid) }}, true
	case "ppid":
		return column{"PPID", -5, func(p *proc) string { return strconv.Itoa(p.ppid) }}, true
	case "pgid", "pgrp":
		return column{"PGID", -5, func(p *proc) string { return strconv.Itoa(p.pgid) }}, true
	case "sid", "sess", "session":
		return column{"SID", -5, func(p *proc) string { return strconv.Itoa(p.sid) }}, true
	case "user", "euser", "uname":
		return column{"USER", 8, func(p *proc) string { return n.user(p.uid) }}, true
	case "uid":
		return column{"UID", -5, func(p *proc) string { return strconv.Itoa(p.uid) }}, true
	case "group", "egroup":
		return column{"GROUP", 8, func(p *proc) string { return n.group(p.gid) }}, true
	case "gid":
		return column{"GID", -5, func(p *proc) string { return strconv.Itoa(p.gid) }}, true
	case "comm", "ucomm":
		return column{"COMMAND", 16, func(p *proc) string { return p.comm }}, true
	case "args", "cmd", "command":
		return column{"COMMAND", 256, (*proc).command}, true
	case "time", "cputime":
		return column{"TIME", 6, (*proc).time}, true
	case "etime":
		return column{"ELAPSED", 7, func(p *proc) string {
			s := int((uptimeNow() - time.Duration(p.started)*tick).Seconds())
			return fmt.Sprintf("%d:%02d", s/60, s%60)
		}}, true
	case "tty", "tt":
		return column{"TT", 6, (*proc).terminal}, true
	case "stat", "state", "s":
		return column{"STAT", 4, func(p *proc) string { return p.state }}, true
	case "nice", "ni":
		return column{"NI", -5, func(p *proc) string { return strconv.Itoa(p.nice) }}, true
	case "vsz":
		return column{"VSZ", 5, func(p *proc) string { return memoryText(p.vsz) }}, true
	case "rss":
		return column{"RSS", 4, func(p *proc) string { return memoryText(p.rss) }}, true
	case "nlwp", "thcount":
		return column{"NLWP", -4, func(p *proc) string { return strconv.Itoa(p.threads) }}, true
	case "%cpu", "pcpu":
		return column{"%CPU", -4, func(p *proc) string {
			alive := uptimeNow() - time.Duration(p.started)*tick
			return fmt.Sprintf("%.1f", 100*float64(time.Duration(p.ticks)*tick)/float64(max(alive, time.Second)))
		}}, true
	case "%mem", "pmem":
		total := max(memory()["MemTotal"], 1)
		return column{"%MEM", -4, func(p *proc) string { return fmt.Sprintf("%.1f", 100*float64(p.rss)/float64(total)) }}, true
	case "pidns", "netns", "mntns", "utsns", "ipcns", "userns", "cgroupns":
		kind := strings.TrimSuffix(name, "ns")
		return column{strings.ToUpper(name), -10, func(p *proc) string {
			link, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", p.pid, kind))
			return strings.Trim(link[strings.IndexByte(link, '[')+1:], "]")
		}}, true
	}
	return column{}, false
}

func ps(c *call) int {
	var words []string
	chosen, owners := map[int]bool{}, map[int]bool{}
	style, threaded, list := "", false, processes()
	for args := c.args; len(args) > 0; args = args[1:] {
		word := args[0]
		value := func(after string) string {
			if after == "" && len(args) > 1 {
				args = args[1:]
				return args[0]
			}
			return after
		}
		switch {
		case word == "--help":
			return c.help()
		case strings.HasPrefix(word, "-o"):
			words = append(words, strings.FieldsFunc(value(word[2:]), func(r rune) bool { return r == ',' })...)
		case strings.HasPrefix(word, "-p"):
			for text := range strings.SplitSeq(value(word[2:]), ",") {
				pid, err := strconv.Atoi(text)
				if err != nil {
					return c.fail("bad pid '%s'", text)
				}
				chosen[pid] = true
			}
		case word == "-u" || strings.HasPrefix(word, "-u"):
			for name := range strings.SplitSeq(value(word[2:]), ",") {
				uid, err := strconv.Atoi(name)
				if u, failure := userNamed(name); failure == nil {
					uid, err = u.uid, nil
				}
				if err != nil {
					return c.fail("unknown user %s", name)
				}
				owners[uid] = true
			}
		default:
			// All processes are shown anyhow: a, x, e and A, which widen a selection, find nothing to add. u is BSD's, also behind the
			// dash of `ps -aux`, and f System V's.
			letters, dashed := strings.CutPrefix(word, "-")
			known := "axuwl"
			if dashed && !(strings.Contains(letters, "a") && strings.Contains(letters, "x")) {
				known = "eAxflwT"
			}
			if bad := strings.Trim(letters, known); bad != "" || letters == "" {
				return c.misused("invalid option -- '%.1s'", bad)
			}
			for _, letter := range letters {
				switch letter {
				case 'f', 'l', 'u':
					style = string(letter)
				case 'w':
					c.wide = true
				case 'T':
					threaded = true
				}
			}
		}
	}
	if threaded {
		list = threads(list)
	}
	n := loadNames(false)
	if len(chosen)+len(owners) > 0 {
		list = slices.DeleteFunc(list, func(p proc) bool { return !chosen[p.group] && !owners[p.uid] })
		if len(list) == 0 {
			c.bad = 1
		}
	}
	switch {
	case len(words) > 0:
		return c.psColumns(words, list, n)
	case style == "u":
		c.psUser(list, n)
	case style == "f":
		c.psFull(list, n)
	case style == "l":
		c.psLong(list, n)
	default:
		c.printf("PID   USER     TIME  COMMAND\n")
		for _, p := range list {
			c.cutLine(fmt.Sprintf("%5d %-8.8s %5s %s", p.pid, n.user(p.uid), p.time(), p.command()))
		}
	}
	return c.bad
}

// cutLine prints a line as wide as the terminal, when there is one.
func (c *call) cutLine(line string) {
	if runes := []rune(line); !c.wide && isTerminal(1) && len(runes) > width() {
		line = string(runes[:width()])
	}
	c.print(line, "\n")
}

func (c *call) psUser(list []proc, n *names) {
	boot := time.Now().Add(-uptimeNow())
	cpu, _ := columns("%cpu", n)
	mem, _ := columns("%mem", n)
	c.printf("USER         PID %%CPU %%MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n")
	for _, p := range list {
		start := boot.Add(time.Duration(p.started) * tick)
		c.cutLine(fmt.Sprintf("%-8.8s %7d %4s %4s %6d %5d %-8s %-4s %-5s %6s %s", n.user(p.uid), p.pid, cpu.of(&p), mem.of(&p), p.vsz, p.rss, p.terminal(),
			p.state, startText(start), p.time(), p.command()))
	}
}

func startText(t time.Time) string {
	if time.Since(t) < 24*time.Hour {
		return t.Format("15:04")
	}
	return t.Format("Jan02")
}

func (c *call) psFull(list []proc, n *names) {
	boot := time.Now().Add(-uptimeNow())
	c.printf("UID          PID    PPID  C STIME TTY          TIME CMD\n")
	for _, p := range list {
		spent := int(time.Duration(p.ticks) * tick / time.Second)
		c.cutLine(fmt.Sprintf("%-8.8s %7d %7d %2d %-5s %-8s %02d:%02d:%02d %s", n.user(p.uid), p.pid, p.ppid, 0,
			startText(boot.Add(time.Duration(p.started)*tick)), p.terminal(), spent/3600, spent/60%60, spent%60, p.command()))
	}
}

func (c *call) psLong(list []proc, n *names) {
	boot := time.Now().Add(-uptimeNow())
	c.printf("S   UID   PID  PPID   VSZ   RSS TTY   STIME TIME     CMD\n")
	for _, p := range list {
		spent := int(time.Duration(p.ticks) * tick / time.Second)
		c.cutLine(fmt.Sprintf("%-1.1s %5d %5d %5d %5s %5s %-5s %5s %02d:%02d:%02d %s", p.state, p.uid, p.pid, p.ppid, memoryText(p.vsz), memoryText(p.rss),
			p.terminal(), startText(boot.Add(time.Duration(p.started)*tick)), spent/3600, spent/60%60, spent%60, p.command()))
	}
}

// memoryText is busybox's: KiB, or MiB when those are many.
func memoryText(kib int64) string {
	if kib >= 100000 {
		return fmt.Sprintf("%dm", kib>>10)
	}
	return strconv.FormatInt(kib, 10)
}

func (c *call) psColumns(words []string, list []proc, n *names) int {
	var cols []column
	for _, word := range words {
		name, header, renamed := strings.Cut(word, "=")
		col, ok := columns(strings.ToLower(name), n)
		if !ok {
			return c.fail("bad -o argument '%s'", name)
		}
		if renamed {
			col.header = header
		}
		cols = append(cols, col)
	}
	row := func(cell func(column) string) {
		var line strings.Builder
		for i, col := range cols {
			text := cell(col)
			if i > 0 {
				line.WriteByte(' ')
			}
			switch {
			case col.width < 0:
				line.WriteString(padLeft(text, -col.width))
			case i == len(cols)-1:
				line.WriteString(text)
			default:
				line.WriteString(text + strings.Repeat(" ", max(0, col.width-len(text))))
			}
		}
		c.cutLine(strings.TrimRight(line.String(), " "))
	}
	if slices.ContainsFunc(cols, func(col column) bool { return col.header != "" }) {
		row(func(col column) string {
			if col.width < 0 {
				return col.header + strings.Repeat(" ", max(0, -col.width-len(col.header)))
			}
			return col.header
		})
	}
	for i := range list {
		row(func(col column) string { return col.of(&list[i]) })
	}
	return c.bad
}

func pidof(c *call) int {
	o, ok := c.options("so:", "single-shot=s")
	if !ok {
		return 1
	}
	var found []string
	list := processes()
	slices.Reverse(list)
	omitted := strings.Split(strings.ReplaceAll(strings.Join(o.values('o'), ","), "%PPID", strconv.Itoa(os.Getppid())), ",")
	for _, p := range list {
		if slices.Contains(omitted, strconv.Itoa(p.pid)) {
			continue
		}
		first, _, _ := strings.Cut(p.args, " ")
		for _, name := range o.rest {
			if p.comm == lastPart(name) || first != "" && filepath.Base(first) == name {
				found = append(found, strconv.Itoa(p.pid))
				break
			}
		}
		if o.has('s') && len(found) > 0 {
			break
		}
	}
	if len(found) == 0 {
		return 1
	}
	c.print(strings.Join(found, " "), "\n")
	return 0
}

func pgrep(c *call) int {
	sig := unix.SIGTERM
	if c.name == "pkill" && len(c.args) > 0 && strings.HasPrefix(c.args[0], "-") {
		if s, ok := signals.Parse(c.args[0][1:]); ok {
			sig, c.args = s, c.args[1:]
		}
	}
	spec := "flxvnoaP:u:"
	if c.name == "pkill" {
		spec = "fxvnoP:u:"
	}
	o, ok := c.options(spec, "full=f", "exact=x", "newest=n", "oldest=o", "parent=P", "euid=u", "inverse=v")
	if !ok {
		return 2
	}
	selective := o.has('P') || o.has('u')
	if len(o.rest) > 1 || len(o.rest) == 0 && !selective {
		c.misused("")
		return 2
	}
	if len(o.rest) == 0 {
		o.rest = []string{""}
	}
	parent, owner, err := c.chosenBy(o)
	if err != nil {
		c.errorf("%v", err)
		return 2
	}
	g := &grepping{call: c, o: &options{order: []option{{letter: 'E'}}}}
	if o.has('x') {
		g.o.order = append(g.o.order, option{letter: 'x'})
	}
	re, err := g.compile([]string{o.rest[0]})
	if err != nil {
		c.errorf("bad regex '%s'", o.rest[0])
		return 2
	}
	var found []proc
	for _, p := range processes() {
		text := p.comm
		if o.has('f') && p.args != "" {
			text = p.args
		}
		match := re.MatchString(text) && (parent < 0 || p.ppid == parent) && (owner < 0 || p.uid == owner)
		if p.pid == os.Getpid() || match == o.has('v') {
			continue
		}
		found = append(found, p)
	}
	if age := o.last("no"); age != 0 && len(found) > 0 {
		slices.SortStableFunc(found, func(a, b proc) int { return cmp.Compare(a.started, b.started) })
		if age == 'n' {
			slices.Reverse(found)
		}
		found = found[:1]
	}
	for _, p := range found {
		switch {
		case c.name == "pkill":
			if err := unix.Kill(p.pid, sig); err != nil {
				c.errorf("can't kill pid %d: %s", p.pid, reason(err))
			}
		case o.has('a'), o.has('l') && o.has('f'):
			c.printf("%d %s\n", p.pid, p.command())
		case o.has('l'):
			c.printf("%d %s\n", p.pid, p.comm)
		default:
			c.printf("%d\n", p.pid)
		}
	}
	if len(found) == 0 {
		return 1
	}
	return c.bad
}

// chosenBy reads pgrep's -P and -u; -1 is for any.
func (c *call) chosenBy(o *options) (parent, owner int, err error) {
	parent, owner = -1, -1
	if o.has('P') {
		if parent, err = strconv.Atoi(o.value('P', "")); err != nil {
			return 0, 0, fmt.Errorf("invalid number '%s'", o.value('P', ""))
		}
	}
	if !o.has('u') {
		return parent, owner, nil
	}
	name := o.value('u', "")
	if u, err := userNamed(name); err == nil {
		return parent, u.uid, nil
	}
	if owner, err = strconv.Atoi(name); err != nil {
		return 0, 0, fmt.Errorf("unknown user %s", name)
	}
	return parent, owner, nil
}
