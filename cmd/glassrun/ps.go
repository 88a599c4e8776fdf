package main

import (
	"encoding/json"
	"os"
)

// showProcesses is `glassrun ps`. What follows the id is for ps(1).
func showProcesses(g globals, args []string) error {
	flags := flagSet("ps")
	var format string
	formatVar(flags, &format, "table", "json")
	words, err := parseLeading(flags, args, 1, -1)
	if err != nil {
		return err
	}
	c, err := g.store().Container(words[0])
	if err != nil {
		return err
	}
	if format == "json" {
		pids, err := c.Processes()
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(pids)
	}
	if len(words) == 1 {
		words = append(words, "-ef")
	}
	return c.Ps(os.Stdout, words[1:]...)
}
