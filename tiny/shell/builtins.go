package shell

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// special are POSIX's special builtins: assignments before them stay, and their errors end a script.
func special(name string) bool {
	switch name {
	case ":", ".", "source", "break", "continue", "eval", "exec", "exit", "return", "set", "shift", "times", "trap", "unset":
		return true
	}
	return false
}

// regular are the builtins that change or show the shell itself; those of the builtins map are applets.
func regular(name string) bool {
	switch name {
	case "alias", "bg", "builtin", "cd", "chdir", "command", "fg", "getopts", "hash", "jobs", "kill", "let", "logout", "pwd", "read",
		"type", "ulimit", "umask", "unalias", "wait", "help", "history":
		return true
	}
	return false
}

func (s *Shell) special(words []string) (keep bool) {
	args := words[1:]
	s.tail = false
	switch words[0] {
	case ":":
		s.status = 0
	case ".", "source":
		s.source(args)
	case "break", "continue":
		s.leave(words[0], args)
	case "eval":
		s.evaluate(strings.Join(args, " "), "eval")
	case "exec":
		return s.exec(args)
	case "exit", "return":
		s.end(words[0], args)
	case "set":
		s.setOptions(args)
	case "shift":
		s.shift(args)
	case "times":
		s.times()
	case "trap":
		s.status = s.trap(args)
	case "unset":
		s.unset(args)
	}
	return false
}

func (s *Shell) source(args []string) {
	if len(args) == 0 {
		s.errorf(".: filename argument required")
		s.status = 2
		return
	}
	path := args[0]
	if !strings.Contains(path, "/") {
		for dir := range strings.SplitSeq(s.value("PATH"), ":") {
			if _, err := os.Stat(dir + "/" + path); err == nil {
				path = dir + "/" + path
				break
			}
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		s.errorf(".: can't open '%s': %s", args[0], reason(err))
		s.status = 2
		s.abandon()
		return
	}
	params := s.params
	if len(args) > 1 {
		s.params = args[1:]
	}
	s.sourced++
	s.stream(strings.NewReader(string(text)), path)
	s.sourced--
	if len(args) > 1 {
		s.params = params
	}
	if s.flow == returning {
		s.flow = running
	}
}

func (s *Shell) leave(word string, args []string) {
	s.status = 0
	s.levels = 1
	if len(args) > 0 {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 1 {
			s.errorf("Illegal number: %s", args[0])
			s.status = 2
			return
		}
		s.levels = n
	}
	if s.loops == 0 {
		return
	}
	s.levels = min(s.levels, s.loops)
	if s.flow = breaking; word == "continue" {
		s.flow = continuing
	}
}

func (s *Shell) end(word string, args []string) {
	if len(args) > 0 {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 0 {
			s.errorf("%s: Illegal number: %s", word, args[0])
			n = 2
		}
		s.status = n & 255
	}
	if s.flow = exiting; word == "return" && s.functions+s.sourced > 0 {
		s.flow = returning
	}
}

// exec replaces the shell by execve(2), or, without a command, keeps its redirections.
func (s *Shell) exec(args []string) (keep bool) {
	if len(args) == 0 {
		s.status = 0
		return true
	}
	path, status := s.locate(args[0])
	if path != "" {
		if s.inside { // there is no process to replace: run it, then leave
			s.external(args)
			s.flow = exiting
			return false
		}
		status = s.become(path, args)
	}
	s.status = status
	s.abandon()
	return false
}

// become is execve(2) with the shell's descriptors put where the program expects them.
func (s *Shell) become(path string, args []string) int {
	env := s.environment()
	table := make([]int, len(s.files))
	for i, f := range s.files {
		if table[i] = -1; f.fd >= 0 {
			table[i], _ = unix.FcntlInt(uintptr(f.fd), unix.F_DUPFD_CLOEXEC, floor+len(table))
		}
	}
	for i, fd := range table {
		if fd < 0 {
			unix.Close(i)
		} else {
			unix.Dup3(fd, i, 0)
		}
	}
	if s.interactive {
		for _, sig := range deaf {
			s.traps.restore(sig)
		}
	}
	err := syscall.Exec(path, args, env)
	if err == unix.ENOEXEC {
		err = syscall.Exec(s.self(), append([]string{"sh", path}, args[1:]...), env)
	}
	return s.unlaunched(args[0], err)
}

func (s *Shell) setOptions(args []string) {
	s.status = 0
	if len(args) == 0 {
		for _, name := range slices.Sorted(maps.Keys(s.vars)) {
			if vr := s.vars[name]; vr.Set {
				fmt.Fprintf(s.stdout(), "%s='%s'\n", name, strings.ReplaceAll(vr.String(), "'", `'"'"'`))
			}
		}
		return
	}
	rest, explicit, err := s.options.parse(args, anytime, s.stdout())
	if err != nil {
		s.errorf("set: %v", err)
		s.status = 2
		s.abandon()
		return
	}
	if explicit {
		s.params = rest
	}
	if s.options['m'] != s.control && !s.inside {
		s.jobControlled(s.options['m'])
	}
	s.configure()
}

func (s *Shell) shift(args []string) {
	n := 1
	if len(args) > 0 {
		var err error
		if n, err = strconv.Atoi(args[0]); err != nil {
			s.errorf("shift: Illegal number: %s", args[0])
			s.status = 2
			return
		}
	}
	if s.status = 0; n > len(s.params) || n < 0 {
		s.status = 1
		return
	}
	s.params = s.params[n:]
}

func (s *Shell) times() {
	var own, children unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &own)
	unix.Getrusage(unix.RUSAGE_CHILDREN, &children)
	for _, u := range []unix.Rusage{own, children} {
		fmt.Fprintf(s.stdout(), "%s %s\n", minuteSeconds(u.Utime), minuteSeconds(u.Stime))
	}
	s.status = 0
}

