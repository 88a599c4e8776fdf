package tiny

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"glassbox/tiny/signals"
)

func processApplets() []applet {
	return []applet{
		{"kill", kill, "[-l] [-s SIG | -SIG] PID..."},
		{"nice", nice, "[-n ADJUST] [PROG ARGS]"},
		{"nohup", nohup, "PROG ARGS"},
		{"pidof", pidof, "[-s] [-o PID] NAME..."},
		{"pkill", pgrep, "[-SIG] [-fxvno] [-P PPID] [-u USER] [PATTERN]"},
		{"pgrep", pgrep, "[-flaxvno] [-P PPID] [-u USER] [PATTERN]"},
		{"ps", ps, "[auxlw] [-eAflwT] [-p PID,...] [-u USER,...] [-o COL1,COL2=HEADER]"},
		{"setsid", setsid, "[-cw] PROG ARGS"},
		{"sleep", sleep, "[N[smhd]]..."},
		{"time", timed, "[-p] PROG ARGS"},
		{"timeout", timeout, "[-s SIG] [-k KILL_SECS] SECS PROG ARGS"},
		{"top", top, "[-b] [-n COUNT] [-d SECONDS]"},
		{"watch", watch, "[-n SEC] [-t] PROG ARGS"},
		{"xargs", xargs, "[-0rt] [-d SEP] [-n N] [-I STR] [-P N] [PROG ARGS]"},
	}
}

