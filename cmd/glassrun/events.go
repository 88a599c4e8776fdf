package main

import (
	"encoding/json"
	"os"
	"time"

	"glassbox/oci"
)

// showEvents is `glassrun events`.
func showEvents(g globals, args []string) error {
	flags := flagSet("events")
	var stats bool
	boolVar(flags, &stats, "stats")
	interval := flags.Duration("interval", 5*time.Second, "")
	ids, err := parse(flags, args, 1, 1)
	if err != nil {
		return err
	}
	c, err := g.store().Container(ids[0])
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if !stats {
		return c.Follow(*interval, func(e oci.Event) error { return out.Encode(e) })
	}
	e, err := c.Measured()
	if err != nil {
		return err
	}
	return out.Encode(e)
}
