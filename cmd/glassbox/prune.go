package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
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
				return c.pruneContainers(c.withPruneFilters(filter.Value()))
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
				return c.pruneImages(c.withPruneFilters(f))
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
				return c.pruneNetworks(f)
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
				return c.pruneVolumes(f)
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

func (c *call) pruneContainers(f filters.Args) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	report, err := b.containers.Prune(f)
	if err != nil {
		return engineFailure(err)
	}
	if len(report.ContainersDeleted) > 0 {
		fmt.Fprintf(c.stdout, "Deleted Containers:\n%s\n\n", strings.Join(report.ContainersDeleted, "\n"))
	}
	fmt.Fprintln(c.stdout, "Total reclaimed space:", units.HumanSize(float64(report.SpaceReclaimed)))
	return nil
}

func (c *call) pruneNetworks(f filters.Args) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	report, err := b.networks.Prune(f)
	if err != nil {
		return engineFailure(err)
	}
	if len(report.NetworksDeleted) > 0 {
		fmt.Fprintf(c.stdout, "Deleted Networks:\n%s\n\n", strings.Join(report.NetworksDeleted, "\n"))
	}
	return nil
}

func (c *call) pruneVolumes(f filters.Args) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	report, err := b.volumes.Prune(f)
	if err != nil {
		return engineFailure(err)
	}
	if len(report.VolumesDeleted) > 0 {
		fmt.Fprintf(c.stdout, "Deleted Volumes:\n%s\n\n", strings.Join(report.VolumesDeleted, "\n"))
	}
	fmt.Fprintln(c.stdout, "Total reclaimed space:", units.HumanSize(float64(report.SpaceReclaimed)))
	return nil
}

// pruneImages removes what is listed, unused, and matches: an image that a container uses is refused by Remove and kept.
func (c *call) pruneImages(f filters.Args) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	if f.ExactMatch("dangling", "false") {
		f.Del("dangling", "false")
	}
	list, err := b.images.Summaries(true, f)
	if err != nil {
		return engineFailure(err)
	}
	used, err := c.usedImages()
	if err != nil {
		return err
	}
	var gone []image.DeleteResponse
	var freed int64
	for _, i := range list {
		if used[i.ID] {
			continue
		}
		g, err := b.images.Remove(i.ID, true)
		if err != nil {
			return engineFailure(err)
		}
		gone, freed = append(gone, g...), freed+i.Size
	}
	if len(gone) > 0 {
		fmt.Fprintln(c.stdout, "Deleted Images:")
	}
	for _, g := range gone {
		if g.Untagged != "" {
			fmt.Fprintln(c.stdout, "untagged:", g.Untagged)
		} else {
			fmt.Fprintln(c.stdout, "deleted:", g.Deleted)
		}
	}
	if len(gone) > 0 {
		fmt.Fprintln(c.stdout)
	}
	fmt.Fprintln(c.stdout, "Total reclaimed space:", units.HumanSize(float64(freed)))
	return nil
}

func (c *call) usedImages() (map[string]bool, error) {
	list, err := c.opened.containers.List(true, -1, false, filters.NewArgs())
	if err != nil {
		return nil, engineFailure(err)
	}
	used := map[string]bool{}
	for _, s := range list {
		used[s.ImageID] = true
	}
	return used, nil
}
