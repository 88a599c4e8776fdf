package shell

import (
	"errors"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"
)

func (s *Shell) statements(list []*syntax.Stmt) {
	for _, st := range list {
		if s.statement(st); s.flow != running {
			return
		}
	}
}

func (s *Shell) statement(st *syntax.Stmt) {
	if s.pending(); s.flow != running {
		return
	}
	if s.interactive && s.interrupted.Load() {
		s.flow = interrupting
		return
	}
	if s.options['n'] && !s.interactive {
		return
	}
	s.line = int(st.Position.Line())
	switch {
	case st.Coprocess || st.Disown:
		s.errorf("syntax error: coprocesses are not supported")
		s.status = 2
	case st.Background:
		s.background(st)
	default:
		s.foreground(st)
	}
	if s.flow == running {
		s.pending()
	}
}

func (s *Shell) foreground(st *syntax.Stmt) {
	if st.Negated {
		s.lenient++
	}
	s.redirected(st)
	if st.Negated {
		s.lenient--
		if s.flow == running {
			s.status = oneIf(s.status == 0)
		}
		return
	}
	if b, ok := st.Cmd.(*syntax.BinaryCmd); ok && (b.Op == syntax.AndStmt || b.Op == syntax.OrStmt) {
		return
	}
	if s.status != 0 && s.options['e'] && s.lenient == 0 && s.flow == running {
		s.flow = exiting
	}
}

// redirected runs a command with its redirections; a simple command makes its own, after its words are expanded.
func (s *Shell) redirected(st *syntax.Stmt) {
	if call, ok := st.Cmd.(*syntax.CallExpr); ok {
		s.simple(call, st.Redirs)
		return
	}
	if len(st.Redirs) == 0 {
		s.command(st.Cmd)
		return
	}
	before := s.files
	s.files = before.borrow()
	if err := s.redirect(st.Redirs); err != nil {
		s.expansionError(err)
	} else if st.Cmd == nil {
		s.status = 0
	} else {
		s.command(st.Cmd)
	}
	s.files.release()
	s.files = before
}

func (s *Shell) command(cmd syntax.Command) {
	switch cmd := cmd.(type) {
	case nil:
	case *syntax.CallExpr:
		s.simple(cmd, nil)
	case *syntax.Block:
		s.statements(cmd.Stmts)
	case *syntax.Subshell:
		s.subshell(cmd)
	case *syntax.BinaryCmd:
		s.binary(cmd)
	case *syntax.IfClause:
		s.conditional(cmd)
	case *syntax.WhileClause:
		s.while(cmd)
	case *syntax.ForClause:
		s.loop(cmd)
	case *syntax.CaseClause:
		s.choose(cmd)
	case *syntax.FuncDecl:
		s.funcs[cmd.Name.Value] = cmd.Body
		s.status = 0
	case *syntax.DeclClause:
		s.declare(cmd)
	case *syntax.ArithmCmd:
		n, err := expand.Arithm(s.config, cmd.X)
		s.arithmetic(n, err)
	case *syntax.LetClause:
		for _, x := range cmd.Exprs {
			n, err := expand.Arithm(s.config, x)
			s.arithmetic(n, err)
		}
	case *syntax.TestClause:
		ok, err := s.test(cmd.X)
		s.status = oneIf(!ok)
		if err != nil {
			s.errorf("%v", err)
			s.status = 2
		}
	case *syntax.TimeClause:
		s.timed(cmd)
	default:
		s.errorf("syntax error: this shell has no such command")
		s.status = 2
	}
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *Shell) arithmetic(n int, err error) {
	if err != nil {
		s.expansionError(err)
		return
	}
	s.status = oneIf(n == 0)
}

// condition runs a list whose failure is an answer, not an error.
func (s *Shell) condition(list []*syntax.Stmt) bool {
	s.lenient++
	s.statements(list)
	s.lenient--
	return s.flow == running && s.status == 0
}

