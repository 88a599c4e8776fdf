package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"glassbox/doctor"
)

func doctorVerb() verb {
	return verb{
		use:   "doctor [OPTIONS] [AREA...]",
		short: "Try what containers need of this machine, and say what cures what fails", max: -1, group: seeThrough,
		long: "Try what containers need of this machine, and say what cures what fails.\n\n" +
			"Areas: " + strings.Join(doctor.Areas(), ", ") + ". The command fails when a check does. On thirty machines:\n\n" +
			`for h in $HOSTS; do ssh $h sudo glassbox doctor --format json; done |` + "\n" +
			`  jq -r '.machine.hostname as $h | .checks[] | select(.result=="fail") | [$h, .area, .name, .fix] | @tsv'`,
		prepare: func(c *call) action {
			format := c.flags.String("format", "", `"json": all of it, for programs`)
			all := c.flags.BoolP("verbose", "v", false, "Show every check, not only what fails or warns")
			plain := plainFlag(c.flags)
			return func(ctx context.Context, args []string) error { return c.doctor(args, *format, *all, *plain) }
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
	var err error
	if format == "json" {
		e := json.NewEncoder(c.stdout)
		e.SetIndent("", "    ")
		e.SetEscapeHTML(false)
		err = e.Encode(r)
	} else {
		err = r.Show(c.stdout, style(c.stdout, plain), all || len(areas) > 0)
	}
	if err == nil && r.Fail > 0 {
		return exitStatus(1)
	}
	return err
}
