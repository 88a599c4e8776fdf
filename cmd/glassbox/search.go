package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/registry"
)

// searchFlags are those of search.
type searchFlags struct {
	noTrunc bool
	limit   int
	format  string
	filter  opts.FilterOpt
}

func searchVerb() verb {
	return verb{
		use: "search [OPTIONS] TERM", short: "Search Docker Hub for images", min: 1, max: 1, group: common,
		prepare: func(c *call) action {
			f := searchFlags{filter: opts.NewFilterOpt()}
			c.flags.VarP(&f.filter, "filter", "f", "Filter output based on conditions provided")
			c.flags.StringVar(&f.format, "format", "", "Pretty-print search using a Go template")
			c.flags.IntVar(&f.limit, "limit", 0, "Max number of search results")
			c.flags.BoolVar(&f.noTrunc, "no-trunc", false, "Don't truncate output")
			return func(ctx context.Context, args []string) error { return c.search(ctx, args[0], f) }
		},
	}
}

func (c *call) search(ctx context.Context, term string, f searchFlags) error {
	filter := f.filter.Value()
	if filter.Contains("is-automated") {
		fmt.Fprintln(c.stderr, `WARNING: the "is-automated" filter is deprecated, and searching for "is-automated=true" will not yield any results in future.`)
	}
	wanted, err := searchFilter(filter)
	if err != nil {
		return engineFailure(err)
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	all, err := b.images.Search(ctx, term, f.limit)
	if err != nil {
		return waitFailure(ctx, err)
	}
	format := formatter.Format(f.format)
	if f.format == "" || f.format == formatter.TableFormatKey {
		format = "table {{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}"
	}
	return c.table(format, f.noTrunc, func(t formatter.Context) error {
		return t.Write(newSearchRow(), func(write func(formatter.SubContext) error) error {
			for _, r := range all {
				if !wanted(r) {
					continue
				}
				if err := write(&searchRow{result: r, trunc: t.Trunc}); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// searchFilter makes of the filters what a result must be.
func searchFilter(f filters.Args) (func(registry.SearchResult) bool, error) {
	if err := f.Validate(map[string]bool{"is-automated": true, "is-official": true, "stars": true}); err != nil {
		return nil, err
	}
	automated, err := f.GetBoolOrDefault("is-automated", false)
	if err != nil {
		return nil, err
	}
	official, err := f.GetBoolOrDefault("is-official", false)
	if err != nil {
		return nil, err
	}
	stars := 0
	for _, s := range f.Get("stars") {
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("invalid filter 'stars=%s': %w", s, err)
		}
		stars = max(stars, n)
	}
	return func(r registry.SearchResult) bool {
		return !automated && (!f.Contains("is-official") || r.IsOfficial == official) && r.StarCount >= stars
	}, nil
}

// searchRow is one repository, as the formatter asks for it.
type searchRow struct {
	formatter.HeaderContext
	result      registry.SearchResult
	trunc, json bool
}

func newSearchRow() *searchRow {
	r := &searchRow{}
	r.Header = formatter.SubHeaderContext{"Name": "NAME", "Description": "DESCRIPTION", "StarCount": "STARS", "IsOfficial": "OFFICIAL"}
	return r
}

func (r *searchRow) MarshalJSON() ([]byte, error) {
	r.json = true
	return formatter.MarshalJSON(r)
}

func (r *searchRow) Name() string { return r.result.Name }

func (r *searchRow) Description() string {
	d := strings.NewReplacer("\n", " ", "\r", " ").Replace(r.result.Description)
	if r.trunc {
		d = formatter.Ellipsis(d, 45)
	}
	return d
}

func (r *searchRow) StarCount() string { return strconv.Itoa(r.result.StarCount) }

func (r *searchRow) IsOfficial() string {
	switch {
	case r.json:
		return strconv.FormatBool(r.result.IsOfficial)
	case r.result.IsOfficial:
		return "[OK]"
	}
	return ""
}
