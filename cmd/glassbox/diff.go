package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
)

func diffVerb() verb {
	return verb{
		use: "diff CONTAINER", same: "container diff, diff",
		short: "Inspect changes to files or directories on a container's filesystem", min: 1, max: 1, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			return func(ctx context.Context, args []string) error { return c.diff(args[0]) }
		},
	}
}

func (c *call) diff(id string) error {
	if err := givenContainer(id); err != nil {
		return err
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	changes, err := b.containers.Diff(id)
	if err != nil {
		return engineFailure(err)
	}
	w := bufio.NewWriter(c.stdout)
	for _, change := range changes {
		fmt.Fprintln(w, change.Kind, change.Path)
	}
	return w.Flush()
}

// givenContainer refuses what Docker's client does not even send.
func givenContainer(id string) error {
	if strings.TrimSpace(id) == "" {
		return plainFailure("invalid container name or ID: value is empty")
	}
	return nil
}
