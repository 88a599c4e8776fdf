package tiny

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func systemApplets() []applet {
	return []applet{
		{"breakout", breakout, "PROG [ARGS]"},
		{"chroot", chroot, "NEWROOT [PROG ARGS]"},
		{"clear", func(c *call) int { return c.bare(func() { c.print("\x1b[H\x1b[2J\x1b[3J") }) }, ""},
		{"date", date, "[-uR] [-d TIME] [-r FILE] [-s TIME] [-I[date|hours|minutes|seconds]] [+FORMAT]"},
		{"env", env, "[-i0] [-u NAME] [NAME=VALUE]... [PROG ARGS]"},
		{"free", free, "[-bkmgh]"},
		{"groups", id, "[USER]"},
		{"hostname", hostname, "[-sifd] [HOSTNAME | -F FILE]"},
		{"id", id, "[-u|-g|-G [-nr]] [USER]"},
		{"mount", mount, "[-arw] [-t TYPE] [-o OPTION,...] [--bind] [SOURCE] DIRECTORY"},
		{"nproc", nproc, "[--all] [--ignore=N]"},
		{"nsenter", nsenter, "-t PID [-muipnCa] [-S UID] [-G GID] [-w DIR] [PROG ARGS]"},
		{"printenv", printenv, "[NAME]..."},
		{"pwd", pwd, "[-LP]"},
		{"reset", func(c *call) int { return c.bare(c.reset) }, ""},
		{"stty", stty, "[-a] [-F DEVICE] [SETTING]..."},
		{"tty", tty, "[-s]"},
		{"umount", umount, "[-lfra] DIRECTORY..."},
		{"uname", uname, "[-amnrspvio]"},
		{"unshare", unshare, "[-muipnCUfr] [-R DIR] [-w DIR] [--mount-proc[=DIR]] [PROG ARGS]"},
		{"uptime", func(c *call) int { return c.bare(c.uptime) }, ""},
		{"which", which, "[-a] COMMAND..."},
		{"whoami", id, ""},
	}
}

func id(c *call) int {
	switch c.name {
	case "whoami":
		if len(c.args) > 0 {
			return c.misused("")
		}
		c.args = []string{"-un"}
	case "groups":
		c.args = append([]string{"-Gn"}, c.args...)
	}
	o, ok := c.options("ugGnr", "user=u", "group=g", "groups=G", "name=n")
	if !ok {
		return 1
	}
	if strings.Trim(o.letters(), "nr") == "" && len(o.order) > 0 {
		return c.misused("-n and -r need one of -u, -g and -G")
	}
	n := loadNames(false)
	uid, gid, euid, egid := os.Getuid(), os.Getgid(), os.Geteuid(), os.Getegid()
	list, _ := os.Getgroups()
	if len(o.rest) > 0 {
		u, err := userNamed(o.rest[0])
		if err != nil {
			return c.fail("%v", err)
		}
		uid, gid, euid, egid = u.uid, u.gid, u.uid, u.gid
		list = []int{gid}
		for _, g := range groups() {
			if slices.Contains(g.members, u.name) && g.gid != gid {
				list = append(list, g.gid)
			}
		}
	} else if !slices.Contains(list, egid) {
		list = append([]int{egid}, list...)
	}
	one := func(names map[int]string, id int) {
		if name, known := names[id]; known && o.has('n') {
			c.print(name)
		} else if c.print(strconv.Itoa(id)); o.has('n') {
			c.errorf("unknown ID %d", id)
		}
	}
	switch {
	case o.has('u'):
		if o.has('r') {
			euid = uid
		}
		one(n.users, euid)
	case o.has('g'):
		if o.has('r') {
			egid = gid
		}
		one(n.groups, egid)
	case o.has('G'):
		for i, g := range list {
			if i > 0 {
				c.print(" ")
			}
			one(n.groups, g)
		}
	default:
		both := func(label string, id int, names map[int]string) {
			c.print(label, strconv.Itoa(id))
			if name, known := names[id]; known {
				c.print("(", name, ")")
			}
		}
		both("uid=", uid, n.users)
		both(" gid=", gid, n.groups)
		if euid != uid {
			both(" euid=", euid, n.users)
		}
		if egid != gid {
			both(" egid=", egid, n.groups)
		}
		for i, g := range list {
			label := ","
			if i == 0 {
				label = " groups="
			}
			both(label, g, n.groups)
		}
	}
	c.print("\n")
	return c.bad
}

