package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"glassbox/engine"
	"glassbox/linux"
	"glassbox/program"
	"glassbox/screen"
	"glassbox/store"
	"glassbox/why"
)

// card is what is printed below an error for people.
type card struct{ why, check, fix, learn string }

// cardFor: what the engine found out itself comes first, then package why's table, then the failure's own next command.
func cardFor(f *failure) card {
	var known *engine.Error
	if errors.As(f, &known) && known.Hint != nil {
		return card{known.Hint.Why, known.Hint.Check, known.Hint.Fix, known.Hint.Learn}
	}
	failed := why.Failed{Text: f.line, Store: store.Open().Data}
	var step *program.Failure
	if errors.As(f, &step) {
		if call := linux.Lookup(step.Step.Call); call != nil {
			failed.Call = call.Name
		}
	}
	errors.As(f, &failed.Errno)
	if c, found := why.CardFor(failed); found {
		return card{c.Why, c.Check, c.Fix, c.Learn}
	}
	return card{fix: f.fix}
}

// print leaves out what is not known. Sentences are broken as the terminal is wide; commands are not, so that they can be copied.
func (c card) print(w io.Writer) {
	learn := c.learn
	if learn != "" {
		learn = "glassbox lab start " + learn
	}
	why := c.why
	if columns := style(w, true).Width; columns > 0 {
		const label = "         "
		why = strings.Join(screen.Wrap(why, max(columns, screen.Least)-len(label)), "\n"+label)
	}
	for _, l := range []struct{ label, text string }{{"why", why}, {"check", c.check}, {"fix", c.fix}, {"learn", learn}} {
		if l.text != "" {
			fmt.Fprintf(w, "  %-6s %s\n", l.label+":", l.text)
		}
	}
}
