package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"glassbox/doctor"
	"glassbox/lab"
	"glassbox/screen"
)

func labVerbs() []verb {
	return []verb{labListVerb(), labStartVerb(), labShowVerb(), labCheckVerb(), labHintVerb(), labResetVerb(), labReportVerb(), labGradeVerb(), labLintVerb()}
}

// labCall is a command about lessons: what its flags say, and the screen it draws.
type labCall struct {
	*call
	from  *string
	plain *bool
}

// lessons defines the flags that commands about lessons share.
func (c *call) lessons() labCall {
	return labCall{call: c, plain: plainFlag(c.flags)}
}

// lessonsFrom defines --from too.
func (c *call) lessonsFrom() labCall {
	l := c.lessons()
	l.from = c.flags.String("from", "", "Directory of more lessons; of two with the same name, its own counts (default $GLASSBOX_LABS)")
	return l
}

// library is the lessons that --from and GLASSBOX_LABS name, with the built-in ones.
func (c labCall) library() (*lab.Library, error) {
	dir := os.Getenv("GLASSBOX_LABS")
	if c.from != nil {
		dir = cmp.Or(*c.from, dir)
	}
	return lab.OpenLibrary(dir)
}

func (c labCall) desk() (*lab.Desk, error) {
	library, err := c.library()
	if err != nil {
		return nil, plainFailure("%w", err)
	}
	b, err := c.backend()
	if err != nil {
		return nil, err
	}
	d := b.desk(library)
	d.Lacking = doctor.Lacking
	d.Tell = func(message string) { fmt.Fprintf(c.stderr, "%s: %s\n", c.name, oneLine(message)) }
	return d, nil
}

// draw writes a screen.
func (c labCall) draw(what func(s lab.Screens)) error {
	s := lab.Screens{Screen: screen.New(c.stdout, style(c.stdout, *c.plain)), Name: c.name}
	what(s)
	return s.Flush()
}

// ask asks the desk, and shows what it answers.
func ask[T any](c labCall, question func(*lab.Desk) (T, error), show func(lab.Screens, T)) (answer T, err error) {
	d, err := c.desk()
	if err != nil {
		return answer, err
	}
	if answer, err = question(d); err != nil {
		return answer, plainFailure("%w", err)
	}
	return answer, c.draw(func(s lab.Screens) { show(s, answer) })
}

func labListVerb() verb {
	return verb{
		use: "list [OPTIONS]", alias: []string{"ls"}, short: "List the lessons, what was done of each, and what this machine lacks", max: 0,
		prepare: func(c *call) action {
			l := c.lessonsFrom()
			return func(ctx context.Context, args []string) error {
				d, err := l.desk()
				if err != nil {
					return err
				}
				all, known, err := d.List()
				if err != nil {
					return plainFailure("%w", err)
				}
				return l.draw(func(s lab.Screens) { s.List(all, known, d.Library.Broken) })
			}
		},
	}
}

func labStartVerb() verb {
	return verb{
		use: "start [OPTIONS] LESSON", short: "Begin a lesson, by its name or number: make what it needs, and show its first task", min: 1, max: 1,
		prepare: func(c *call) action {
			l := c.lessonsFrom()
			return func(ctx context.Context, args []string) error {
				start := func(d *lab.Desk) (*lab.Where, error) { return d.Start(ctx, args[0]) }
				_, err := ask(l, start, func(s lab.Screens, w *lab.Where) { s.Where(w, !w.Again) })
				return err
			}
		},
	}
}

func labShowVerb() verb {
	return verb{
		use: "show [OPTIONS]", short: "Show the lesson under way, and its open task", max: 0,
		prepare: func(c *call) action {
			l := c.lessons()
			return func(ctx context.Context, args []string) error {
				show := func(d *lab.Desk) (*lab.Where, error) { return d.Show(ctx) }
				_, err := ask(l, show, func(s lab.Screens, w *lab.Where) { s.Where(w, true) })
				return err
			}
		},
	}
}

func labCheckVerb() verb {
	return verb{
		use: "check [OPTIONS]", short: "Look whether the open task is done, and say what is missing", max: 0,
		prepare: func(c *call) action {
			l := c.lessons()
			return func(ctx context.Context, args []string) error {
				check := func(d *lab.Desk) (*lab.Checked, error) { return d.Check(ctx) }
				checked, err := ask(l, check, lab.Screens.Checked)
				if err != nil || checked.Missing == "" {
					return err
				}
				return exitStatus(1)
			}
		},
	}
}

func labHintVerb() verb {
	return verb{
		use: "hint [OPTIONS]", short: "Give one more hint for the open task; what the last check has said comes first", max: 0,
		prepare: func(c *call) action {
			l := c.lessons()
			return func(ctx context.Context, args []string) error {
				hint := func(d *lab.Desk) (*lab.Hinted, error) { return d.Hint(ctx) }
				_, err := ask(l, hint, lab.Screens.Hinted)
				return err
			}
		},
	}
}

func labResetVerb() verb {
	return verb{
		use: "reset [OPTIONS] [LESSON]", short: "Bring the machine back to what it was before the lesson", max: 1,
		prepare: func(c *call) action {
			l := c.lessons()
			return func(ctx context.Context, args []string) error {
				reset := func(d *lab.Desk) (*lab.Cleaned, error) { return d.Reset(ctx, strings.Join(args, "")) }
				cleaned, err := ask(l, reset, lab.Screens.Cleaned)
				if err != nil || len(cleaned.Remains) == 0 {
					return err
				}
				return exitStatus(1)
			}
		},
	}
}
