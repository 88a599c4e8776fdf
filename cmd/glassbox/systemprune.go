package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/go-units"
)

// systemPruneFlags are those of system prune.
type systemPruneFlags struct {
	force, all, volumes bool
	filter              opts.FilterOpt
}

func systemPruneVerb() verb {
	return verb{
		use: "prune [OPTIONS]", short: "Remove unused data", max: 0,
		prepare: func(c *call) action {
			f := systemPruneFlags{filter: opts.NewFilterOpt()}
			c.flags.BoolVarP(&f.all, "all", "a", false, "Remove all unused images not just dangling ones")
			c.flags.Var(&f.filter, "filter", `Provide filter values (e.g. "label=<key>=<value>")`)
			c.flags.BoolVarP(&f.force, "force", "f", false, "Do not prompt for confirmation")
			c.flags.BoolVar(&f.volumes, "volumes", false, "Prune anonymous volumes")
			return func(ctx context.Context, args []string) error { return c.pruneSystem(ctx, f) }
		},
	}
}

// pruneSystem removes in Docker's order: containers first, which hold the rest.
func (c *call) pruneSystem(ctx context.Context, f systemPruneFlags) error {
	if f.volumes && f.filter.Value().Contains("until") {
		return plainFailure(`ERROR: The "until" filter is not supported with "--volumes"`)
	}
	filter := c.withPruneFilters(f.filter.Value().Clone())
	if err := c.agreed(ctx, f.force, f.warning(filter)); err != nil {
		return err
	}
	prunes := []func(filters.Args) (pruned, error){c.pruneContainers, c.pruneNetworks}
	if f.volumes {
		prunes = append(prunes, c.pruneVolumes)
	}
	prunes = append(prunes,
		func(a filters.Args) (pruned, error) { return c.pruneImages(danglingToo(a, f.all)) },
		func(a filters.Args) (pruned, error) { return c.pruneBuildsToo(a, f.all) })
	var space uint64
	for _, prune := range prunes {
		gone, err := prune(filter)
		if err != nil {
			return err
		}
		c.show(gone)
		space += gone.space
	}
	fmt.Fprintln(c.stdout, "Total reclaimed space:", units.HumanSize(float64(space)))
	return nil
}

// danglingToo asks for images without a name, or for all unused ones.
func danglingToo(f filters.Args, all bool) filters.Args {
	f = f.Clone()
	f.Add("dangling", fmt.Sprint(!all))
	return f
}

// warning says what will go.
func (f *systemPruneFlags) warning(filter filters.Args) string {
	what := []string{"all stopped containers", "all networks not used by at least one container"}
	if f.volumes {
		what = append(what, "all anonymous volumes not used by at least one container")
	}
	if f.all {
		what = append(what, "all images without at least one container associated to them", "all build cache")
	} else {
		what = append(what, "all dangling images", "unused build cache")
	}
	text := "WARNING! This will remove:" + listed(what) + "\n"
	if filtered := pruneFilters(filter); len(filtered) > 0 {
		text += "\n  Items to be pruned will be filtered with:" + listed(filtered) + "\n"
	}
	return text
}

func listed(lines []string) string { return "\n  - " + strings.Join(lines, "\n  - ") }

func pruneFilters(f filters.Args) []string {
	var all []string
	for _, name := range []string{"label", "label!", "until"} {
		for _, value := range f.Get(name) {
			all = append(all, name+"="+value)
		}
	}
	slices.SortFunc(all, natural)
	return all
}
