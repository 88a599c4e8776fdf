package main

import (
	"bufio"
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/opts"
	"github.com/docker/cli/templates"
	"github.com/docker/docker/api/types/events"
	timestamp "github.com/docker/docker/api/types/time"
)

func eventsVerb() verb {
	return verb{
		use: "events [OPTIONS]", same: "system events, events", short: "Get real time events from the server", max: 0, group: commands,
		prepare: func(c *call) action {
			filter := opts.NewFilterOpt()
			since := c.flags.String("since", "", "Show all events created since timestamp")
			until := c.flags.String("until", "", "Stream events until this timestamp")
			c.flags.VarP(&filter, "filter", "f", "Filter output based on conditions provided")
			format := c.flags.String("format", "", inspectFormatHelp)
			return func(ctx context.Context, args []string) error {
				return c.events(ctx, *format, *since, *until, filter)
			}
		},
	}
}

func (c *call) events(ctx context.Context, format, since, until string, filter opts.FilterOpt) error {
	print, err := eventPrinter(format)
	if err != nil {
		text := "Error parsing format: " + err.Error()
		return &failure{cause: err, line: text, docker: text, code: 64}
	}
	o := events.ListOptions{Filters: filter.Value()}
	now := time.Now()
	if o.Since, err = eventStamp(since, now); err != nil {
		return err
	}
	if o.Until, err = eventStamp(until, now); err != nil {
		return err
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.stdout)
	err = b.events(ctx, o, func(m events.Message) error {
		if err := print(out, m); err != nil {
			return plainFailure("%w", err)
		}
		return out.Flush()
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return engineFailure(err)
}

// eventStamp reads a time, or how long ago it was, as seconds.
func eventStamp(text string, now time.Time) (string, error) {
	if text == "" {
		return "", nil
	}
	stamp, err := timestamp.GetTimestamp(text, now)
	if err != nil {
		return "", plainFailure("%w", err)
	}
	return stamp, nil
}

// eventPrinter prints events as docker/cli does: one line each, or by a template, which is tried first with an empty one.
func eventPrinter(format string) (func(io.Writer, events.Message) error, error) {
	switch format {
	case "":
		return printEvent, nil
	case formatter.JSONFormatKey:
		format = formatter.JSONFormat
	}
	t, err := templates.Parse(format)
	if err == nil {
		err = t.Execute(io.Discard, &events.Message{})
	}
	return func(w io.Writer, m events.Message) error { return executeLine(w, t, m) }, err
}

func executeLine(w io.Writer, t *template.Template, m events.Message) error {
	err := t.Execute(w, m)
	put(w, "\n")
	return err
}

// eventTime is RFC3339Nano with all nine digits.
const eventTime = "2006-01-02T15:04:05.000000000Z07:00"

func printEvent(w io.Writer, m events.Message) error {
	put(w, "%s %s %s %s", time.Unix(0, m.TimeNano).Format(eventTime), m.Type, m.Action, m.Actor.ID)
	if len(m.Actor.Attributes) > 0 {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(m.Actor.Attributes)) {
			all = append(all, name+"="+m.Actor.Attributes[name])
		}
		put(w, " (%s)", strings.Join(all, ", "))
	}
	put(w, "\n")
	return nil
}
