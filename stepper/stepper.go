// Package stepper is the terminal's half of stepping: it shows what a start, exec or stop is about to ask of the kernel, and reads what to do.
package stepper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"glassbox/mechanism"
	"glassbox/program"
	"glassbox/screen"
)

// Options are how somebody steps.
type Options struct {
	From   string       // the phase at which pausing begins; empty: the first
	In     *os.File     // a terminal; not used with a script
	Script *Script      // nil: a person answers
	Out    io.Writer    // where stops are shown
	Style  screen.Style // and how
}

// Stepper asks whoever sits at the terminal, or a script, before each call.
type Stepper struct {
	Options
	lines   *lines
	until   func(program.Stop) bool // runs on until then; nil: it pauses at each stop
	target  string                  // what it runs to, as it was typed; empty: the end
	passed  int                     // calls that were made without a pause
	checked bool                    // that From is a phase of what is stepped through
}

// New begins to catch signals, by which a start is ended as by q. Close gives them back.
func New(o Options) (*Stepper, error) {
	s := &Stepper{Options: o}
	var err error
	if s.lines, err = newLines(o.In); err != nil {
		return nil, err
	}
	if o.From != "" {
		s.runTo(o.From, func(stop program.Stop) bool {
			return slices.Index(stop.Phases, stop.Phase) >= slices.Index(stop.Phases, o.From)
		})
	}
	return s, nil
}

// Close ends it, and tells of a place that was not reached.
func (s *Stepper) Close() {
	s.lines.close()
	if s.until != nil && s.target != "" && s.checked {
		fmt.Fprintf(s.Out, "%s was not reached: %s\n", s.target, counted(s.passed))
	}
}

// Ask shows a stop and returns what is to become of the call. It is a monitor.Asker: a context that ends means that nobody waits for the
// answer any more.
func (s *Stepper) Ask(ctx context.Context, stop program.Stop) (program.Answer, error) {
	if err := s.check(stop); err != nil {
		return program.Go, err
	}
	if by := s.lines.caught(); by != "" {
		return program.Go, &program.Quit{Where: where(stop), By: by}
	}
	if s.until != nil && !s.until(stop) {
		s.passed += len(stop.Next)
		return program.Go, nil
	}
	s.until = nil
	if err := s.show(stop); err != nil {
		return program.Go, err
	}
	s.passed = 0
	for {
		command, err := s.read(ctx, stop)
		if err != nil {
			return program.Go, err
		}
		answer, done, err := s.obey(command, stop)
		if done || err != nil {
			return answer, err
		}
	}
}

// check refuses to begin at a phase that the plan does not have, before anything is asked of the kernel.
func (s *Stepper) check(stop program.Stop) error {
	if s.checked || s.From == "" {
		s.checked = true
		return nil
	}
	if !slices.Contains(stop.Phases, s.From) {
		s.until = nil
		return &program.Quit{Why: fmt.Sprintf("--step=%s: there is no such phase this time: there are %s", s.From, strings.Join(stop.Phases, ", "))}
	}
	s.checked = true
	return nil
}

// read waits for the next command: the script's, or the user's.
func (s *Stepper) read(ctx context.Context, stop program.Stop) (command, error) {
	if s.Script != nil {
		c := s.Script.next()
		fmt.Fprintf(s.Out, "> %s\n", c)
		return c, nil
	}
	fmt.Fprint(s.Out, s.prompt())
	line, err := s.lines.read(ctx, stop.Pidfd)
	var quit *program.Quit
	switch {
	case errors.As(err, &quit):
		fmt.Fprintln(s.Out)
		quit.Where = where(stop)
		return command{}, quit
	case errors.Is(err, io.EOF):
		fmt.Fprintln(s.Out)
		return command{word: quitWord}, nil
	case err != nil:
		fmt.Fprintln(s.Out)
		return command{}, err
	}
	c, err := parse(line)
	if err != nil {
		fmt.Fprintln(s.Out, err)
		return command{word: helpWord}, nil
	}
	return c, nil
}

// prompt names the keys, as far as there is room.
func (s *Stepper) prompt() string {
	if w := s.Style.Width; w > 0 && w < 78 {
		return "Enter s c b i q (? help) > "
	}
	return "Enter next, s skip, c run on, b NAME break, i inspect, q quit, ? help > "
}

// obey does what a command says. Not done: it is to be read on, at the same stop.
func (s *Stepper) obey(c command, stop program.Stop) (answer program.Answer, done bool, err error) {
	switch c.word {
	case nextWord:
		return program.Go, true, nil
	case skipWord:
		if reason := kept(stop); reason != "" {
			s.say("%s cannot be skipped: %s", name(stop.Next[0].Call), reason)
			return program.Go, false, nil
		}
		return program.Skip, true, nil
	case continueWord:
		s.runTo("", func(program.Stop) bool { return false })
		s.lines.release()
		return program.Go, true, nil
	case breakWord:
		s.runTo(c.name, func(stop program.Stop) bool { return meets(stop, c.name) })
		return program.Go, true, nil
	case inspectWord:
		return program.Go, false, s.inspect(stop)
	case quitWord:
		return program.Go, true, &program.Quit{Where: where(stop)}
	}
	s.help()
	return program.Go, false, nil
}

func (s *Stepper) runTo(target string, until func(program.Stop) bool) {
	s.until, s.target = until, target
	if target != "" {
		s.target = "the break at " + target
	}
}

// kept is why the call that comes next must not be skipped; empty: it may.
func kept(stop program.Stop) string {
	for _, d := range stop.Next {
		if m, _ := mechanism.StepOf(d.Call, d.From, d.Why); m.Keep != "" {
			return m.Keep + ". Without it: " + m.Missing
		}
	}
	return stop.Bound
}

// meets says whether what comes next is called so: the call, its phase, its mechanism, or the field that asked for it or one around that. A
// mechanism that has the name of a system call, such as pivot_root, is met at that.
func meets(stop program.Stop, wanted string) bool {
	if stop.Phase == wanted {
		return true
	}
	known, is := mechanism.Of(wanted)
	is = is && !slices.ContainsFunc(known.Calls, func(c string) bool { return name(c+" ") == wanted })
	return slices.ContainsFunc(slices.Concat(stop.Next, stop.Then), func(d program.Done) bool {
		m, _ := mechanism.StepOf(d.Call, d.From, d.Why)
		return name(d.Call) == wanted || is && m.Mechanism == wanted || d.From == wanted || strings.HasPrefix(d.From, wanted+".") || strings.HasPrefix(d.From, wanted+"[")
	})
}

// name is what a call is called: the system call, or the program that one would type.
func name(call string) string {
	word := call[:max(strings.IndexAny(call+"(", "( \n"), 0)]
	switch word {
	case "add", "table", "delete":
		return "nft"
	case "nsenter": // nsenter -t PID -n COMMAND
		if words := strings.Fields(call); len(words) > 4 {
			return words[4]
		}
	}
	return word
}

// where a stop is, in words.
func where(stop program.Stop) string {
	if stop.Number > 0 {
		return fmt.Sprintf("step %d of %d (%s, in the phase %s)", stop.Number, stop.Steps, name(stop.Next[0].Call), stop.Phase)
	}
	return fmt.Sprintf("the host's request %d in the phase %s (%s)", stop.Request, stop.Phase, name(stop.Next[0].Call))
}
