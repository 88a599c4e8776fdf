package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/network"
)

// listFlags are those of `network ls` and `volume ls`.
type listFlags struct {
	quiet, noTrunc bool
	format         string
	filter         opts.FilterOpt
}

// chosen is the format: the flag's, the config file's, or the table.
func (f *listFlags) chosen(configured string) string {
	switch {
	case f.format != "":
		return f.format
	case configured != "" && !f.quiet:
		return configured
	}
	return formatter.TableFormatKey
}

func networkLsVerb() verb {
	return verb{
		use: "ls [OPTIONS]", alias: []string{"list"}, same: "network ls, network list", short: "List networks",
		prepare: func(c *call) action {
			f := listFlags{filter: opts.NewFilterOpt()}
			c.flags.BoolVarP(&f.quiet, "quiet", "q", false, "Only display network IDs")
			c.flags.BoolVar(&f.noTrunc, "no-trunc", false, "Do not truncate the output")
			c.flags.StringVar(&f.format, "format", "", formatHelp)
			c.flags.VarP(&f.filter, "filter", "f", `Provide filter values (e.g. "driver=bridge")`)
			return func(ctx context.Context, args []string) error { return c.listNetworks(&f) }
		},
	}
}

func (c *call) listNetworks(f *listFlags) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	list, err := b.networks.List(f.filter.Value())
	if err != nil {
		return engineFailure(err)
	}
	slices.SortFunc(list, func(a, b network.Summary) int { return natural(a.Name, b.Name) })
	return c.table(networkFormat(f.chosen(c.configFile().NetworksFormat), f.quiet), f.noTrunc, func(t formatter.Context) error {
		return writeNetworks(t, list)
	})
}

func networkFormat(source string, quiet bool) formatter.Format {
	switch {
	case source == formatter.TableFormatKey && quiet:
		return formatter.DefaultQuietFormat
	case source == formatter.TableFormatKey:
		return "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}"
	case source == formatter.RawFormatKey && quiet:
		return `network_id: {{.ID}}`
	case source == formatter.RawFormatKey:
		return `network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n`
	}
	return formatter.Format(source)
}

func writeNetworks(c formatter.Context, list []network.Summary) error {
	header := &networkRow{}
	header.Header = formatter.SubHeaderContext{
		"ID": "NETWORK ID", "Name": formatter.NameHeader, "Driver": formatter.DriverHeader, "Scope": formatter.ScopeHeader,
		"IPv4": "IPV4", "IPv6": "IPV6", "Internal": "INTERNAL", "Labels": formatter.LabelsHeader, "CreatedAt": formatter.CreatedAtHeader,
	}
	return c.Write(header, func(format func(formatter.SubContext) error) error {
		for _, n := range list {
			if err := format(&networkRow{n: n, trunc: c.Trunc}); err != nil {
				return err
			}
		}
		return nil
	})
}

// networkRow is a network as a template sees it.
type networkRow struct {
	formatter.HeaderContext
	n     network.Summary
	trunc bool
}

func (r *networkRow) MarshalJSON() ([]byte, error) { return formatter.MarshalJSON(r) }

func (r *networkRow) ID() string {
	if r.trunc {
		return formatter.TruncateID(r.n.ID)
	}
	return r.n.ID
}

func (r *networkRow) Name() string             { return r.n.Name }
func (r *networkRow) Driver() string           { return r.n.Driver }
func (r *networkRow) Scope() string            { return r.n.Scope }
func (r *networkRow) IPv4() string             { return strconv.FormatBool(r.n.EnableIPv4) }
func (r *networkRow) IPv6() string             { return strconv.FormatBool(r.n.EnableIPv6) }
func (r *networkRow) Internal() string         { return strconv.FormatBool(r.n.Internal) }
func (r *networkRow) Label(name string) string { return r.n.Labels[name] }
func (r *networkRow) CreatedAt() string        { return r.n.Created.String() }

func (r *networkRow) Labels() string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(r.n.Labels)) {
		all = append(all, k+"="+r.n.Labels[k])
	}
	return strings.Join(all, ",")
}
