package main

import "errors"

// startContainer is `glassrun start`.
func startContainer(g globals, args []string) error {
	flags := flagSet("start")
	explain := explainFlag(flags)
	ids, err := parse(flags, args, 1, 1)
	if err != nil {
		return err
	}
	account, err := g.store().Start(ids[0], g.explains(*explain))
	return errors.Join(err, g.tell(*explain, account))
}