func (s *Shell) binary(cmd *syntax.BinaryCmd) {
	if cmd.Op != syntax.AndStmt && cmd.Op != syntax.OrStmt {
		s.pipeline(cmd)
		return
	}
	s.lenient++
	s.statement(cmd.X)
	s.lenient--
	if s.flow == running && (s.status == 0) == (cmd.Op == syntax.AndStmt) {
		s.statement(cmd.Y)
	}
}

func (s *Shell) conditional(cmd *syntax.IfClause) {
	for ; cmd != nil; cmd = cmd.Else {
		if len(cmd.Cond) == 0 || s.condition(cmd.Cond) { // else has no condition
			s.statements(cmd.Then)
			return
		}
		if s.flow != running {
			return
		}
	}
	s.status = 0
}

func (s *Shell) while(cmd *syntax.WhileClause) {
	s.loops++
	defer func() { s.loops-- }()
	status := 0
	for {
		s.lenient++
		s.statements(cmd.Cond)
		s.lenient--
		if s.flow != running {
			if s.leaveLoop() {
				break
			}
			continue
		}
		if (s.status == 0) == cmd.Until {
			break
		}
		s.statements(cmd.Do)
		status = s.status
		if s.leaveLoop() {
			return
		}
	}
	if s.flow == running {
		s.status = status
	}
}

// leaveLoop settles break and continue after a round, and says whether the loop is over.
func (s *Shell) leaveLoop() bool {
	switch s.flow {
	case running:
		return false
	case breaking, continuing:
		s.levels--
		if s.levels > 0 {
			return true
		}
		over := s.flow == breaking
		s.flow = running
		return over
	}
	return true
}

func (s *Shell) loop(cmd *syntax.ForClause) {
	s.loops++
	defer func() { s.loops-- }()
	switch by := cmd.Loop.(type) {
	case *syntax.WordIter:
		if cmd.Select {
			s.errorf("syntax error: select is not supported")
			s.status = 2
			return
		}
		items := append([]string{}, s.params...)
		if by.InPos.IsValid() {
			var err error
			if items, err = s.fields(by.Items); err != nil {
				s.expansionError(err)
				return
			}
		}
		s.status = 0
		for _, item := range items {
			if !s.assign(by.Name.Value, item) {
				return
			}
			s.statements(cmd.Do)
			if s.leaveLoop() {
				return
			}
		}
	case *syntax.CStyleLoop:
		s.counted(by, cmd.Do)
	}
}

func (s *Shell) counted(by *syntax.CStyleLoop, body []*syntax.Stmt) {
	number := func(x syntax.ArithmExpr, absent int) (int, bool) {
		if x == nil {
			return absent, true
		}
		n, err := expand.Arithm(s.config, x)
		if err != nil {
			s.expansionError(err)
		}
		return n, err == nil
	}
	if _, ok := number(by.Init, 0); !ok {
		return
	}
	s.status = 0
	for {
		if n, ok := number(by.Cond, 1); !ok || n == 0 {
			return
		}
		s.statements(body)
		if s.leaveLoop() {
			return
		}
		if _, ok := number(by.Post, 0); !ok {
			return
		}
	}
}

func (s *Shell) choose(cmd *syntax.CaseClause) {
	word, err := expand.Literal(s.config, cmd.Word)
	if err != nil {
		s.expansionError(err)
		return
	}
	s.status = 0
	through := false
	for _, item := range cmd.Items {
		if !through && !s.matchesAny(item.Patterns, word) {
			continue
		}
		s.statements(item.Stmts)
		switch item.Op {
		case syntax.Fallthrough:
			through = true
		case syntax.Resume, syntax.ResumeKorn:
			through = false
		default:
			return
		}
		if s.flow != running {
			return
		}
	}
}

func (s *Shell) matchesAny(patterns []*syntax.Word, word string) bool {
	for _, p := range patterns {
		pat, err := expand.Pattern(s.config, p)
		if err == nil && matches(pat, word) {
			return true
		}
	}
	return false
}

func matches(pat, word string) bool {
	expr, err := pattern.Regexp(pat, pattern.EntireString)
	if err != nil {
		return pat == word
	}
	re, err := regexp.Compile(expr)
	return err == nil && re.MatchString(word)
}

