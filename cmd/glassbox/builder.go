package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/opts"
	buildtypes "github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/go-units"
)

// builderPruneVerb is Docker's own `builder prune`.
func builderPruneVerb() verb {
	return verb{
		use: "prune", short: "Remove build cache", max: 0,
		prepare: func(c *call) action {
			all := c.flags.BoolP("all", "a", false, "Remove all unused build cache, not just dangling ones")
			filter := opts.NewFilterOpt()
			c.flags.Var(&filter, "filter", `Provide filter values (e.g. "until=24h")`)
			force := c.flags.BoolP("force", "f", false, "Do not prompt for confirmation")
			var keep opts.MemBytes
			c.flags.Var(&keep, "keep-storage", "Amount of disk space to keep for cache")
			return func(ctx context.Context, args []string) error {
				if err := c.agreedToPrune(ctx, *force, *all); err != nil {
					return err
				}
				o := buildtypes.CachePruneOptions{All: *all, ReservedSpace: keep.Value(), Filters: c.withPruneFilters(filter.Value())}
				return c.summed(c.pruneBuilds(o))
			}
		},
	}
}

// agreedToPrune asks on one line, as Docker does here.
func (c *call) agreedToPrune(ctx context.Context, force, all bool) error {
	what := "all dangling build cache"
	if all {
		what = "all build cache"
	}
	if force {
		return nil
	}
	yes, err := c.confirm(ctx, "WARNING! This will remove "+what+". Are you sure you want to continue?")
	if err == nil && !yes {
		err = errCancelled
	}
	return err
}

func (c *call) pruneBuilds(o buildtypes.CachePruneOptions) (pruned, error) {
	b, err := c.backend()
	if err != nil {
		return pruned{}, err
	}
	report, err := b.builds.Prune(o)
	return heard("Deleted build cache objects:", report.CachesDeleted, report.SpaceReclaimed), engineFailure(err)
}

// pruneBuildsToo is what `system prune` does of it.
func (c *call) pruneBuildsToo(f filters.Args, all bool) (pruned, error) {
	return c.pruneBuilds(buildtypes.CachePruneOptions{All: all, Filters: f})
}

// buildxPruneVerb is that of the plugin buildx, which lists what it has removed as `du` does.
func buildxPruneVerb() verb {
	return verb{
		use: "prune", short: "Remove build cache", max: 0,
		prepare: func(c *call) action {
			all := c.flags.BoolP("all", "a", false, "Include internal/frontend images")
			filter := opts.NewFilterOpt()
			c.flags.Var(&filter, "filter", "Provide filter values")
			force := c.flags.BoolP("force", "f", false, "Do not prompt for confirmation")
			verbose := c.flags.Bool("verbose", false, "Provide a more verbose output")
			var keep opts.MemBytes
			c.flags.Var(&keep, "reserved-space", "Amount of disk space always allowed to keep for cache")
			c.flags.Var(&keep, "keep-storage", "Amount of disk space to keep for cache")
			return func(ctx context.Context, args []string) error {
				if err := c.agreedToPrune(ctx, *force, *all); err != nil {
					return err
				}
				return c.pruneAsBuildx(buildtypes.CachePruneOptions{All: *all, ReservedSpace: keep.Value(), Filters: c.withPruneFilters(filter.Value())}, *verbose)
			}
		},
	}
}

func (c *call) pruneAsBuildx(o buildtypes.CachePruneOptions, verbose bool) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	before, err := b.builds.Usage(filters.NewArgs())
	if err != nil {
		return engineFailure(err)
	}
	report, err := b.builds.Prune(o)
	if err != nil {
		return engineFailure(err)
	}
	var gone []*buildtypes.CacheRecord
	for _, id := range report.CachesDeleted {
		for _, r := range before {
			if r.ID == id {
				gone = append(gone, r)
			}
		}
	}
	if len(gone) > 0 {
		if err := c.listCache(gone, format(verbose)); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(c.stdout, "Total:\t%s\n", units.HumanSize(float64(report.SpaceReclaimed)))
	return err
}

const (
	cacheTable  = "table {{.ID}}\t{{.Reclaimable}}\t{{.Size}}\t{{.LastUsedAt}}"
	cachePretty = `ID:           {{.ID}}
{{- if .Parents }}
Parents:
{{- range .Parents }}
 - {{.}}
{{- end }}
{{- end }}
Created at:   {{.CreatedAt}}
Mutable:      {{.Mutable}}
Reclaimable:  {{.Reclaimable}}
Shared:       {{.Shared}}
Size:         {{.Size}}
{{- if .Description}}
Description:  {{ .Description }}
{{- end }}
Usage count:  {{.UsageCount}}
{{- if .LastUsedAt}}
Last used:    {{ .LastUsedAt }}
{{- end }}
{{- if .Type}}
Type:         {{ .Type }}
{{- end }}
`
)

