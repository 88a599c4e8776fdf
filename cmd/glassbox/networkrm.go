package main

import (
	"context"
	"fmt"
)

func networkRmVerb() verb {
	return verb{
		use: "rm NETWORK [NETWORK...]", alias: []string{"remove"}, same: "network rm, network remove",
		short: "Remove one or more networks", min: 1, max: -1, offers: offerNetworks,
		prepare: func(c *call) action {
			force := c.flags.BoolP("force", "f", false, "Do not error if the network does not exist")
			return func(ctx context.Context, args []string) error { return c.removeNetworks(args, *force) }
		},
	}
}

// removeNetworks tells of each failure where it happens; Docker's client then says once more that there was one.
func (c *call) removeNetworks(names []string, force bool) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	var failed error
	for _, name := range names {
		err := b.networks.Remove(name)
		switch {
		case err == nil:
			fmt.Fprintln(c.stdout, name)
		case !force || !isNotFound(err):
			c.report(engineFailure(err))
			failed = exitStatus(1)
		}
	}
	if failed != nil && c.isDocker() {
		return plainFailure("exit status 1")
	}
	return failed
}
