package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-connections/nat"
)

func portVerb() verb {
	return verb{
		use: "port CONTAINER [PRIVATE_PORT[/PROTO]]", same: "container port, port",
		short: "List port mappings or a specific mapping for the container", min: 1, max: 2, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			return func(ctx context.Context, args []string) error {
				b, err := c.backend()
				if err != nil {
					return err
				}
				i, err := b.containers.Inspect(args[0], false)
				if err != nil {
					return engineFailure(err)
				}
				var ports nat.PortMap
				if i.NetworkSettings != nil {
					ports = i.NetworkSettings.Ports
				}
				if len(args) == 2 {
					return c.onePort(ports, i.ID, args[0], args[1])
				}
				var lines []string
				for from, to := range ports {
					for _, t := range to {
						lines = append(lines, fmt.Sprintf("%s -> %s", from, net.JoinHostPort(t.HostIP, t.HostPort)))
					}
				}
				c.printSorted(lines)
				c.noteDeaf(i.ID)
				return nil
			}
		},
	}
}

// printSorted prints lines as Docker sorts them: 80 before 443.
func (c *call) printSorted(lines []string) {
	slices.SortFunc(lines, natural)
	for _, l := range lines {
		fmt.Fprintln(c.stdout, l)
	}
}

func (c *call) onePort(ports nat.PortMap, id, name, wanted string) error {
	port, proto, _ := strings.Cut(wanted, "/")
	if proto == "" {
		proto = "tcp"
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return plainFailure("Error: invalid port (%s): %w", port, err)
	}
	to := ports[nat.Port(port+"/"+proto)]
	if len(to) == 0 {
		return plainFailure("Error: No public port '%s' published for %s", wanted, name)
	}
	var lines []string
	for _, t := range to {
		lines = append(lines, net.JoinHostPort(t.HostIP, t.HostPort))
	}
	c.printSorted(lines)
	c.noteDeaf(id)
	return nil
}
