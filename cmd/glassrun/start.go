package main

import "errors"

// startContainer is `glassrun start`.
func startContainer(g globals, args []string) error {
	flags := flagSet("start")
	explain := flags.String("explain", "", "write what was asked of the kernel to this file, as JSON; - prints it on stderr")
	ids, err := parse(flags, args, 1, 1)
	if err != nil {
		return err
	}
	account, err := g.store().Start(ids[0], *explain != "")
	return errors.Join(err, tell(*explain, account))
}
