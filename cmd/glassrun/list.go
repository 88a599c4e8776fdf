package main

import (
	"encoding/json"
	"fmt"
	"os"

	"glassbox/oci"
)

// listContainers is `glassrun list`.
func listContainers(g globals, args []string) error {
	flags := flagSet("list")
	var format string
	var quiet bool
	formatVar(flags, &format, "table", "json")
	boolVar(flags, &quiet, "quiet", "q")
	if _, err := parse(flags, args, 0, 0); err != nil {
		return err
	}
	list, err := g.store().List()
	if err != nil {
		return err
	}
	switch {
	case quiet:
		for _, c := range list {
			fmt.Println(c.ID)
		}
		return nil
	case format == "json":
		var states []oci.State // none at all is null, as runc has it
		for _, c := range list {
			states = append(states, c.Entry())
		}
		return json.NewEncoder(os.Stdout).Encode(states)
	}
	return oci.Table(os.Stdout, list)
}
