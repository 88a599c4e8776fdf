// Package shell is a POSIX shell for lessons: mvdan.cc/sh parses and expands, and this package runs the commands as
// processes, in process groups, with the signals a real shell has.
//
// The interpreter that comes with mvdan.cc/sh is for embedding: its subshells and background commands are goroutines, `$!`
// is no pid, descriptors above 2 and signal traps do not exist. Here every external command, every pipeline stage that is
// not a mere echo, every ( ) and every & is a process that ps shows. Since Go cannot fork, a subshell is this program
// executed again, with its variables, functions and source handed over in a file in memory (subshell.go).
package shell

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"glassbox/tiny/signals"
)

// Builtin is an applet cheap enough to run inside the shell.
type Builtin func(args []string, out, err io.Writer) int

// Shell is one running shell. It is used by one goroutine.
type Shell struct {
	name    string
	params  []string
	vars    map[string]expand.Variable
	locals  []map[string]expand.Variable // what `local` hides, one map for each running function
	funcs   map[string]*syntax.Stmt
	aliases map[string]string
	options options
	files   files
	traps   traps
	jobs    jobs

	pid    int // $$: the first shell's, in its subshells too
	dir    string
	last   int // $!
	status int
	subst  int // the status of the last command substitution of this command

	flow      flow
	levels    int // how many loops break or continue still has to leave
	loops     int
	functions int
	sourced   int
	lenient   int // above 0, a failing command does not end a shell with -e: it is a condition

	tail     bool // the command about to run is the last: it may replace the shell
	ownFiles bool // ulimit -n was used: the limit of open files is what the kernel says
	optIndex int  // getopts: the word and the byte in it
	optByte  int

	fromFile bool // the script is a file: messages tell its lines
	line     int

	past        []string // the lines typed so far
	interactive bool
	control     bool          // jobs have process groups and the terminal is handed to them
	inside      bool          // a command substitution in this process: exec may not replace it
	terminal    int           // the controlling terminal when control is on
	sane        *unix.Termios // its modes at the start

	interrupted *atomic.Bool // SIGINT arrived in an interactive shell
	builtins    map[string]Builtin
	config      *expand.Config
}

// flow says why statements are being left.
type flow uint8

const (
	running flow = iota
	breaking
	continuing
	returning
	exiting
	interrupting // Ctrl-C: back to the prompt
)

func (s *Shell) configure() {
	s.config = &expand.Config{
		Env:      variables{s},
		CmdSubst: s.substitute,
		NoUnset:  s.options['u'],
		ProcSubst: func(*syntax.ProcSubst) (string, error) {
			return "", errors.New("syntax error: this shell has no process substitution")
		},
	}
	if !s.options['f'] {
		s.config.ReadDir2 = func(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }
	}
}

func (s *Shell) errorf(format string, args ...any) {
	where := s.label() + ": "
	if s.fromFile {
		where += "line " + itoa(s.line) + ": "
	}
	fmt.Fprintf(s.stderr(), where+format+"\n", args...)
}

func (s *Shell) label() string {
	if s.name == "" || s.interactive {
		return "sh"
	}
	return strings.TrimPrefix(s.name, "-")
}

func (s *Shell) stdout() io.Writer { return descriptor(s.files.number(1)) }
func (s *Shell) stderr() io.Writer { return descriptor(s.files.number(2)) }

// reason words an error the way the C library does.
func reason(err error) string {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// parse reads a whole program.
func parse(source io.Reader, name string) (*syntax.File, error) {
	return syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(source, name)
}

// syntaxError tells of a parse error without repeating the file's name.
func (s *Shell) syntaxError(err error) {
	var parse syntax.ParseError
	var lang syntax.LangError
	switch {
	case errors.As(err, &parse):
		s.line = int(parse.Pos.Line())
		s.errorf("syntax error: %s", parse.Text)
	case errors.As(err, &lang):
		s.line = int(lang.Pos.Line())
		s.errorf("syntax error: %s", lang.Feature)
	default:
		s.errorf("%s", reason(err))
	}
}

// evaluate runs source text in this shell: eval, traps, and the lines of a terminal.
func (s *Shell) evaluate(source, name string) {
	file, err := parse(strings.NewReader(source), name)
	if err != nil {
		s.syntaxError(err)
		s.status = 2
		return
	}
	if len(file.Stmts) == 0 {
		s.status = 0
	}
	s.statements(file.Stmts)
}

// stream runs a script statement by statement, so that a syntax error at its end does not keep its start from running.
func (s *Shell) stream(source io.Reader, name string) {
	parser := syntax.NewParser(syntax.Variant(syntax.LangBash))
	for stmt, err := range parser.StmtsSeq(source) {
		if err != nil {
			s.syntaxError(err)
			s.status = 2
			return
		}
		if s.statement(stmt); s.flow != running {
			return
		}
	}
}

// runText runs the text of -c: as stream, but its last command, when it is a mere program, replaces the shell, so that
// `sh -c 'sleep 9'` is one process, as with other shells.
func (s *Shell) runText(text string) {
	parser := syntax.NewParser(syntax.Variant(syntax.LangBash))
	var held *syntax.Stmt
	for stmt, err := range parser.StmtsSeq(strings.NewReader(text)) {
		if held != nil {
			if s.statement(held); s.flow != running {
				return
			}
		}
		held = stmt
		if err != nil {
			s.syntaxError(err)
			s.status = 2
			return
		}
	}
	if held == nil {
		return
	}
	_, simple := held.Cmd.(*syntax.CallExpr)
	s.tail = simple && !held.Negated && !held.Background && len(s.traps.actions) == 0
	s.statement(held)
}

// finish runs the EXIT trap and gives the status to exit with.
func (s *Shell) finish() int {
	if s.flow != exiting {
		s.pending()
	}
	action, ok := s.traps.actions[0]
	if !ok || action == "" {
		return s.status
	}
	delete(s.traps.actions, 0)
	status := s.status
	s.flow = running
	s.evaluate(action, "trap")
	if s.flow != exiting {
		s.status = status
	}
	return s.status
}

// deafen makes the shell deaf, as every interactive shell is, to what a user types at its children.
func deafen() {
	for _, sig := range deaf {
		signals.Deafen(sig)
	}
}

var deaf = [...]unix.Signal{unix.SIGTERM, unix.SIGQUIT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU}

// hearInterrupt lets Ctrl-C end the command line that the shell itself is busy with.
func (s *Shell) hearInterrupt() {
	arrived := make(chan os.Signal, 1)
	signals.Catch(arrived, unix.SIGINT)
	go func() {
		for range arrived {
			s.interrupted.Store(true)
			s.traps.wake()
		}
	}()
}
