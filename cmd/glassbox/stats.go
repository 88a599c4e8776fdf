package main

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"

	"glassbox/engine"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/go-units"
)

func statsVerb() verb {
	return verb{
		use: "stats [OPTIONS] [CONTAINER...]", same: "container stats, stats",
		short: "Display a live stream of container(s) resource usage statistics", max: -1, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			var o engine.StatsOptions
			c.flags.BoolVarP(&o.All, "all", "a", false, "Show all containers (default shows just running)")
			c.flags.BoolVar(&o.Once, "no-stream", false, "Disable streaming stats and only pull the first result")
			full := c.flags.Bool("no-trunc", false, "Do not truncate output")
			format := c.flags.String("format", "", formatHelp)
			return func(ctx context.Context, args []string) error {
				o.Names = args
				return c.stats(ctx, o, *format, *full)
			}
		},
	}
}

const statsTable = "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}"

func (c *call) stats(ctx context.Context, o engine.StatsOptions, format string, full bool) error {
	if format == "" {
		format = c.configFile().StatsFormat
	}
	if format == "" || format == formatter.TableFormatKey {
		format = statsTable
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	err = b.containers.Stats(ctx, o, func(all []engine.Usage) error {
		var text bytes.Buffer
		if err := writeStats(formatter.Context{Output: &text, Format: formatter.Format(format)}, all, full); err != nil {
			return plainFailure("%w", err)
		}
		shown := text.String()
		if !o.Once {
			shown = redrawn(shown)
		}
		put(c.stdout, "%s", shown)
		return nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return eachFailure(err)
}

// eachFailure is engineFailure for each of several errors.
func eachFailure(err error) error {
	joined, is := err.(interface{ Unwrap() []error })
	if !is {
		return engineFailure(err)
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, engineFailure(e))
	}
	return errors.Join(all...)
}

// redrawn is a text that takes the place of the last one on a terminal: from its upper left corner, each line to its end, and nothing after
// it. Erasing the whole screen first would flicker.
func redrawn(text string) string {
	const home, eraseLine, eraseBelow = "\033[H", "\033[K", "\033[J"
	return home + strings.ReplaceAll(text, "\n", eraseLine+"\n") + eraseBelow
}

func writeStats(t formatter.Context, all []engine.Usage, full bool) error {
	row := &statsRow{}
	row.Header = formatter.SubHeaderContext{
		"Container": "CONTAINER", "Name": formatter.NameHeader, "ID": formatter.ContainerIDHeader, "CPUPerc": "CPU %",
		"MemUsage": "MEM USAGE / LIMIT", "MemPerc": "MEM %", "NetIO": "NET I/O", "BlockIO": "BLOCK I/O", "PIDs": "PIDS",
	}
	return t.Write(row, func(format func(formatter.SubContext) error) error {
		for _, u := range all {
			if err := format(&statsRow{u: u, full: full}); err != nil {
				return err
			}
		}
		return nil
	})
}

// statsRow is what templates of stats are about: docker/cli's statsContext, whose values are unknown all together or not at all.
type statsRow struct {
	formatter.HeaderContext
	u    engine.Usage
	full bool
}

const unknown = "--"

func (r *statsRow) MarshalJSON() ([]byte, error) { return formatter.MarshalJSON(r) }

func (r *statsRow) Container() string { return r.u.Container }

func (r *statsRow) Name() string {
	if r.u.Name == "" {
		return unknown
	}
	return strings.TrimPrefix(r.u.Name, "/")
}

func (r *statsRow) ID() string {
	if r.full {
		return r.u.ID
	}
	return formatter.TruncateID(r.u.ID)
}

func (r *statsRow) CPUPerc() string {
	if r.u.CPU == nil {
		return unknown
	}
	return percentage(*r.u.CPU)
}

func (r *statsRow) MemUsage() string {
	m := r.u.Memory
	if m == nil {
		return unknown + " / " + unknown
	}
	return units.BytesSize(float64(m.Used)) + " / " + units.BytesSize(float64(m.Limit))
}

func (r *statsRow) MemPerc() string {
	switch m := r.u.Memory; {
	case m == nil:
		return unknown
	case m.Limit == 0:
		return percentage(0)
	default:
		return percentage(float64(m.Used) / float64(m.Limit) * 100)
	}
}

func (r *statsRow) NetIO() string   { return traffic(r.u.Network) }
func (r *statsRow) BlockIO() string { return traffic(r.u.Block) }

func (r *statsRow) PIDs() string {
	if r.u.Pids == nil {
		return unknown
	}
	return strconv.FormatUint(*r.u.Pids, 10)
}

func percentage(p float64) string { return strconv.FormatFloat(p, 'f', 2, 64) + "%" }

func traffic(t *engine.Traffic) string {
	if t == nil {
		return unknown
	}
	return units.HumanSizeWithPrecision(float64(t.In), 3) + " / " + units.HumanSizeWithPrecision(float64(t.Out), 3)
}
