package main

import (
	"context"
	"slices"
	"strings"

	"glassbox/doctor"
	"glassbox/engine"
)

func doctorVerb() verb {
	return verb{
		use:   "doctor [OPTIONS] [AREA...]\n\tdoctor --name NAME [--in CONTAINER]",
		short: "Try what containers need of this machine, and say what cures what fails", max: -1, group: seeThrough,
		long: "Try what containers need of this machine, and say what cures what fails.\n\n" +
			"Areas: " + strings.Join(doctor.Areas(), ", ") + ". The command fails when a check does. On thirty machines:\n\n" +
			`for h in $HOSTS; do ssh $h sudo glassbox doctor --format json; done |` + "\n" +
			`  jq -r '.machine.hostname as $h | .checks[] | select(.result=="fail") | [$h, .area, .name, .fix] | @tsv'` + "\n\n" +
			"With --name it follows a name instead, from /etc/hosts and /etc/resolv.conf to the servers and the way that the packets take.",
		prepare: func(c *call) action {
			format := c.flags.String("format", "", `"json": all of it, for programs`)
			all := c.flags.BoolP("verbose", "v", false, "Show every check, not only what fails or warns")
			name := c.flags.String("name", "", "A name to look up, station by station")
			in := c.flags.String("in", "", "The container that looks it up (default: this host)")
			plain := plainFlag(c.flags)
			return func(ctx context.Context, args []string) error {
				if *name != "" || *in != "" {
					return c.followName(args, *name, *in, *format, *plain)
				}
				return c.doctor(args, *format, *all, *plain)
			}
		},
	}
}

// doctor fails when a check does.
func (c *call) doctor(areas []string, format string, all, plain bool) error {
	if format != "" && format != "json" {
		return plainFailure("invalid format %q: json", format)
	}
	known := doctor.Areas()
	for _, a := range areas {
		if !slices.Contains(known, a) {
			return plainFailure("no such area: %s: there are %s", a, strings.Join(known, ", "))
		}
	}
	r := doctor.Examine(areas...)
	err := c.inFormat(format, r, func() error { return r.Show(c.stdout, style(c.stdout, plain), all || len(areas) > 0) })
	if err == nil && r.Fail > 0 {
		return exitStatus(1)
	}
	return err
}

// followName fails when the name leads to no address.
func (c *call) followName(areas []string, name, in, format string, plain bool) error {
	switch {
	case format != "" && format != "json":
		return plainFailure("invalid format %q: json", format)
	case name == "":
		return plainFailure("--in is for a name: doctor --name NAME --in CONTAINER")
	case len(areas) > 0:
		return plainFailure("conflicting options: areas and --name")
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	var asking *engine.Sight
	if in != "" {
		if asking, err = b.sight(in); err != nil {
			return engineFailure(err)
		}
	}
	w, err := doctor.Follow(name, asking, b.sight)
	if err != nil {
		return engineFailure(err)
	}
	err = c.inFormat(format, w, func() error { return w.Show(c.stdout, style(c.stdout, plain)) })
	if err == nil && !w.OK() {
		return exitStatus(1)
	}
	return err
}