func minuteSeconds(t unix.Timeval) string {
	d := time.Duration(t.Nano())
	return fmt.Sprintf("%dm%.3fs", int(d.Minutes()), (d % time.Minute).Seconds())
}

func (s *Shell) unset(args []string) {
	s.status = 0
	funcs := false
	for _, name := range args {
		switch {
		case name == "-f":
			funcs = true
		case name == "-v":
			funcs = false
		case strings.HasPrefix(name, "-") && name != "-":
			s.errorf("unset: illegal option %s", name)
			s.status = 2
			return
		case funcs:
			delete(s.funcs, name)
		default:
			if err := s.set(name, expand.Variable{}); err != nil {
				s.errorf("%v", err)
				s.status = 2
				s.abandon()
				return
			}
			if _, ok := s.funcs[name]; ok && !s.vars[name].Set {
				continue
			}
		}
	}
}

// builtin runs a regular builtin or an applet in the shell.
func (s *Shell) builtin(words []string) {
	name, args := words[0], words[1:]
	s.tail = false
	switch name {
	case "cd", "chdir":
		s.status = s.cd(args)
	case "pwd":
		s.status = s.pwd(args)
	case "command", "builtin":
		s.plain(args)
	case "type":
		s.status = s.describe(args)
	case "read":
		s.status = s.read(args)
	case "wait":
		s.status = s.wait(args)
	case "kill":
		s.status = s.kill(args)
	case "umask":
		s.status = s.umask(args)
	case "ulimit":
		s.status = s.ulimit(args)
	case "getopts":
		s.status = s.getopts(args)
	case "alias", "unalias":
		s.status = s.alias(name, args)
	case "jobs", "fg", "bg":
		s.status = s.jobControl(name, args)
	case "hash":
		s.status = s.hash(args)
	case "let":
		s.evaluate("let '"+strings.Join(args, "' '")+"'", "let")
	case "logout":
		s.end("exit", args)
	case "history":
		s.status = s.history(args)
	case "help":
		s.status = s.helpText()
	default:
		s.status = s.builtins[name](args, s.stdout(), s.stderr())
	}
}

// hash finds commands, as other shells do to remember them: this one looks each time, so there is nothing to forget with -r.
func (s *Shell) hash(names []string) int {
	code := 0
	for _, name := range names {
		if name != "-r" && s.find(name) == "" && !special(name) && !regular(name) && s.builtins[name] == nil {
			s.errorf("hash: %s: not found", name)
			code = 1
		}
	}
	return code
}

func (s *Shell) helpText() int {
	fmt.Fprintln(s.stdout(), "Built-in commands:\n------------------")
	fmt.Fprintln(s.stdout(), "\t. : [ alias bg break cd chdir command continue echo eval exec exit\n"+
		"\texport false fg getopts hash help history jobs kill let local printf\n"+
		"\tpwd read readonly return set shift source test times trap true type\n"+
		"\tulimit umask unalias unset wait")
	return 0
}

func (s *Shell) cd(args []string) int {
	physical := false
	for len(args) > 0 && (args[0] == "-P" || args[0] == "-L" || args[0] == "--") {
		physical = args[0] == "-P"
		args = args[1:]
	}
	to := s.value("HOME")
	if len(args) > 0 {
		to = args[0]
	}
	show := to == "-"
	if show {
		if to = s.value("OLDPWD"); to == "" {
			s.errorf("cd: OLDPWD not set")
			return 2
		}
	}
	if to == "" && len(args) == 0 {
		return 0
	}
	if err := s.chdir(to, physical); err != nil {
		s.errorf("cd: can't cd to %s: %s", to, reason(err))
		return 2
	}
	if show {
		fmt.Fprintln(s.stdout(), s.dir)
	}
	return 0
}

