package shell

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// handover is the environment variable that tells a subshell on which descriptor its state waits. It is never passed on.
const handover = "TINY_SUBSHELL"

// state is all that a forked shell would have kept.
type state struct {
	Source    string
	Name, Dir string
	Params    []string
	Vars      map[string]expand.Variable
	Funcs     map[string]string
	Aliases   map[string]string
	Options   options
	Status    int
	Pid, Last int
	Functions int
	Loops     int
}

var errSubstitution = errors.New("the command substitution said why")

// subshell runs ( ... ) in the foreground.
func (s *Shell) subshell(cmd *syntax.Subshell) {
	j := s.newJob(source(&syntax.Stmt{Cmd: cmd}))
	s.fork(j, &syntax.Stmt{Cmd: cmd})
	s.await(j)
}

// fork runs a statement in a process of its own: this program again, fed with the shell's state.
func (s *Shell) fork(j *job, st *syntax.Stmt) {
	body := []*syntax.Stmt{st}
	if sub, ok := st.Cmd.(*syntax.Subshell); ok && len(st.Redirs) == 0 && !st.Negated {
		body = sub.Stmts
	}
	state, err := json.Marshal(s.state(source(body...)))
	// A file in memory (memfd_create(2)) and no pipe: nobody has to wait until it is read, and a subshell that is killed before it has
	// read its state leaves no SIGPIPE to us.
	memory := -1
	if err == nil {
		memory, err = unix.MemfdCreate("subshell", unix.MFD_CLOEXEC)
	}
	for at := 0; err == nil && at < len(state); {
		var n int
		n, err = unix.Pwrite(memory, state[at:], int64(at))
		at += n
	}
	if err != nil {
		unix.Close(memory)
		s.errorf("subshell: %s", reason(err))
		j.procs = append(j.procs, &process{ended: true, code: 2})
		return
	}
	fds := s.files.list()
	for len(fds) < 10 {
		fds = append(fds, ^uintptr(0))
	}
	fds = append(fds, uintptr(memory))
	attr := &syscall.ProcAttr{Env: append(s.environment(), handover+"="+itoa(len(fds)-1)), Files: fds}
	if s.control {
		attr.Sys = &syscall.SysProcAttr{Setpgid: true, Pgid: j.group}
	}
	pid, err := s.spawn(j, s.self(), os.Args, attr)
	unix.Close(memory)
	if err != nil {
		j.procs = append(j.procs, &process{ended: true, code: s.unlaunched("subshell", err)})
		return
	}
	s.enroll(j, pid)
}

func (s *Shell) state(program string) state {
	st := state{Source: program, Name: s.name, Dir: s.dir, Params: s.params, Vars: s.vars, Aliases: s.aliases, Options: options{},
		Status: s.status, Pid: s.pid, Last: s.last, Functions: s.functions + s.sourced, Loops: s.loops, Funcs: map[string]string{}}
	for letter, on := range s.options {
		st.Options[letter] = on && strings.IndexByte("imsc", letter) < 0
	}
	for name, body := range s.funcs {
		st.Funcs[name] = source(body)
	}
	return st
}

// resume is the other end of fork: it takes the state and runs the source.
func (s *Shell) resume(where string) int {
	os.Unsetenv(handover)
	os.WriteFile("/proc/self/comm", []byte("sh"), 0) // it was executed as /proc/self/exe
	fd := 0
	for _, digit := range where {
		fd = fd*10 + int(digit-'0')
	}
	handed := os.NewFile(uintptr(fd), "subshell")
	if handed == nil {
		return 2
	}
	data, err := io.ReadAll(handed)
	handed.Close()
	var st state
	if err == nil {
		err = json.Unmarshal(data, &st)
	}
	if err != nil {
		return 2 // the shell that started us is gone
	}
	s.adopt(st)
	s.traps.inherit()
	s.configure()
	s.runText(st.Source)
	return s.finish()
}

