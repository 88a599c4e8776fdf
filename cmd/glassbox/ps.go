package main

import (
	"context"
	"fmt"
	"io"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/opts"
	"github.com/docker/cli/templates"
)

// psFlags are those of ps.
type psFlags struct {
	quiet, size, all, noTrunc, latest bool
	last                              int
	format                            string
	filter                            opts.FilterOpt
}

func psVerb() verb {
	return verb{
		use: "ps [OPTIONS]", same: "container ls, container list, container ps, ps",
		short: "List containers", max: 0, group: common,
		prepare: func(c *call) action {
			f := psFlags{filter: opts.NewFilterOpt()}
			c.flags.BoolVarP(&f.quiet, "quiet", "q", false, "Only display container IDs")
			c.flags.BoolVarP(&f.size, "size", "s", false, "Display total file sizes")
			c.flags.BoolVarP(&f.all, "all", "a", false, "Show all containers (default shows just running)")
			c.flags.BoolVar(&f.noTrunc, "no-trunc", false, "Don't truncate output")
			c.flags.BoolVarP(&f.latest, "latest", "l", false, "Show the latest created container (includes all states)")
			c.flags.IntVarP(&f.last, "last", "n", -1, "Show n last created containers (includes all states)")
			c.flags.StringVar(&f.format, "format", "", formatHelp)
			c.flags.VarP(&f.filter, "filter", "f", "Filter output based on conditions provided")
			return func(ctx context.Context, args []string) error { return c.listContainers(&f) }
		},
	}
}

func (c *call) listContainers(f *psFlags) error {
	if f.format == "" {
		f.format = c.configFile().PsFormat
	} else if f.quiet {
		fmt.Fprintln(c.stderr, "WARNING: Ignoring custom format, because both --format and --quiet are set.")
	}
	if err := f.learnSize(c.flags.Changed("size")); err != nil {
		return err
	}
	if f.latest && f.last == -1 {
		f.last = 1
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	list, err := b.containers.List(f.all, f.last, f.size, f.filter.Value())
	if err != nil {
		return engineFailure(err)
	}
	return c.table(formatter.NewContainerFormat(f.format, f.quiet, f.size), f.noTrunc, func(t formatter.Context) error {
		return formatter.ContainerWrite(t, list)
	})
}

// learnSize asks for sizes, which are costly, only when the template prints them.
func (f *psFlags) learnSize(given bool) error {
	if f.format == "" {
		return nil
	}
	t, err := templates.Parse(f.format)
	if err != nil {
		return plainFailure("failed to parse template: %w", err)
	}
	used := formatter.NewContainerContext()
	if err := t.Execute(io.Discard, used); err != nil {
		return plainFailure("failed to execute template: %w", err)
	}
	if _, size := used.FieldsUsed["Size"]; size && !f.quiet && !given {
		f.size = true
	}
	return nil
}

// formatHelp and inspectFormatHelp are Docker's texts for --format.
const (
	formatHelp = `Format output using a custom template:
'table':            Print output in table format with column headers (default)
'table TEMPLATE':   Print output in table format using the given Go template
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template.
Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates`
	inspectFormatHelp = `Format output using a custom template:
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template.
Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates`
)