// fields expands words, braces included.
func (s *Shell) fields(words []*syntax.Word) ([]string, error) {
	return expand.Fields(s.config, words...)
}

// expansionError reports what an expansion or a redirection could not do. An unset variable that must be set ends a script.
func (s *Shell) expansionError(err error) {
	s.status = 1
	var unset expand.UnsetParameterError
	if errors.As(err, &unset) {
		message := unset.Message
		if message == "unbound variable" {
			message = "parameter not set"
		} else if message == "" {
			message = "parameter not set or null"
		}
		s.errorf("%s: %s", unset.Node.Param.Value, message)
		s.status = 2
		s.abandon()
		return
	}
	if errors.Is(err, errSubstitution) {
		return
	}
	division := strings.Contains(err.Error(), "division by zero")
	if division {
		err = errors.New("divide by zero")
	}
	s.errorf("%s", reason(err))
	if errors.Is(err, errReadOnly) || division {
		s.status = 2
		s.abandon()
	}
}

// abandon ends a script, or the current line of a terminal.
func (s *Shell) abandon() {
	if s.interactive {
		s.flow = interrupting
		return
	}
	s.flow = exiting
}

func (s *Shell) declare(cmd *syntax.DeclClause) {
	before := s.status // which $? means in the words
	s.status = 0
	kind := cmd.Variant.Value
	if kind == "local" && len(s.locals) == 0 {
		s.errorf("local: not in a function")
		s.status = 2
		return
	}
	exported, readonly, remove, shown := kind == "export", kind == "readonly", false, len(cmd.Args) == 0
	local := (kind == "local" || kind == "declare" || kind == "typeset") && len(s.locals) > 0
	for _, as := range cmd.Args {
		if as.Name == nil || strings.HasPrefix(as.Name.Value, "-") {
			failed := s.status
			s.status = before
			fields, err := s.declared(as)
			if err != nil {
				s.expansionError(err)
				return
			}
			s.status = failed
			for _, field := range fields {
				switch {
				case field == "-p":
					shown = true
				case field == "-n":
					remove = true
				case field == "-x":
					exported = true
				case field == "-r":
					readonly = true
				case field == "-g":
					local = false
				default:
					name, value, given := strings.Cut(field, "=")
					s.declareOne(name, expand.Variable{Set: given, Kind: expand.String, Str: value}, exported, readonly, remove, local)
				}
			}
			continue
		}
		var vr expand.Variable
		if !as.Naked {
			var err error
			failed := s.status
			s.status = before
			if vr, err = s.assigned(as); err != nil {
				s.expansionError(err)
				return
			}
			s.status = failed
		}
		if s.options['x'] {
			s.trace(kind + " " + as.Name.Value + "=" + quote(vr.String()))
		}
		s.declareOne(as.Name.Value, vr, exported, readonly, remove, local)
	}
	if shown {
		s.showVariables(kind)
	}
	if s.status == 0 {
		s.status = s.subst
	}
}

func (s *Shell) declared(as *syntax.Assign) ([]string, error) {
	if as.Name != nil {
		return []string{as.Name.Value}, nil
	}
	return s.fields([]*syntax.Word{as.Value})
}

func (s *Shell) declareOne(name string, vr expand.Variable, exported, readonly, remove, local bool) {
	if !syntax.ValidName(name) {
		s.errorf("%s: bad variable name", name)
		s.status = 2
		return
	}
	old := s.vars[name]
	if local {
		s.hide(name)
		old.ReadOnly = false
	}
	if old.ReadOnly && vr.Set {
		s.errorf("%s: is read only", name)
		s.status = 2
		s.abandon()
		return
	}
	if !vr.Set {
		if vr = old; local {
			vr = expand.Variable{Kind: expand.String, Local: true, Exported: old.Exported}
		}
	}
	vr.Exported = (vr.Exported || old.Exported || exported) && !remove
	vr.ReadOnly = vr.ReadOnly || readonly
	s.vars[name] = vr
}