func (s *Shell) adopt(st state) {
	s.name, s.dir, s.params, s.options = st.Name, st.Dir, st.Params, st.Options
	s.status, s.pid, s.last = st.Status, st.Pid, st.Last
	s.loops, s.functions = st.Loops, st.Functions
	for range st.Functions {
		s.locals = append(s.locals, map[string]expand.Variable{})
	}
	if st.Vars != nil {
		s.vars = st.Vars
	}
	if st.Aliases != nil {
		s.aliases = st.Aliases
	}
	for name, body := range st.Funcs {
		file, err := parse(strings.NewReader(body), name)
		if err == nil && len(file.Stmts) == 1 {
			s.funcs[name] = file.Stmts[0]
		}
	}
}

// substitute runs $( ... ) in this process, on copies of what it may change: a process for each would make loops crawl.
// What cannot be undone in a copy (exec, ulimit, traps, &) gets a process.
func (s *Shell) substitute(w io.Writer, cs *syntax.CmdSubst) error {
	if len(cs.Stmts) == 0 {
		return nil
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return errors.New("pipe: " + reason(err))
	}
	reader := os.NewFile(uintptr(pipe[0]), "substitution")
	done := make(chan struct{})
	go func() {
		io.Copy(w, reader)
		reader.Close()
		close(done)
	}()
	out, err := high(pipe[1])
	unix.Close(pipe[1])
	if err != nil {
		<-done
		return errors.New("pipe: " + reason(err))
	}
	table := s.files.borrow()
	table.put(1, file{fd: out})
	if path := shortcut(cs); path != nil {
		s.copyFile(path, descriptor(out))
	} else if irrevocable(cs) {
		s.subst = s.substituteForked(cs, table)
	} else {
		s.subst = s.substituteHere(cs, table)
	}
	unix.Close(out)
	<-done
	return nil
}

// shortcut recognises $(<file).
func shortcut(cs *syntax.CmdSubst) *syntax.Word {
	st := cs.Stmts[0]
	if len(cs.Stmts) == 1 && st.Cmd == nil && len(st.Redirs) == 1 && st.Redirs[0].Op == syntax.RdrIn {
		return st.Redirs[0].Word
	}
	return nil
}

func (s *Shell) copyFile(word *syntax.Word, to io.Writer) {
	path, err := expand.Literal(s.config, word)
	if err == nil {
		var f *os.File
		if f, err = os.Open(path); err == nil {
			io.Copy(to, f)
			f.Close()
			return
		}
		err = refusal(path, unix.O_RDONLY, err.(*os.PathError).Err)
	}
	s.subst = 1
	s.errorf("%v", err)
}

func irrevocable(cs *syntax.CmdSubst) bool {
	found := false
	syntax.Walk(cs, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.Stmt:
			found = found || node.Background
		case *syntax.CallExpr:
			if len(node.Args) > 0 {
				switch node.Args[0].Lit() {
				case "exec", "ulimit", "trap", "umask", "wait", ".", "source", "eval":
					found = true
				}
			}
		}
		return !found
	})
	return found
}

func (s *Shell) substituteForked(cs *syntax.CmdSubst, table files) int {
	before, control := s.files, s.control
	s.files, s.control = table, false
	defer func() { s.files, s.control = before, control }()
	j := s.newJob("")
	s.fork(j, &syntax.Stmt{Cmd: &syntax.Subshell{Stmts: cs.Stmts}})
	status := s.status
	s.await(j)
	status, s.status = s.status, status
	return status
}

func (s *Shell) substituteHere(cs *syntax.CmdSubst, table files) int {
	here, err := unix.Open(".", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(here)
	}
	sub := *s
	sub.files, sub.control, sub.inside, sub.tail = table, false, true, false
	sub.vars, sub.funcs, sub.aliases = copied(s.vars), copied(s.funcs), copied(s.aliases)
	sub.options = copied(s.options)
	sub.params = append([]string{}, s.params...)
	sub.locals = append([]map[string]expand.Variable{}, s.locals...)
	for i := range sub.locals {
		sub.locals[i] = copied(sub.locals[i])
	}
	sub.jobs = jobs{group: s.jobs.group}
	sub.traps = traps{shared: s.traps.shared, inherited: s.traps.inherited}
	sub.configure()
	sub.statements(cs.Stmts)
	status := sub.finish()
	if sub.flow == interrupting {
		s.flow = interrupting
	}
	if sub.dir != s.dir && err == nil {
		unix.Fchdir(here)
	}
	return status
}

func copied[K comparable, V any](m map[K]V) map[K]V {
	c := make(map[K]V, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}
