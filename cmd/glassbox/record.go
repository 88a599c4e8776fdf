package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"glassbox/doctor"
	"glassbox/engine"
	"glassbox/program"
	"glassbox/recording"
	"glassbox/view"
	"glassbox/why"
)

func recordVerb() verb {
	return verb{
		use:   "record [OPTIONS] FILE run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\trecord [OPTIONS] FILE exec [OPTIONS] CONTAINER COMMAND [ARG...]",
		short: "Record a run or an exec, to be replayed elsewhere", min: 2, max: -1, bare: true, group: seeThrough,
		long: "Record a run or an exec: the machine, every request made of the kernel, views of the container, the output, how it ended and why.\n" +
			"Output and exit code stay as they are. The file can hold what the command line and the program show: secrets too.",
		prepare: func(c *call) action {
			force := c.flags.BoolP("force", "f", false, "Write over an existing file")
			return func(ctx context.Context, args []string) error { return c.record(ctx, args, *force) }
		},
	}
}

// record has the command run, with a recorder looking on.
func (c *call) record(ctx context.Context, args []string, force bool) error {
	recorded := map[string]func(*recorder) verb{"run": recordedRun, "exec": recordedExec}[args[1]]
	if recorded == nil {
		return plainFailure("record records a run or an exec: %[1]s record FILE run [OPTIONS] IMAGE, or %[1]s record FILE exec [OPTIONS] CONTAINER COMMAND, not %[2]q", c.name, args[1])
	}
	w, err := recording.Create(args[0], force)
	if errors.Is(err, fs.ErrExist) {
		return &failure{cause: err, line: err.Error(), docker: err.Error(), code: 1, fix: "another name, or --force, which writes over it"}
	}
	if err != nil {
		return plainFailure("%w", err)
	}
	r := &recorder{Writer: w, call: c, command: append([]string{c.name}, args[1:]...)}
	err = c.invoke(ctx, c.name+" "+args[1], recorded(r), args[2:])
	r.over(err)
	if lost := w.Close(); lost != nil {
		fmt.Fprintf(c.stderr, "%s: the recording is not complete: %v\n", c.name, lost)
	}
	return err
}

// recorder is told by run and exec what happens. All of it may be asked of nil, which records nothing.
type recorder struct {
	*recording.Writer
	call    *call
	command []string
	begun   bool
	ended   bool
	stop    func() // ends the looking; may be called twice
}

// begin examines the machine, before anything is asked of it.
func (r *recorder) begin(explain *bool, tty bool) {
	if r == nil {
		return
	}
	*explain, r.begun = true, true
	r.Begin(r.command, tty, doctor.Examine())
}

// tee records what goes through the streams.
func (r *recorder) tee(s *engine.Streams) {
	if r == nil {
		return
	}
	if s.Out != nil {
		s.Out = r.Tee(s.Out, false)
	}
	if s.Err != nil {
		s.Err = r.Tee(s.Err, true)
	}
}

// started records the account, and looks at the container until it is over.
func (r *recorder) started(id string) {
	if r == nil {
		return
	}
	b, err := r.call.backend()
	if err != nil {
		return
	}
	if all, err := b.containers.Account(id); err == nil {
		r.Account(all)
	} else {
		r.Note("the requests made of the kernel are not known: %v", err)
	}
	r.look(id, "the container after its start")
}

// look looks at the container until it is over.
func (r *recorder) look(id, title string) {
	if r == nil {
		return
	}
	b, err := r.call.backend()
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := view.Watch(ctx, func() (*engine.Sight, error) { return b.sight(id) }, func(v *view.View, _ *view.Gone) error {
			if v != nil {
				r.View(v, title)
			}
			return nil
		})
		if !r.Viewed() {
			r.Note("the container could not be viewed: %v", err)
		}
	}()
	r.stop = func() { cancel(); <-done }
}

// left records the end of an exec; detached and other errors are over's.
func (r *recorder) left(id string, code int, err error) {
	if r == nil {
		return
	}
	r.stop()
	if err != nil {
		return
	}
	text := "The command ended, and its container goes on."
	if b, err := r.call.backend(); err == nil {
		if i, err := b.containers.Inspect(id, false); err != nil || !i.State.Running {
			text = "The container has ended, and every process in it."
		}
	}
	r.Ended(code, text, nil)
	r.ended = true
}

// finished records why the container ended, before --rm removes it.
func (r *recorder) finished(id string, code int) {
	if r == nil {
		return
	}
	if r.stop != nil {
		r.stop()
	}
	e, err := r.call.evidence(id)
	if err != nil {
		r.Ended(code, err.Error(), nil)
	} else {
		r.Ended(code, "", why.Container(e, code))
	}
	r.ended = true
}

// failed records the account of a start that went wrong.
func (r *recorder) failed(err error) { r.asked(engine.AccountOf(err)) }

// asked records what was asked of the kernel.
func (r *recorder) asked(all []program.Account) {
	if r != nil {
		r.Account(all)
	}
}

// over records an end that was not the container's: none was made, or it was detached from.
func (r *recorder) over(err error) {
	if r.stop != nil {
		r.stop()
	}
	var f *failure
	switch {
	case r.ended || !r.begun:
	case errors.As(err, &f):
		r.Ended(f.code, f.line, nil)
	case err == nil:
		r.Ended(0, "The command detached from the container, which goes on.", nil)
	default:
		r.Ended(1, err.Error(), nil)
	}
}
