package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"glassbox/engine"
	"glassbox/program"
	"glassbox/trace"

	"github.com/spf13/pflag"
)

// traceFlags are run's: which calls of the container's own program are told of, and where.
type traceFlags struct{ calls, file string }

func (f *traceFlags) define(set *pflag.FlagSet) {
	set.StringVar(&f.calls, "trace", "", "Print the container's own system calls (\"all\", or a list of calls and classes: "+strings.Join(trace.Classes(), ", ")+")")
	set.Lookup("trace").NoOptDefVal = "all"
	set.StringVar(&f.file, "trace-file", "", "Print them to this file")
	own(set, "trace")
	own(set, "trace-file")
}

func (f *traceFlags) check(detached bool) error {
	if f.calls == "" {
		if f.file != "" {
			return errors.New("--trace-file needs --trace")
		}
		return nil
	}
	if detached {
		return errors.New("conflicting options: --trace follows the container as long as run stays: leave out --detach")
	}
	_, err := trace.Select(f.calls)
	return err
}

// tracer is the process that follows the container. It is one of its own, because ptrace(2) is a matter of threads and of waiting for all.
type tracer struct {
	process *exec.Cmd // nil: nobody is followed
	hold    io.Closer // the tracer lets go of all it follows when this is closed
	out     *os.File  // nil: stderr
}

// traced has a tracer start when the container's process waits at its gate. Nobody follows it where nobody asked for that.
func (c *call) traced(f *traceFlags, w wiring, s *engine.Streams) *tracer {
	t := &tracer{}
	if f.calls != "" {
		s.Gate = func(pid int) error { return t.follow(c, f, pid, w.tty && w.stdin) }
	}
	return t
}

// follow returns when the process is followed. raw: the terminal is, so that lines need a carriage return.
func (t *tracer) follow(c *call, f *traceFlags, pid int, raw bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	process := exec.Command(self, "container", "trace", strconv.Itoa(pid), f.calls)
	process.Stdout, process.Stderr = c.stderr, c.stderr
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the container
	if f.file != "" {
		if t.out, err = os.Create(f.file); err != nil {
			return err
		}
		process.Stdout = t.out
	} else if raw {
		process.Args = append(process.Args, "raw")
	}
	return t.start(process)
}

func (t *tracer) start(process *exec.Cmd) (err error) {
	if t.hold, err = process.StdinPipe(); err != nil {
		return err
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer told.Close()
	process.ExtraFiles = []*os.File{tell}
	err = process.Start()
	tell.Close()
	if err != nil {
		return err
	}
	t.process = process
	if word, _ := io.ReadAll(told); string(word) != following {
		return errors.Join(fmt.Errorf("the container's system calls cannot be followed: %s", word), t.end())
	}
	return nil
}

// following is what a tracer says when it follows; anything else is why it does not.
const following = "following"

// wait lets it tell of the last calls.
func (t *tracer) wait() {
	if t.process == nil {
		return
	}
	t.process.Wait() //nolint:errcheck // it has told why itself
	t.close()        //nolint:errcheck // so has a file that is full
	t.process = nil
}

// end makes it let go: the container goes on without it.
func (t *tracer) end() error {
	if t.process == nil {
		return nil
	}
	t.hold.Close()
	t.process.Wait() //nolint:errcheck // it was told to end
	return t.close()
}

func (t *tracer) close() error {
	if t.out == nil {
		return nil
	}
	return t.out.Close()
}

// traceVerb is the tracer. Its standard input ends when whoever wants the trace has gone; descriptor 3 is told when it follows.
func traceVerb() verb {
	return verb{
		use: "trace PID CALLS [raw]", short: "Follow a container's system calls (run by run --trace)", min: 2, max: 3, hidden: true,
		prepare: func(c *call) action {
			return func(_ context.Context, args []string) error {
				pid, err := strconv.Atoi(args[0])
				if err != nil {
					return plainFailure("%w", err)
				}
				only, err := trace.Select(args[1])
				if err != nil {
					return plainFailure("%w", err)
				}
				return c.trace(pid, only, len(args) > 2)
			}
		},
	}
}

func (c *call) trace(pid int, only trace.Selection, raw bool) error {
	ready := os.NewFile(3, "ready")
	go func() {
		io.Copy(io.Discard, os.Stdin) //nolint:errcheck // its end is what counts
		os.Exit(0)                    // the kernel lets go of all that we follow
	}()
	s := style(c.stdout, false)
	var out io.Writer = c.stdout
	if raw {
		out = returning{out}
	}
	p := trace.NewPrinter(out, program.Style{Colour: s.Colour, Width: s.Width})
	err := trace.Follow(pid, trace.Options{Only: only, Most: mostTraced}, p, func() error {
		_, err := ready.WriteString(following)
		return errors.Join(err, ready.Close())
	})
	if err != nil {
		ready.WriteString(err.Error()) //nolint:errcheck // closed by now, if it followed
		return plainFailure("trace: %w", err)
	}
	return p.Sum()
}

// mostTraced is how many bytes of a string a trace shows.
const mostTraced = 80

// returning writes for a terminal that is raw.
type returning struct{ w io.Writer }

func (r returning) Write(b []byte) (int, error) {
	_, err := r.w.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
	return len(b), err
}