func hostname(c *call) int {
	o, ok := c.options("sifdF:", "short=s", "fqdn=f", "ip-address=i", "file=F")
	if !ok {
		return 1
	}
	name := ""
	if file := o.value('F', ""); file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return c.fail("can't open '%s': %s", file, reason(err))
		}
		name = strings.TrimSpace(string(data))
	} else if len(o.rest) > 0 {
		name = o.rest[0]
	}
	if name != "" {
		if err := unix.Sethostname([]byte(name)); err != nil {
			return c.fail("sethostname: %s", reason(err))
		}
		return 0
	}
	name, _ = os.Hostname()
	first, domain, _ := strings.Cut(name, ".")
	switch {
	case o.has('s'):
		name = first
	case o.has('d'):
		name = domain
	case o.has('f'):
		for _, f := range hostsFile() { // hosts(5): the first name of a line is the canonical one
			if slices.Contains(f[1:], name) {
				name = f[1]
				break
			}
		}
	case o.has('i'):
		var found []string
		for _, f := range hostsFile() {
			if slices.Contains(f[1:], name) {
				found = append(found, f[0])
			}
		}
		name = strings.Join(found, " ")
	}
	c.print(name, "\n")
	return 0
}

func hostsFile() (list [][]string) {
	data, _ := os.ReadFile("/etc/hosts")
	for line := range strings.SplitSeq(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) > 1 {
			list = append(list, f)
		}
	}
	return list
}

func uname(c *call) int {
	o, ok := c.options("amnrspvio", "all=a", "kernel-name=s", "nodename=n", "kernel-release=r", "machine=m")
	if !ok {
		return 1
	}
	var u unix.Utsname
	unix.Uname(&u)
	text := func(field [65]byte) string { return unix.ByteSliceToString(field[:]) }
	var parts []string
	add := func(letter byte, value string) {
		if o.has(letter) || o.has('a') && letter != 'p' && letter != 'i' || letter == 's' && len(o.order) == 0 {
			parts = append(parts, value)
		}
	}
	add('s', text(u.Sysname))
	add('n', text(u.Nodename))
	add('r', text(u.Release))
	add('v', text(u.Version))
	add('m', text(u.Machine))
	add('p', "unknown")
	add('i', "unknown")
	add('o', "GNU/Linux")
	c.print(strings.Join(parts, " "), "\n")
	return 0
}

func nproc(c *call) int {
	all, ignore := false, 0
	for _, arg := range c.args {
		value, found := strings.CutPrefix(arg, "--ignore=")
		switch {
		case arg == "--all":
			all = true
		case found:
			var err error
			if ignore, err = strconv.Atoi(value); err != nil {
				return c.fail("invalid number '%s'", value)
			}
		default:
			return c.misused("")
		}
	}
	n := 0
	if all {
		entries, _ := os.ReadDir("/sys/devices/system/cpu")
		for _, e := range entries {
			if rest, ok := strings.CutPrefix(e.Name(), "cpu"); ok && rest != "" && strings.Trim(rest, "0123456789") == "" {
				n++
			}
		}
	} else {
		var set unix.CPUSet
		if unix.SchedGetaffinity(0, &set) == nil {
			n = set.Count()
		}
	}
	c.printf("%d\n", max(1, n-ignore))
	return 0
}

func pwd(c *call) int {
	o, ok := c.options("LP", "logical=L", "physical=P")
	if !ok {
		return 1
	}
	dir, err := unix.Getwd()
	if claim := os.Getenv("PWD"); err == nil && o.last("LP") == 'L' && strings.HasPrefix(claim, "/") {
		here, err1 := os.Stat(".")
		there, err2 := os.Stat(claim)
		if err1 == nil && err2 == nil && os.SameFile(here, there) {
			dir = claim
		}
	}
	if err != nil {
		return c.fail("getcwd: %s", reason(err))
	}
	c.print(dir, "\n")
	return 0
}

func printenv(c *call) int {
	o, ok := c.options("+")
	if !ok {
		return 2
	}
	if len(o.rest) == 0 {
		c.print(strings.Join(append(os.Environ(), ""), "\n"))
		return 0
	}
	for _, name := range o.rest {
		value, ok := os.LookupEnv(name)
		if !ok {
			c.bad = 1
			continue
		}
		c.print(value, "\n")
	}
	return c.bad
}