func (s *Shell) pwd(args []string) int {
	dir := s.dir
	for _, arg := range args {
		switch arg {
		case "-P":
			dir, _ = unix.Getwd()
		case "-L":
			dir = s.dir
		default:
			s.errorf("pwd: illegal option %s", arg)
			return 2
		}
	}
	if _, err := io.WriteString(s.stdout(), dir+"\n"); err != nil {
		return 1
	}
	return 0
}

// plain runs a command that is not a function: command NAME, builtin NAME; -v and -V describe it.
func (s *Shell) plain(words []string) {
	verbose := byte(0)
	for len(words) > 0 && strings.HasPrefix(words[0], "-") && len(words[0]) > 1 {
		if words[0] == "--" {
			words = words[1:]
			break
		}
		for _, letter := range []byte(words[0][1:]) {
			if verbose = letter; letter != 'v' && letter != 'V' {
				s.errorf("command: illegal option -%c", letter)
				s.status = 2
				return
			}
		}
		words = words[1:]
	}
	s.status = 0
	switch {
	case len(words) == 0:
	case verbose == 'V':
		s.status = s.describe(words)
	case verbose == 'v':
		s.status = s.whereabouts(words)
	case special(words[0]):
		s.special(words)
	case regular(words[0]) || s.builtins[words[0]] != nil:
		s.builtin(words)
	default:
		s.external(words)
	}
}

func (s *Shell) whereabouts(names []string) int {
	code := 0
	for _, name := range names {
		path := s.find(name)
		switch {
		case s.aliases[name] != "":
			fmt.Fprintf(s.stdout(), "alias %s='%s'\n", name, s.aliases[name])
		case s.funcs[name] != nil, special(name), regular(name), s.builtins[name] != nil, syntax.IsKeyword(name):
			fmt.Fprintln(s.stdout(), name)
		case strings.Contains(name, "/") && unix.Access(name, unix.X_OK) == nil:
			fmt.Fprintln(s.stdout(), name)
		case path != "":
			fmt.Fprintln(s.stdout(), path)
		default:
			code = 127
		}
	}
	return code
}

func (s *Shell) describe(names []string) int {
	code := 0
	for _, name := range names {
		path := s.find(name)
		if strings.Contains(name, "/") && unix.Access(name, unix.X_OK) == nil {
			path = name
		}
		text := ""
		switch {
		case syntax.IsKeyword(name):
			text = "is a shell keyword"
		case s.aliases[name] != "":
			text = "is an alias for " + s.aliases[name]
		case s.funcs[name] != nil:
			text = "is a function"
		case special(name):
			text = "is a special shell builtin"
		case regular(name), s.builtins[name] != nil:
			text = "is a shell builtin"
		case path != "":
			text = "is " + path
		default:
			fmt.Fprintf(s.stdout(), "%s: not found\n", name)
			code = 127
			continue
		}
		fmt.Fprintf(s.stdout(), "%s %s\n", name, text)
	}
	return code
}

func (s *Shell) kill(args []string) int {
	if len(args) > 0 && strings.HasPrefix(args[0], "%") {
		args = append([]string{"--"}, args...) // a process group looks like an option
	}
	for i, arg := range args {
		if !strings.HasPrefix(arg, "%") {
			continue
		}
		j := s.jobNamed(arg)
		if j == nil {
			s.errorf("kill: %s: no such job", arg)
			return 1
		}
		target := -j.group
		if j.group == 0 {
			target = j.last().pid
		}
		args[i] = itoa(target)
		if target < 0 && j.stopped() {
			defer unix.Kill(target, unix.SIGCONT)
		}
	}
	code := s.builtins["kill"](args, s.stdout(), s.stderr())
	if slices.Contains(args, itoa(os.Getpid())) || slices.Contains(args, "0") {
		s.traps.settle()
	}
	return code
}

func (s *Shell) umask(args []string) int {
	old := unix.Umask(0)
	unix.Umask(old)
	symbolic := len(args) > 0 && args[0] == "-S"
	if symbolic {
		args = args[1:]
	}
	if len(args) == 0 {
		if symbolic {
			fmt.Fprintf(s.stdout(), "u=%s,g=%s,o=%s\n", permitted(old>>6), permitted(old>>3), permitted(old))
		} else {
			fmt.Fprintf(s.stdout(), "%04o\n", old)
		}
		return 0
	}
	n, err := strconv.ParseUint(args[0], 8, 12)
	if err != nil {
		s.errorf("umask: illegal mode: %s", args[0])
		return 1
	}
	unix.Umask(int(n))
	return 0
}

func permitted(mask int) string {
	text := ""
	for i, letter := range []string{"r", "w", "x"} {
		if mask&(4>>i) == 0 {
			text += letter
		}
	}
	return text
}

