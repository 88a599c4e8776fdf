package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"glassbox/engine"
	"glassbox/screen"
	"glassbox/view"
)

// viewFlags are those of view.
type viewFlags struct {
	format  string
	watch   bool
	plain   *bool
	section string
}

func viewVerb() verb {
	return verb{
		use:   "view [OPTIONS] CONTAINER [SECTION]",
		short: "Show a container as the kernel has it, beside the host", min: 1, max: 2, group: seeThrough, offers: offerContainers,
		long: "Show a container as the kernel has it, beside the host, and mark what is not as it was asked for.\n" +
			"SECTION is one of " + strings.Join(view.Sections(), " ") + ", or all of them: " + view.All,
		prepare: func(c *call) action {
			var f viewFlags
			c.flags.BoolVarP(&f.watch, "watch", "w", false, "Show it again whenever it changes (q ends)")
			c.flags.StringVar(&f.format, "format", "", `"json": all of it, for programs`)
			f.plain = plainFlag(c.flags)
			return func(ctx context.Context, args []string) error {
				f.section = append(args, "")[1]
				return c.view(ctx, f, args[0])
			}
		},
	}
}

func (c *call) view(ctx context.Context, f viewFlags, id string) error {
	switch {
	case f.format != "" && f.format != "json":
		return plainFailure("invalid format %q: json", f.format)
	case f.section != "" && f.section != view.All && !slices.Contains(view.Sections(), f.section):
		return plainFailure("no section %q: %s %s", f.section, strings.Join(view.Sections(), " "), view.All)
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	look := func() (*engine.Sight, error) { return b.sight(id) }
	if f.watch {
		return c.goneFailure(c.watchView(ctx, f, look))
	}
	s, err := look()
	if err != nil {
		return engineFailure(err)
	}
	v, err := view.Look(s, nil)
	if err != nil {
		return c.goneFailure(err)
	}
	text, err := c.drawnView(f, v)
	if err != nil {
		return err
	}
	put(c.stdout, "%s", text)
	return nil
}

// drawnView is the view as it is printed.
func (c *call) drawnView(f viewFlags, v *view.View) (string, error) {
	var text bytes.Buffer
	if f.format == "json" {
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if !f.watch { // then one line each
			e.SetIndent("", "    ")
		}
		err := e.Encode(v)
		return text.String(), err
	}
	s := screen.New(&text, style(c.stdout, *f.plain))
	v.Draw(s, f.section, c.name)
	err := s.Flush()
	return text.String(), err
}

// goneFailure tells of a container that has no process, and what is of use then.
func (c *call) goneFailure(err error) error {
	var gone *view.Gone
	if errors.As(err, &gone) {
		return &failure{cause: err, line: gone.Text, docker: "Error response from daemon: " + gone.Text, code: 1, fix: c.name + " " + gone.Next}
	}
	return engineFailure(err)
}

// watchView shows the view whenever it changes: on a terminal in the place of the last one, elsewhere below it.
func (c *call) watchView(ctx context.Context, f viewFlags, look func() (*engine.Sight, error)) error {
	if !isTerminal(c.stdout) || f.format == "json" {
		last := ""
		return view.Watch(ctx, look, func(v *view.View, gone *view.Gone) error {
			text, key := "", ""
			if gone != nil {
				text, key = gone.Text+"\n", gone.Text
				if f.format == "json" {
					return nil
				}
			} else {
				var err error
				if text, err = c.drawnView(f, v); err != nil {
					return err
				}
				key = v.Steady()
			}
			if key == last {
				return nil
			}
			if last != "" && f.format == "" {
				text = "\n" + text
			}
			last = key
			_, err := c.stdout.Write([]byte(text))
			return err
		})
	}
	full, err := c.fullScreen()
	if err != nil {
		return err
	}
	defer full.leave()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go full.awaitQuit(cancel)
	err = view.Watch(ctx, look, func(v *view.View, gone *view.Gone) error {
		text := ""
		if gone != nil {
			text = gone.Text + "\n"
		} else if text, err = c.drawnView(f, v); err != nil {
			return err
		}
		return full.show(text)
	})
	if full.quit.Load() {
		return nil
	}
	return err
}