// duration is seconds, or with a suffix minutes, hours, days.
func duration(word string) (time.Duration, bool) {
	unit := time.Second
	if word != "" {
		switch word[len(word)-1] {
		case 's':
			word = word[:len(word)-1]
		case 'm':
			unit, word = time.Minute, word[:len(word)-1]
		case 'h':
			unit, word = time.Hour, word[:len(word)-1]
		case 'd':
			unit, word = 24*time.Hour, word[:len(word)-1]
		}
	}
	if word == "inf" || word == "infinity" {
		return 1<<63 - 1, true
	}
	n, err := strconv.ParseFloat(word, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	if n > 9e9/unit.Seconds() {
		return 1<<63 - 1, true
	}
	return time.Duration(n * float64(unit)), true
}

func sleep(c *call) int {
	if len(c.args) == 0 {
		return c.misused("")
	}
	total := time.Duration(0)
	for _, word := range c.args {
		d, ok := duration(word)
		if !ok {
			return c.fail("invalid number '%s'", word)
		}
		if total += d; total < 0 {
			total = 1<<63 - 1
		}
	}
	time.Sleep(total)
	return 0
}

func kill(c *call) int {
	sig, args := unix.SIGTERM, c.args
	c.usage = "[-l] [-s SIG | -SIG] PID..."
	if len(args) == 0 {
		return c.misused("")
	}
	if args[0] == "-l" || args[0] == "-L" {
		return c.signalNames(args[1:])
	}
	word := ""
	switch {
	case (args[0] == "-s" || args[0] == "-n") && len(args) > 1:
		word, args = args[1], args[2:]
	case strings.HasPrefix(args[0], "-s") && len(args[0]) > 2:
		if _, ok := signals.Parse(args[0][1:]); ok {
			word = args[0][1:]
		} else {
			word = args[0][2:]
		}
		args = args[1:]
	case len(args[0]) > 1 && args[0][0] == '-' && args[0] != "--":
		word, args = args[0][1:], args[1:]
	}
	if word != "" {
		var ok bool
		if sig, ok = signals.Parse(word); !ok {
			return c.fail("bad signal name '%s'", word)
		}
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return c.fail("you need to specify whom to kill")
	}
	for _, arg := range args {
		pid, err := strconv.Atoi(arg)
		if err != nil {
			c.errorf("invalid number '%s'", arg)
			continue
		}
		if err := unix.Kill(pid, sig); err != nil {
			c.errorf("can't kill pid %d: %s", pid, reason(err))
		}
	}
	return c.bad
}

func (c *call) signalNames(words []string) int {
	if len(words) == 0 {
		for n := 1; n <= signals.Count(); n++ {
			c.printf("%2d) %s\n", n, signals.Name(unix.Signal(n)))
		}
		return 0
	}
	for _, word := range words {
		sig, ok := signals.Parse(word)
		if n, err := strconv.Atoi(word); err == nil && n > 128 {
			sig, ok = unix.Signal(n-128), true // an exit status
		}
		if !ok {
			c.errorf("bad signal name '%s'", word)
			continue
		}
		if word[0] >= '0' && word[0] <= '9' {
			c.print(signals.Name(sig), "\n")
		} else {
			c.printf("%d\n", int(sig))
		}
	}
	return c.bad
}

// start runs a command as our child, with our terminal.
func (c *call) command(words []string) *exec.Cmd {
	c.out.Flush()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// result is the exit status of a command as a shell counts it.
func (c *call) result(words []string, err error) int {
	if err == nil {
		return 0
	}
	ended, ok := err.(*exec.ExitError)
	if !ok {
		c.errorf("can't execute '%s': %s", words[0], execReason(err))
		if strings.Contains(execReason(err), "No such file") {
			return 127
		}
		return 126
	}
	status := ended.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

func timed(c *call) int {
	o, ok := c.options("+p", "portability=p")
	if !ok || len(o.rest) == 0 {
		return c.misused("")
	}
	start := time.Now()
	cmd := c.command(o.rest)
	code := c.result(o.rest, cmd.Run())
	var user, system time.Duration
	if cmd.ProcessState != nil {
		user, system = cmd.ProcessState.UserTime(), cmd.ProcessState.SystemTime()
	}
	for _, line := range []struct {
		word string
		took time.Duration
	}{{"real", time.Since(start)}, {"user", user}, {"sys", system}} {
		if o.has('p') {
			fmt.Fprintf(c.err, "%s %.2f\n", line.word, line.took.Seconds())
		} else {
			fmt.Fprintf(c.err, "%s\t%dm %.2fs\n", line.word, int(line.took.Minutes()), (line.took % time.Minute).Seconds())
		}
	}
	return code
}

func timeout(c *call) int {
	o, ok := c.options("+s:k:", "signal=s", "kill-after=k")
	if !ok || len(o.rest) < 2 {
		return c.misused("")
	}
	sig, ok := signals.Parse(o.value('s', "TERM"))
	if !ok {
		return c.fail("invalid signal '%s'", o.value('s', ""))
	}
	limit, ok := duration(o.rest[0])
	after, ok2 := duration(o.value('k', "0"))
	if !ok || !ok2 {
		return c.fail("invalid number '%s'", o.rest[0])
	}
	words := o.rest[1:]
	cmd := c.command(words)
	if err := cmd.Start(); err != nil {
		return c.result(words, err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var late <-chan time.Time
	if limit > 0 {
		late = time.After(limit)
	}
	select {
	case err := <-done:
		return c.result(words, err)
	case <-late:
	}
	cmd.Process.Signal(sig)
	var last <-chan time.Time
	if after > 0 {
		last = time.After(after)
	}
	select {
	case err := <-done:
		if code := c.result(words, err); code == 128+int(sig) && sig != unix.SIGKILL {
			return 143
		} else if sig == unix.SIGKILL {
			return 137
		} else {
			return code
		}
	case <-last:
		cmd.Process.Kill()
		<-done
		return 137
	}
}

func nohup(c *call) int {
	if len(c.args) == 0 {
		return c.misused("")
	}
	if isTerminal(0) {
		if f, err := os.Open("/dev/null"); err == nil {
			unix.Dup3(int(f.Fd()), 0, 0)
		}
	}
	if isTerminal(1) {
		f, err := os.OpenFile("nohup.out", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return c.fail("can't open 'nohup.out': %s", reason(err))
		}
		fmt.Fprintln(c.err, "nohup: appending output to nohup.out")
		unix.Dup3(int(f.Fd()), 1, 0)
	}
	if isTerminal(2) {
		unix.Dup3(1, 2, 0)
	}
	signals.Ignore(unix.SIGHUP)
	return c.become(c.args, os.Environ())
}

func nice(c *call) int {
	o, ok := c.options("+n:", "adjustment=n")
	if !ok {
		return 1
	}
	now, _ := unix.Getpriority(unix.PRIO_PROCESS, 0)
	now = 20 - now // the system call gives 20 minus the nice value
	if len(o.rest) == 0 {
		c.printf("%d\n", now)
		return 0
	}
	n, err := strconv.Atoi(o.value('n', "10"))
	if err != nil {
		return c.fail("invalid number '%s'", o.value('n', ""))
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, min(max(now+n, -20), 19)); err != nil {
		return c.fail("setpriority: %s", reason(err))
	}
	return c.become(o.rest, os.Environ())
}

func setsid(c *call) int {
	o, ok := c.options("+cw")
	if !ok || len(o.rest) == 0 {
		return c.misused("")
	}
	if _, err := unix.Setsid(); err != nil { // a group leader cannot: its child can
		cmd := c.command(o.rest)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: o.has('c')}
		if err := cmd.Start(); err != nil {
			return c.result(o.rest, err)
		}
		if o.has('w') {
			return c.result(o.rest, cmd.Wait())
		}
		return 0
	}
	if o.has('c') {
		unix.IoctlSetInt(0, unix.TIOCSCTTY, 1)
	}
	return c.become(o.rest, os.Environ())
}

func watch(c *call) int {
	o, ok := c.options("+n:t", "interval=n", "no-title=t")
	if !ok || len(o.rest) == 0 {
		return c.misused("")
	}
	pause, ok := duration(o.value('n', "2"))
	if !ok {
		return c.fail("invalid number '%s'", o.value('n', ""))
	}
	line := strings.Join(o.rest, " ")
	for {
		c.print("\x1b[H\x1b[J")
		if !o.has('t') {
			name, _ := os.Hostname()
			left := fmt.Sprintf("Every %.1fs: %s", pause.Seconds(), line)
			right := name + ": " + time.Now().Format("2006-01-02 15:04:05")
			c.print(left, strings.Repeat(" ", max(1, width()-len(left)-len(right))), right, "\n\n")
		}
		if err := c.command([]string{"sh", "-c", line}).Run(); err != nil {
			if _, ended := err.(*exec.ExitError); !ended {
				return c.result([]string{"sh"}, err)
			}
		}
		time.Sleep(pause)
	}
}

func width() int {
	if size, err := unix.IoctlGetWinsize(1, unix.TIOCGWINSZ); err == nil && size.Col > 0 {
		return int(size.Col)
	}
	return 80
}

// xargs

func xargs(c *call) int {
	o, ok := c.options("+0rtn:I:P:d:", "null=0", "no-run-if-empty=r", "max-args=n", "max-procs=P", "verbose=t", "replace=I", "delimiter=d")
	if !ok {
		return 1
	}
	words := o.rest
	if len(words) == 0 {
		words = []string{"echo"}
	}
	data, err := io.ReadAll(c.in)
	if err != nil {
		return c.fail("%s", reason(err))
	}
	items, err := o.items(string(data))
	if err != nil {
		return c.fail("%v", err)
	}
	x := &spreading{call: c, o: o, words: words, free: make(chan struct{}, max(1, o.number('P', 1)))}
	if o.failed {
		return 1
	}
	mark := o.value('I', "")
	switch {
	case mark != "":
		for _, item := range items {
			var line []string
			for _, word := range words {
				line = append(line, strings.ReplaceAll(word, mark, item))
			}
			x.run(line)
		}
	case len(items) == 0:
		if !o.has('r') {
			x.run(words)
		}
	default:
		most := int(o.number('n', 5000))
		for chunk := range slices.Chunk(items, max(1, most)) {
			x.run(append(append([]string{}, words...), chunk...))
		}
	}
	for range cap(x.free) {
		x.free <- struct{}{}
	}
	return x.code
}

type spreading struct {
	*call
	o     *options
	words []string
	free  chan struct{}
	code  int
	over  bool
}

func (x *spreading) run(line []string) {
	x.free <- struct{}{}
	if x.over {
		<-x.free
		return
	}
	if x.o.has('t') {
		fmt.Fprintln(x.err, strings.Join(line, " "))
	}
	cmd := x.command(line)
	cmd.Stdin = nil
	err := cmd.Start()
	finish := func(err error) {
		switch code := x.result(line, err); {
		case code == 0:
		case code >= 126:
			x.code = code
			x.over = true
			if code > 128 {
				x.code = 125
			}
		case code == 255:
			x.code, x.over = 124, true
		default:
			x.code = 123
		}
		<-x.free
	}
	switch {
	case err != nil:
		finish(err)
	case cap(x.free) == 1:
		finish(cmd.Wait())
	default:
		go func() { finish(cmd.Wait()) }()
	}
}

// items splits the input: at blanks with quotes, or at a delimiter, or in lines for -I.
func (o *options) items(text string) (items []string, err error) {
	switch {
	case o.has('0'), o.has('d'):
		end := "\x00"
		if o.has('d') {
			end, _ = unescape(o.value('d', "\n"), false)
		}
		text = strings.TrimSuffix(text, end)
		if text == "" {
			return nil, nil
		}
		return strings.Split(text, end), nil
	case o.has('I'):
		for line := range strings.SplitSeq(text, "\n") {
			if line = strings.TrimLeft(line, " \t"); line != "" {
				items = append(items, line)
			}
		}
		return items, nil
	}
	var word strings.Builder
	inside := false
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case quote != 0:
			if ch == quote {
				quote = 0
			} else if ch == '\n' {
				return nil, fmt.Errorf("unmatched %s quote", map[byte]string{'\'': "single", '"': "double"}[quote])
			} else {
				word.WriteByte(ch)
			}
		case ch == '\'' || ch == '"':
			quote, inside = ch, true
		case ch == '\\' && i+1 < len(text):
			i++
			word.WriteByte(text[i])
			inside = true
		case ch == ' ' || ch == '\t' || ch == '\n':
			if inside {
				items = append(items, word.String())
				word.Reset()
				inside = false
			}
		default:
			word.WriteByte(ch)
			inside = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("unmatched %s quote", map[byte]string{'\'': "single", '"': "double"}[quote])
	}
	if inside {
		items = append(items, word.String())
	}
	return items, nil
}
