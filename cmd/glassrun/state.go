package main

import "os"

// showState is `glassrun state`.
func showState(g globals, args []string) error {
	ids, err := parse(flagSet("state"), args, 1, 1)
	if err != nil {
		return err
	}
	c, err := g.store().Container(ids[0])
	if err != nil {
		return err
	}
	return c.State().Print(os.Stdout)
}