func format(verbose bool) formatter.Format {
	if verbose {
		return cachePretty
	}
	return cacheTable
}

func buildxUsageVerb() verb {
	return verb{
		use: "du", short: "Disk usage", max: 0,
		prepare: func(c *call) action {
			filter := opts.NewFilterOpt()
			c.flags.Var(&filter, "filter", "Provide filter values")
			text := c.flags.String("format", "", "Format the output")
			verbose := c.flags.Bool("verbose", false, `Shorthand for "--format=pretty"`)
			return func(ctx context.Context, args []string) error { return c.cacheUsage(filter.Value(), *text, *verbose) }
		},
	}
}

func (c *call) cacheUsage(f filters.Args, text string, verbose bool) error {
	if text != "" && verbose {
		return plainFailure("--format and --verbose cannot be used together")
	}
	how := formatter.Format(text)
	switch {
	case text == "" || text == formatter.TableFormatKey:
		how = format(verbose)
	case text == formatter.PrettyFormatKey:
		how = cachePretty
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	records, err := b.builds.Usage(f)
	if err != nil {
		return engineFailure(err)
	}
	if err := c.listCache(records, how); err != nil {
		return err
	}
	if how == cacheTable && f.Len() == 0 || how == cachePretty && f.Len() == 0 {
		return cacheSummary(c.stdout, records)
	}
	return nil
}

func (c *call) listCache(records []*buildtypes.CacheRecord, how formatter.Format) error {
	return c.table(how, true, func(t formatter.Context) error {
		row := cacheRow{}
		row.Header = formatter.SubHeaderContext{
			"ID": "ID", "Parents": "PARENTS", "CreatedAt": "CREATED AT", "Mutable": "MUTABLE", "Reclaimable": "RECLAIMABLE", "Shared": "SHARED",
			"Size": "SIZE", "Description": "DESCRIPTION", "UsageCount": "USAGE COUNT", "LastUsedAt": "LAST ACCESSED", "Type": "TYPE",
		}
		return t.Write(&row, func(each func(formatter.SubContext) error) error {
			for _, r := range records {
				if err := each(&cacheRow{r: r, table: how.IsTable()}); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// cacheRow is a record in the words of buildx's templates.
type cacheRow struct {
	formatter.HeaderContext
	r     *buildtypes.CacheRecord
	table bool
}

func (c *cacheRow) MarshalJSON() ([]byte, error) { return formatter.MarshalJSON(c) }

// ID of what builds write to has a star in tables.
func (c *cacheRow) ID() string {
	if c.table && c.Mutable() {
		return c.r.ID + "*"
	}
	return c.r.ID
}

// Size of what images have too has a star.
func (c *cacheRow) Size() string {
	size := units.HumanSize(float64(c.r.Size))
	if c.table && c.r.Shared {
		size += "*"
	}
	return size
}

func (c *cacheRow) LastUsedAt() string {
	if c.r.LastUsedAt == nil || c.r.LastUsedAt.IsZero() {
		return ""
	}
	return units.HumanDuration(time.Since(*c.r.LastUsedAt)) + " ago"
}

func (c *cacheRow) Parents() []string   { return c.r.Parents }
func (c *cacheRow) CreatedAt() string   { return c.r.CreatedAt.String() }
func (c *cacheRow) Mutable() bool       { return strings.HasPrefix(c.r.Type, "exec.") }
func (c *cacheRow) Reclaimable() bool   { return !c.r.InUse }
func (c *cacheRow) Shared() bool        { return c.r.Shared }
func (c *cacheRow) Description() string { return c.r.Description }
func (c *cacheRow) UsageCount() int     { return c.r.UsageCount }
func (c *cacheRow) Type() string        { return c.r.Type }

func cacheSummary(out io.Writer, records []*buildtypes.CacheRecord) error {
	var total, reclaimable, shared int64
	for _, r := range records {
		total += r.Size
		if !r.InUse {
			reclaimable += r.Size
		}
		if r.Shared {
			shared += r.Size
		}
	}
	size := func(n int64) string { return units.HumanSize(float64(n)) }
	w := tabwriter.NewWriter(out, 1, 8, 1, '\t', 0)
	if shared > 0 {
		fmt.Fprintf(w, "Shared:\t%s\n", size(shared))
		fmt.Fprintf(w, "Private:\t%s\n", size(total-shared))
	}
	fmt.Fprintf(w, "Reclaimable:\t%s\n", size(reclaimable))
	fmt.Fprintf(w, "Total:\t%s\n", size(total))
	return w.Flush()
}
