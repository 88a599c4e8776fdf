package shell

import (
	"io"
	"strings"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/syntax"

	"glassbox/tiny/signals"
)

type syntaxStmt = syntax.Stmt

// source writes a statement back as text: what a subshell is given, and what jobs shows.
func source(nodes ...*syntax.Stmt) string {
	var text strings.Builder
	printer := syntax.NewPrinter()
	for i, node := range nodes {
		if i > 0 {
			text.WriteByte('\n')
		}
		printer.Print(&text, node)
	}
	return text.String()
}

// pipeline runs a | b in the foreground.
func (s *Shell) pipeline(cmd *syntax.BinaryCmd) {
	st := &syntax.Stmt{Cmd: cmd}
	j := s.newJob(source(st))
	s.start(j, st)
	if len(j.procs) > 0 {
		s.await(j)
	}
}

// stages takes a | b | c apart, left to right; both says that a stage's stderr goes into the pipe too (|&).
func stages(st *syntax.Stmt) (list []*syntax.Stmt, both []bool) {
	b, ok := st.Cmd.(*syntax.BinaryCmd)
	if !ok || (b.Op != syntax.Pipe && b.Op != syntax.PipeAll) || len(st.Redirs) > 0 || st.Negated {
		return []*syntax.Stmt{st}, []bool{false}
	}
	list, both = stages(b.X)
	both[len(both)-1] = b.Op == syntax.PipeAll
	right, rightBoth := stages(b.Y)
	return append(list, right...), append(both, rightBoth...)
}

// start starts a job's processes without waiting.
func (s *Shell) start(j *job, st *syntax.Stmt) {
	list, both := stages(st)
	if len(list) > 1 {
		// An echo stage writes from inside the shell, which must not die of SIGPIPE when its reader leaves early.
		signals.Deafen(unix.SIGPIPE)
		defer s.traps.restore(unix.SIGPIPE)
	}
	before := s.files
	in := file{fd: -1}
	for i, stage := range list {
		s.files = before.borrow()
		if i > 0 {
			s.replace(0, in)
		}
		var pipe [2]int
		if i < len(list)-1 {
			if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
				s.errorf("pipe: %s", reason(err))
				s.status = 2
				break
			}
			s.install(1, pipe[1])
			n, _ := high(pipe[0])
			unix.Close(pipe[0])
			in = file{fd: n, owned: true}
			if both[i] {
				s.duplicate(2, "1", syntax.DplOut)
			}
		}
		if s.stage(j, stage, len(list) == 1) {
			s.files.release()
		}
	}
	s.files = before
}

// stage starts one command of a job. It returns false when a helper still uses the descriptors and will close them.
func (s *Shell) stage(j *job, st *syntax.Stmt, alone bool) bool {
	call, ok := st.Cmd.(*syntax.CallExpr)
	if !ok || st.Negated || len(call.Args) == 0 || s.aliases[call.Args[0].Lit()] != "" {
		s.fork(j, st)
		return true
	}
	first := call.Args[0].Lit()
	inside := writer(first) && s.builtins[first] != nil && !j.background && !alone && len(call.Assigns) == 0
	if first == "jobs" && !j.background && !alone {
		var list strings.Builder // a subshell would have no jobs to show
		words, err := s.fields(call.Args)
		if err == nil {
			err = s.redirect(st.Redirs)
		}
		if err != nil {
			s.expansionError(err)
		}
		s.showJobs(&list, words)
		s.aside(j, func(out, _ io.Writer) int { io.WriteString(out, list.String()); return 0 })
		return false
	}
	if first == "" || s.funcs[first] != nil || special(first) || regular(first) || !inside && s.builtins[first] != nil {
		s.fork(j, st)
		return true
	}
	status, flow := s.status, s.flow
	words, err := s.fields(call.Args)
	if err == nil {
		err = s.redirect(st.Redirs)
	}
	if err != nil || len(words) == 0 {
		if err != nil {
			s.expansionError(err)
		}
		j.procs = append(j.procs, &process{ended: true, code: s.status})
		s.status, s.flow = status, flow
		return true
	}
	if inside {
		s.help(j, words)
		return false
	}
	undo, shown, ok := s.temporary(call.Assigns)
	defer undo()
	if s.options['x'] {
		s.traceWords(shown, words)
	}
	code := 1
	if ok {
		path := ""
		if path, code = s.locate(words[0]); path != "" {
			code = s.launch(j, path, words, s.files.list())
		}
	}
	if code != 0 {
		j.procs = append(j.procs, &process{ended: true, code: code})
	}
	return true
}

// writer names the builtins that only write, and may therefore run beside the shell.
func writer(name string) bool {
	switch name {
	case "echo", "printf", "true", "false":
		return true
	}
	return false
}

// help runs such a builtin in a goroutine, so that a full pipe blocks it and nothing else.
func (s *Shell) help(j *job, words []string) {
	if s.options['x'] {
		s.traceWords(nil, words)
	}
	run := s.builtins[words[0]]
	s.aside(j, func(out, err io.Writer) int { return run(words[1:], out, err) })
}

func (s *Shell) aside(j *job, run func(out, err io.Writer) int) {
	table := s.files
	p := &process{ended: true}
	j.procs = append(j.procs, p)
	out, err := descriptor(table.number(1)), descriptor(table.number(2))
	j.helpers.Add(1)
	go func() {
		defer j.helpers.Done()
		p.code = run(out, err)
		table.release()
	}()
}
