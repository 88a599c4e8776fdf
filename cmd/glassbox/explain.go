package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"glassbox/program"
)

func explainVerb() verb {
	return verb{
		use:   "explain [OPTIONS] IMAGE [COMMAND] [ARG...]\n\texplain build [OPTIONS] PATH | URL | -",
		short: "Print what `run` would ask of the kernel, and ask nothing", min: 1, max: -1, bare: true, group: seeThrough, offers: offerImages,
		prepare: func(c *call) action {
			var f runFlags
			f.define(c.flags, `Pull image before explaining ("always", "missing", "never")`)
			for _, client := range []string{"detach", "sig-proxy", "detach-keys"} {
				_ = c.flags.MarkHidden(client) // taken so that run's command lines can be pasted; the kernel is asked nothing for them
			}
			c.flags.StringVar(&f.format, "format", "", "Format of the plan: text or json")
			return func(ctx context.Context, args []string) error {
				if args[0] == "build" && len(args) > 1 { // an image of that name is build:latest
					return c.explainBuild(ctx, args[1:])
				}
				return c.explainContainer(ctx, &f, args)
			}
		},
	}
}

func (c *call) explainContainer(ctx context.Context, f *runFlags, args []string) error {
	o, err := c.request("explain", &f.containerFlags, args)
	if err != nil {
		return err
	}
	if err := checkExplain(true, f.format); err != nil {
		return badRequest("explain", err)
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	plan, err := b.containers.Plan(ctx, o)
	if err != nil {
		return runFailure(err)
	}
	return c.writeAccount(c.stdout, plan, f.format)
}

func checkExplain(explain bool, format string) error {
	switch {
	case format == "" || explain && (format == "text" || format == "json"):
		return nil
	case !explain:
		return fmt.Errorf("--format needs --explain")
	}
	return fmt.Errorf("invalid format %q: text or json", format)
}

// writeAccount prints what was, or would be, asked of the kernel: for people, in colour on a terminal, or as JSON.
func (c *call) writeAccount(w io.Writer, a []program.Account, format string) error {
	if format == "json" {
		return program.WriteJSON(w, a)
	}
	style := program.Style{Colour: isTerminal(w) && os.Getenv("NO_COLOR") == ""}
	if size, ok := windowSize(w); ok {
		style.Width = int(size.Cols)
	}
	return program.Write(w, a, style)
}

// rehearse reads and prints an account of nothing while the container comes up: the first time takes two milliseconds longer than the second,
// since encoding/json has to study the types.
func rehearse() {
	var a []program.Account
	if err := json.Unmarshal([]byte(`[{"phase":"a","why":"b","host":[{"call":"c(d, e)","result":"0","from":"f","why":"g","at_ns":1}]}]`), &a); err == nil {
		program.Write(io.Discard, a, program.Style{}) //nolint:errcheck // nothing is lost
	}
}
