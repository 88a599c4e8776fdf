package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/go-units"
)

// errCancelled is an answer of no: Docker prints nothing of it and ends with 0.
var errCancelled = errors.New("prune has been cancelled")

func containerPruneVerb() verb {
	return verb{
		use: "prune [OPTIONS]", short: "Remove all stopped containers", max: 0,
		prepare: func(c *call) action {
			force := c.flags.BoolP("force", "f", false, "Do not prompt for confirmation")
			filter := opts.NewFilterOpt()
			c.flags.Var(&filter, "filter", `Provide filter values (e.g. "until=<timestamp>")`)
			return func(ctx context.Context, args []string) error {
				if err := c.agreed(ctx, *force, "WARNING! This will remove all stopped containers."); err != nil {
					return err
				}
				return c.summed(c.pruneContainers(c.withPruneFilters(filter.Value())))
			}
		},
	}
}

func imagePruneVerb() verb {
	return verb{
		use: "prune [OPTIONS]", short: "Remove unused images", max: 0,
		prepare: func(c *call) action {
			force := c.flags.BoolP("force", "f", false, "Do not prompt for confirmation")
			all := c.flags.BoolP("all", "a", false, "Remove all unused images, not just dangling ones")
			filter := opts.NewFilterOpt()
			c.flags.Var(&filter, "filter", `Provide filter values (e.g. "until=<timestamp>")`)
			return func(ctx context.Context, args []string) error {
				warning := "WARNING! This will remove all dangling images."
				if *all {
					warning = "WARNING! This will remove all images without at least one container associated to them."
				}
				if err := c.agreed(ctx, *force, warning); err != nil {
					return err
				}
				f := filter.Value().Clone()
				f.Add("dangling", strconv.FormatBool(!*all))
				return c.summed(c.pruneImages(c.withPruneFilters(f)))
			}
		},
	}
}

func networkPruneVerb() verb {
	return verb{
		use: "prune [OPTIONS]", short: "Remove all unused networks", max: 0,
		prepare: func(c *call) action {
			force := c.flags.BoolP("force", "f", false, "Do not prompt for confirmation")
			filter := opts.NewFilterOpt()
			c.flags.Var(&filter, "filter", `Provide filter values (e.g. "until=<timestamp>")`)
			return func(ctx context.Context, args []string) error {
				f := c.withPruneFilters(filter.Value())
				if err := c.agreed(ctx, *force, "WARNING! This will remove all custom networks not used by at least one container."); err != nil {
					return err
				}
				gone, err := c.pruneNetworks(f)
				c.show(gone)
				return err
			}
		},
	}
}

func volumePruneVerb() verb {
	return verb{
		use: "prune [OPTIONS]", short: "Remove unused local volumes", max: 0,
		prepare: func(c *call) action {
			all := c.flags.BoolP("all", "a", false, "Remove all unused volumes, not just anonymous ones")
			force := c.flags.BoolP("force", "f", false, "Do not prompt for confirmation")
			filter := opts.NewFilterOpt()
			c.flags.Var(&filter, "filter", `Provide filter values (e.g. "label=<label>")`)
			return func(ctx context.Context, args []string) error {
				f, warning := c.withPruneFilters(filter.Value()), "WARNING! This will remove anonymous local volumes not used by at least one container."
				if *all {
					if f.Contains("all") {
						return plainFailure("conflicting options: cannot specify both --all and --filter all=1")
					}
					f.Add("all", "true")
					warning = "WARNING! This will remove all local volumes not used by at least one container."
				}
				if err := c.agreed(ctx, *force, warning); err != nil {
					return err
				}
				return c.summed(c.pruneVolumes(f))
			}
		},
	}
}

func (c *call) agreed(ctx context.Context, force bool, warning string) error {
	if force {
		return nil
	}
	yes, err := c.confirm(ctx, warning+"\nAre you sure you want to continue?")
	if err == nil && !yes {
		err = errCancelled
	}
	return err
}

// withPruneFilters adds the config file's pruneFilters, except those that the command line contradicts.
func (c *call) withPruneFilters(f filters.Args) filters.Args {
	opposite := map[string]string{"label": "label!", "label!": "label"}
	for _, p := range c.configFile().PruneFilters {
		k, v, ok := strings.Cut(p, "=")
		if ok && (opposite[k] == "" || !f.ExactMatch(opposite[k], v)) {
			f.Add(k, v)
		}
	}
	return f
}

// pruned is what one kind of prune prints before its sum.
type pruned struct {
	text  string
	space uint64
}

// heard lists what was removed, below a heading; nothing removed, nothing printed.
func heard(heading string, lines []string, space uint64) pruned {
	if len(lines) == 0 {
		return pruned{}
	}
	return pruned{heading + "\n" + strings.Join(lines, "\n") + "\n", space}
}

// summed runs a prune by itself.
func (c *call) summed(p pruned, err error) error {
	if err != nil {
		return err
	}
	c.show(p)
	fmt.Fprintln(c.stdout, "Total reclaimed space:", units.HumanSize(float64(p.space)))
	return nil
}

func (c *call) show(p pruned) {
	if p.text != "" {
		fmt.Fprintln(c.stdout, p.text)
	}
}

func (c *call) pruneContainers(f filters.Args) (pruned, error) {
	b, err := c.backend()
	if err != nil {
		return pruned{}, err
	}
	report, err := b.containers.Prune(f)
	return heard("Deleted Containers:", report.ContainersDeleted, report.SpaceReclaimed), engineFailure(err)
}

func (c *call) pruneNetworks(f filters.Args) (pruned, error) {
	b, err := c.backend()
	if err != nil {
		return pruned{}, err
	}
	report, err := b.networks.Prune(f)
	return heard("Deleted Networks:", report.NetworksDeleted, 0), engineFailure(err)
}

func (c *call) pruneVolumes(f filters.Args) (pruned, error) {
	b, err := c.backend()
	if err != nil {
		return pruned{}, err
	}
	report, err := b.volumes.Prune(f)
	return heard("Deleted Volumes:", report.VolumesDeleted, report.SpaceReclaimed), engineFailure(err)
}

func (c *call) pruneImages(f filters.Args) (pruned, error) {
	b, err := c.backend()
	if err != nil {
		return pruned{}, err
	}
	report, err := b.images.Prune(f)
	var lines []string
	for _, g := range report.ImagesDeleted {
		if g.Untagged != "" {
			lines = append(lines, "untagged: "+g.Untagged)
		} else {
			lines = append(lines, "deleted: "+g.Deleted)
		}
	}
	return heard("Deleted Images:", lines, report.SpaceReclaimed), engineFailure(err)
}