func env(c *call) int {
	o, ok := c.options("+i0u:", "ignore-environment=i", "null=0", "unset=u")
	if !ok {
		return 125
	}
	rest := o.rest
	list := os.Environ()
	if len(rest) > 0 && rest[0] == "-" || o.has('i') {
		list = nil
		if len(rest) > 0 && rest[0] == "-" {
			rest = rest[1:]
		}
	}
	drop := func(name string) {
		list = slices.DeleteFunc(list, func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
	}
	for _, name := range o.values('u') {
		drop(name)
	}
	for len(rest) > 0 && strings.Contains(rest[0], "=") {
		name, _, _ := strings.Cut(rest[0], "=")
		drop(name)
		list = append(list, rest[0])
		rest = rest[1:]
	}
	if len(rest) == 0 {
		end := "\n"
		if o.has('0') {
			end = "\x00"
		}
		for _, pair := range list {
			c.print(pair, end)
		}
		return 0
	}
	if o.has('0') {
		c.misused("-0 is for printing: it does not go with a program")
		return 125
	}
	return c.become(rest, list)
}

// become replaces this process by a command looked up in PATH: 127 when there is none, 126 when it cannot run.
func (c *call) become(words, environment []string) int {
	c.out.Flush()
	path, err := exec.LookPath(words[0])
	if err == nil {
		err = syscall.Exec(path, words, environment)
	}
	c.errorf("can't execute '%s': %s", words[0], execReason(err))
	if os.IsNotExist(err) || strings.Contains(execReason(err), "No such file") {
		return 127
	}
	return 126
}

func which(c *call) int {
	o, ok := c.options("a", "all=a")
	if !ok || len(o.rest) == 0 {
		return c.misused("")
	}
	for _, name := range o.rest {
		found := false
		dirs := strings.Split(os.Getenv("PATH"), ":")
		if strings.Contains(name, "/") {
			dirs = []string{""}
		}
		for _, dir := range dirs {
			path := name
			if dir != "" {
				path = dir + "/" + name
			}
			info, err := os.Stat(path)
			if err == nil && !info.IsDir() && unix.Access(path, unix.X_OK) == nil && (!found || o.has('a')) {
				c.print(path, "\n")
				found = true
			}
		}
		if !found {
			c.bad = 1
		}
	}
	return c.bad
}

// memory reads /proc/meminfo, in KiB.
func memory() map[string]int64 {
	values := map[string]int64{}
	data, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.SplitSeq(string(data), "\n") {
		if f := strings.Fields(line); len(f) > 1 {
			values[strings.TrimSuffix(f[0], ":")], _ = strconv.ParseInt(f[1], 10, 64)
		}
	}
	return values
}

func free(c *call) int {
	o, ok := c.options("bkmgh", "bytes=b", "kibi=k", "mebi=m", "gibi=g", "human=h")
	if !ok {
		return 1
	}
	m := memory()
	shown := func(kib int64) string {
		switch o.last("bkmgh") {
		case 'b':
			return strconv.FormatInt(kib<<10, 10)
		case 'm':
			return strconv.FormatInt(kib>>10, 10)
		case 'g':
			return strconv.FormatInt(kib>>20, 10)
		case 'h':
			return human(kib << 10)
		}
		return strconv.FormatInt(kib, 10)
	}
	cached := m["Buffers"] + m["Cached"] + m["SReclaimable"]
	c.printf("              total        used        free      shared  buff/cache   available\n")
	c.printf("Mem:    %11s %11s %11s %11s %11s %11s\n", shown(m["MemTotal"]), shown(m["MemTotal"]-m["MemFree"]-cached), shown(m["MemFree"]),
		shown(m["Shmem"]), shown(cached), shown(m["MemAvailable"]))
	c.printf("Swap:   %11s %11s %11s\n", shown(m["SwapTotal"]), shown(m["SwapTotal"]-m["SwapFree"]), shown(m["SwapFree"]))
	return 0
}

func (c *call) uptime() {
	var info unix.Sysinfo_t
	unix.Sysinfo(&info)
	up := time.Duration(info.Uptime) * time.Second
	days, hours, minutes := int(up.Hours())/24, int(up.Hours())%24, int(up.Minutes())%60
	text := ""
	if days > 0 {
		text = strconv.Itoa(days) + " day"
		if days > 1 {
			text += "s"
		}
		text += ", "
	}
	if hours > 0 {
		text += padLeft(strconv.Itoa(hours), 2) + ":" + time.Date(0, 1, 1, 0, minutes, 0, 0, time.UTC).Format("04")
	} else {
		text += strconv.Itoa(minutes) + " min"
	}
	load := strings.Fields(readLine("/proc/loadavg") + " 0 0 0")
	c.printf(" %s up %s,  load average: %s, %s, %s\n", time.Now().Format("15:04:05"), text, load[0], load[1], load[2])
}

func readLine(path string) string {
	data, _ := os.ReadFile(path)
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}

func (c *call) reset() {
	if modes, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil {
		sane(modes)
		unix.IoctlSetTermios(0, unix.TCSETS, modes)
	}
	if isTerminal(1) {
		c.print("\x1bc\x1b(B\x1b[m\x1b[J\x1b[?25h")
	}
}

func tty(c *call) int {
	o, ok := c.options("s", "silent=s", "quiet=s")
	if !ok || len(o.rest) > 0 {
		return 2
	}
	name, err := os.Readlink("/proc/self/fd/0")
	if !isTerminal(0) || err != nil {
		if !o.has('s') {
			c.print("not a tty\n")
		}
		return 1
	}
	if !o.has('s') {
		c.print(name, "\n")
	}
	return 0
}
