package shell

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

func (s *Shell) trace(line string) {
	prefix := "+ "
	if vr := s.vars["PS4"]; vr.Set {
		prefix = vr.Str
	}
	io.WriteString(s.stderr(), prefix+line+"\n")
}

func (s *Shell) traceWords(assigns, words []string) {
	var quoted []string
	quoted = append(quoted, assigns...)
	for _, word := range words {
		quoted = append(quoted, quote(word))
	}
	s.trace(strings.Join(quoted, " "))
}

// simple runs a simple command (POSIX 2.9.1): expand, redirect, then function, builtin or program.
func (s *Shell) simple(call *syntax.CallExpr, redirs []*syntax.Redirect) {
	s.subst = 0
	fields, err := s.fields(s.unaliased(call.Args))
	if err != nil {
		s.expansionError(err)
		return
	}
	if s.flow != running {
		return
	}
	before := s.files
	if len(redirs) > 0 {
		s.files = before.borrow()
		if err := s.redirect(redirs); err != nil {
			s.files.release()
			s.files = before
			s.expansionError(err)
			if len(fields) > 0 && special(fields[0]) {
				s.abandon()
			}
			return
		}
	}
	keep := false
	if len(fields) == 0 {
		if s.assignments(call.Assigns, false) { // $? in them is the status of the command before
			s.status = s.subst
		}
	} else {
		keep = s.call(call.Assigns, fields)
	}
	switch {
	case len(redirs) == 0:
	case keep:
		s.files = s.files.keep(before)
	default:
		s.files.release()
		s.files = before
	}
}

// unaliased replaces a first word that is an alias by the alias's words.
func (s *Shell) unaliased(args []*syntax.Word) []*syntax.Word {
	for range 16 {
		if len(args) == 0 || len(s.aliases) == 0 {
			return args
		}
		body, ok := s.aliases[args[0].Lit()]
		if !ok {
			return args
		}
		file, err := parse(strings.NewReader(body), "alias")
		if err != nil || len(file.Stmts) != 1 {
			return args
		}
		call, ok := file.Stmts[0].Cmd.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return args
		}
		again := call.Args[0].Lit() != args[0].Lit()
		args = append(append([]*syntax.Word{}, call.Args...), args[1:]...)
		if !again {
			return args
		}
	}
	return args
}

// call runs an expanded command in the foreground; true keeps its redirections (exec).
func (s *Shell) call(assigns []*syntax.Assign, words []string) (keep bool) {
	name := words[0]
	body, isFunc := s.funcs[name]
	if special(name) && !isFunc {
		if !s.assignments(assigns, name == "exec" && len(words) > 1) {
			return false
		}
		if s.options['x'] {
			s.traceWords(nil, words)
		}
		return s.special(words)
	}
	undo, shown, ok := s.temporary(assigns)
	defer undo()
	if !ok {
		return false
	}
	if s.options['x'] {
		s.traceWords(shown, words)
	}
	switch {
	case isFunc:
		s.function(body, words)
	case regular(name) || s.builtins[name] != nil:
		s.builtin(words)
	default:
		s.external(words)
	}
	return false
}

// temporary makes the assignments before a command, for that command only.
func (s *Shell) temporary(assigns []*syntax.Assign) (undo func(), shown []string, ok bool) {
	old := map[string]expand.Variable{}
	undo = func() {
		for name, vr := range old {
			if vr.Declared() {
				s.vars[name] = vr
			} else {
				delete(s.vars, name)
			}
		}
	}
	for _, as := range assigns {
		name := as.Name.Value
		if _, twice := old[name]; !twice {
			old[name] = s.vars[name]
		}
		vr, err := s.assigned(as)
		if err == nil {
			vr.Exported = true
			err = s.set(name, vr)
		}
		if err != nil {
			delete(old, name)
			s.expansionError(err)
			return undo, nil, false
		}
		shown = append(shown, name+"="+quote(vr.String()))
	}
	return undo, shown, true
}

// deepest keeps a function that calls itself for ever from eating the memory of the container.
const deepest = 1000

func (s *Shell) function(body *syntax.Stmt, words []string) {
	if len(s.locals) >= deepest {
		s.errorf("%s: functions call one another too deeply", words[0])
		s.status = 2
		s.abandon()
		return
	}
	s.tail = false
	params, loops := s.params, s.loops
	s.params, s.loops = words[1:], 0
	s.locals = append(s.locals, map[string]expand.Variable{})
	s.functions++
	s.foreground(body)
	s.functions--
	s.unhide()
	s.params, s.loops = params, loops
	if s.flow == returning {
		s.flow = running
	}
}

// find looks a command up in PATH.
func (s *Shell) find(name string) string {
	for dir := range strings.SplitSeq(s.value("PATH"), ":") {
		if dir == "" {
			dir = "."
		}
		path := dir + "/" + name
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil {
			return path
		}
	}
	return ""
}

// locate gives the program of a command, or says why there is none and the status for that.
func (s *Shell) locate(name string) (path string, status int) {
	if !strings.Contains(name, "/") {
		if path = s.find(name); path == "" {
			s.errorf("%s: not found", name)
			return "", 127
		}
		return path, 0
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		s.errorf("%s: %s", name, notFound(err))
		return "", 127
	case info.IsDir():
		s.errorf("%s: Permission denied", name)
		return "", 126
	}
	return name, 0
}

func notFound(err error) string {
	if os.IsNotExist(err) {
		return "not found"
	}
	return reason(err)
}

func (s *Shell) external(words []string) {
	path, status := s.locate(words[0])
	if path == "" {
		s.status = status
		return
	}
	if s.tail && !s.inside && !s.control {
		s.status = s.become(path, words)
		return
	}
	j := s.newJob(strings.Join(words, " "))
	if status := s.launch(j, path, words, s.files.list()); status != 0 {
		s.status = status
		return
	}
	s.await(j)
}

func (s *Shell) timed(cmd *syntax.TimeClause) {
	var before, after unix.Rusage
	unix.Getrusage(unix.RUSAGE_CHILDREN, &before)
	start := time.Now()
	if cmd.Stmt != nil {
		s.statement(cmd.Stmt)
	}
	elapsed := time.Since(start)
	unix.Getrusage(unix.RUSAGE_CHILDREN, &after)
	user := time.Duration(after.Utime.Nano() - before.Utime.Nano())
	system := time.Duration(after.Stime.Nano() - before.Stime.Nano())
	for _, line := range []struct {
		word string
		time time.Duration
	}{{"real", elapsed}, {"user", user}, {"sys", system}} {
		if cmd.PosixFormat {
			fmt.Fprintf(s.stderr(), "%s %.2f\n", line.word, line.time.Seconds())
		} else {
			io.WriteString(s.stderr(), line.word+"\t"+minutes(line.time)+"\n")
		}
	}
}

func minutes(d time.Duration) string {
	return fmt.Sprintf("%dm %.2fs", int(d/time.Minute), (d % time.Minute).Seconds())
}

// chdir changes directory, keeping the name the user took through symbolic links unless physical.
func (s *Shell) chdir(to string, physical bool) error {
	target := to
	if !physical {
		if !filepath.IsAbs(to) {
			target = s.dir + "/" + to
		}
		target = filepath.Clean(target)
	}
	if err := unix.Chdir(target); err != nil {
		return err
	}
	if physical {
		if dir, err := unix.Getwd(); err == nil {
			target = dir
		}
	}
	s.assign("OLDPWD", s.dir)
	s.export("OLDPWD")
	s.dir = target
	s.assign("PWD", target)
	return nil
}