func (s *Shell) alias(verb string, args []string) int {
	code := 0
	if verb == "unalias" {
		for _, name := range args {
			if name == "-a" {
				s.aliases = map[string]string{}
			} else if _, ok := s.aliases[name]; ok {
				delete(s.aliases, name)
			} else {
				s.errorf("unalias: %s not found", name)
				code = 1
			}
		}
		return code
	}
	if len(args) == 0 {
		for _, name := range slices.Sorted(maps.Keys(s.aliases)) {
			fmt.Fprintf(s.stdout(), "%s='%s'\n", name, s.aliases[name])
		}
	}
	for _, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		if given {
			s.aliases[name] = value
		} else if body, ok := s.aliases[name]; ok {
			fmt.Fprintf(s.stdout(), "%s='%s'\n", name, body)
		} else {
			s.errorf("alias: %s not found", name)
			code = 1
		}
	}
	return code
}

func (s *Shell) jobControl(verb string, args []string) int {
	for s.reap(nil, unix.WNOHANG) {
	}
	if verb == "jobs" {
		for _, arg := range args {
			if arg != "-l" && arg != "-p" {
				s.errorf("jobs: illegal option %s", arg)
				return 2
			}
		}
		s.showJobs(s.stdout(), args)
		return 0
	}
	if !s.control {
		s.errorf("%s: no job control", verb)
		return 2
	}
	name := "%+"
	if len(args) > 0 {
		name = args[0]
	}
	if !strings.HasPrefix(name, "%") {
		if s.jobNamed(name) == nil {
			name = "%" + name
		}
	}
	j := s.jobNamed(name)
	if j == nil || j.ended() {
		s.errorf("%s: %s: no such job", verb, name)
		return 2
	}
	s.resumeJob(j, verb == "fg")
	return s.status
}

func (s *Shell) showJobs(out io.Writer, args []string) {
	for _, j := range append([]*job{}, s.jobs.list...) {
		switch {
		case slices.Contains(args, "-p"):
			fmt.Fprintln(out, max(j.group, j.procs[0].pid))
		case slices.Contains(args, "-l"):
			fmt.Fprintf(out, "[%d]%c %d %-24s%s\n", j.number, s.mark(j), j.last().pid, j.state(), j.text)
		default:
			fmt.Fprintf(out, "[%d]%c  %-24s%s\n", j.number, s.mark(j), j.state(), j.text)
		}
		if j.ended() {
			s.forget(j)
		}
	}
}

func (s *Shell) getopts(args []string) int {
	if len(args) < 2 {
		s.errorf("getopts: usage: getopts optstring var [arg...]")
		return 2
	}
	spec, name, words := args[0], args[1], args[2:]
	if len(words) == 0 {
		words = s.params
	}
	index, _ := strconv.Atoi(s.value("OPTIND"))
	if index < 1 {
		index = 1
	}
	if index != s.optIndex {
		s.optIndex, s.optByte = index, 1
	}
	if index > len(words) || len(words[index-1]) < 2 || words[index-1][0] != '-' || words[index-1] == "--" {
		if index <= len(words) && words[index-1] == "--" {
			s.assign("OPTIND", itoa(index+1))
		}
		s.assign(name, "?")
		return 1
	}
	word := words[index-1]
	letter := word[s.optByte]
	s.optByte++
	at := strings.IndexByte(spec, letter)
	value, wants := "", at >= 0 && at+1 < len(spec) && spec[at+1] == ':'
	result, given := string(letter), wants
	silent := strings.HasPrefix(spec, ":")
	switch {
	case at < 0 || letter == ':':
		result, value, given = "?", string(letter), silent
		if !silent {
			s.errorf("getopts: illegal option -%c", letter)
		}
	case wants && s.optByte < len(word):
		value, s.optByte = word[s.optByte:], len(word)
	case wants && index < len(words):
		value = words[index]
		index++
	case wants:
		result, value, given = ":", string(letter), silent
		if !silent {
			result = "?"
			s.errorf("getopts: no argument for -%c option", letter)
		}
	}
	if s.optByte >= len(word) {
		index++
		s.optByte = 1
	}
	s.optIndex = index
	s.assign("OPTIND", itoa(index))
	if given {
		s.assign("OPTARG", value)
	} else {
		delete(s.vars, "OPTARG")
	}
	s.assign(name, result)
	return 0
}

func (s *Shell) showVariables(kind string) {
	for _, name := range slices.Sorted(maps.Keys(s.vars)) {
		vr := s.vars[name]
		if kind == "export" && vr.Exported || kind == "readonly" && vr.ReadOnly {
			fmt.Fprintf(s.stdout(), "%s %s='%s'\n", kind, name, strings.ReplaceAll(vr.String(), "'", `'"'"'`))
		}
	}
}
