package shell

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// Main is sh: args are those after the name.
func Main(name string, args []string, builtins map[string]Builtin) int {
	// On the main thread, so that /proc/PID/status shows this shell's signals and not those of the thread that the runtime makes
	// wait for them.
	runtime.LockOSThread()
	s := fresh(name, builtins)
	if state, ok := os.LookupEnv(handover); ok {
		return s.resume(state)
	}
	s.importEnvironment()
	rest, _, err := s.options.parse(args, atStart, s.stdout())
	if err != nil {
		s.errorf("%v", err)
		return 2
	}
	s.traps.inherit()
	command := s.options['c']
	if command && len(rest) == 0 {
		s.errorf("-c requires an argument")
		return 2
	}
	login := strings.HasPrefix(name, "-") || s.options['l']
	switch {
	case command:
		source := rest[0]
		if len(rest) > 1 {
			s.name = rest[1]
			s.params = rest[2:]
		}
		s.begin(login)
		if s.flow == running {
			s.runText(source)
		}
	case len(rest) > 0 && !s.options['s']:
		return s.script(rest[0], rest[1:], login)
	default:
		s.params = rest
		return s.standardInput(login)
	}
	return s.finish()
}

// begin does what a shell's options ask for before its first command, when that does not come from a terminal.
func (s *Shell) begin(login bool) {
	s.configure()
	s.profiles(login, s.options['i'])
	if s.options['m'] || s.options['i'] {
		s.jobControlled(true)
	}
}

// profiles reads a login shell's files and an interactive one's.
func (s *Shell) profiles(login, interactive bool) {
	if login {
		s.profile("/etc/profile")
		s.profile(s.value("HOME") + "/.profile")
	}
	if file := s.value("ENV"); interactive && file != "" {
		s.profile(file)
	}
}

func fresh(name string, builtins map[string]Builtin) *Shell {
	s := &Shell{
		name: name, vars: map[string]expand.Variable{}, funcs: map[string]*syntax.Stmt{}, aliases: map[string]string{},
		options: options{}, pid: os.Getpid(), builtins: builtins, terminal: -1, interrupted: new(atomic.Bool),
	}
	s.files = inheritedFiles()
	s.traps.reset()
	return s
}

func (s *Shell) importEnvironment() {
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if syntax.ValidName(name) {
			s.vars[name] = expand.Variable{Set: true, Exported: true, Kind: expand.String, Str: value}
		}
	}
	s.dir = workingDir(s.vars["PWD"].Str)
	s.assign("PWD", s.dir)
	s.export("PWD")
	s.assign("IFS", " \t\n")
	s.assign("OPTIND", "1")
	if !s.vars["PATH"].Set {
		s.assign("PATH", "/sbin:/usr/sbin:/bin:/usr/bin:/usr/local/sbin:/usr/local/bin")
	}
}

func (s *Shell) export(name string) {
	vr := s.vars[name]
	vr.Exported = true
	s.vars[name] = vr
}

// workingDir believes PWD when it names this directory, since it may go through links that getcwd(2) resolves.
func workingDir(claim string) string {
	var here, there unix.Stat_t
	if filepath.IsAbs(claim) && unix.Stat(".", &here) == nil && unix.Stat(claim, &there) == nil &&
		here.Dev == there.Dev && here.Ino == there.Ino {
		return claim
	}
	dir, err := unix.Getwd()
	if err != nil {
		return "/"
	}
	return dir
}

func (s *Shell) script(path string, params []string, login bool) int {
	f, err := os.Open(path)
	if err != nil && !strings.Contains(path, "/") {
		if found := s.find(path); found != "" {
			f, err = os.Open(found)
		}
	}
	if err != nil {
		s.errorf("can't open '%s': %s", path, reason(err))
		return 2
	}
	s.name, s.params, s.fromFile = path, params, true
	s.begin(login)
	if s.flow == running {
		s.stream(s.echoed(f), path)
	}
	f.Close()
	return s.finish()
}

func (s *Shell) standardInput(login bool) int {
	s.configure()
	if s.options['i'] || isTerminal(0) && isTerminal(2) {
		return s.interact(login)
	}
	s.begin(login)
	if s.flow == running {
		s.stream(echoing{single{0}, s}, "stdin")
	}
	return s.finish()
}

// echoing is set -v: what is read is written to standard error.
type echoing struct {
	io.Reader
	shell *Shell
}

func (r echoing) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.shell.options['v'] {
		r.shell.stderr().Write(p[:n])
	}
	return n, err
}

// echoed gives a file line by line, so that each is written before it runs.
func (s *Shell) echoed(f io.Reader) io.Reader { return echoing{&byLine{in: bufio.NewReader(f)}, s} }

type byLine struct {
	in   *bufio.Reader
	held []byte
	err  error
}

func (r *byLine) Read(p []byte) (int, error) {
	if len(r.held) == 0 && r.err == nil {
		r.held, r.err = r.in.ReadBytes('\n')
	}
	n := copy(p, r.held)
	if r.held = r.held[n:]; n == 0 && r.err != nil {
		return 0, r.err
	}
	return n, nil
}

// single reads a byte at a time, so that what the commands of the script read from the same descriptor is left to them.
type single struct{ fd int }

func (r single) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := unix.Read(r.fd, p[:1])
		if err == unix.EINTR {
			continue
		}
		if n <= 0 && err == nil {
			err = io.EOF
		}
		return max(n, 0), err
	}
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

func itoa(n int) string { return strconv.Itoa(n) }
