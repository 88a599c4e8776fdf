package main

import (
	"context"
)

func attachVerb() verb {
	return verb{
		use: "attach [OPTIONS] CONTAINER", same: "container attach, attach",
		short: "Attach local standard input, output, and error streams to a running container", min: 1, max: 1, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			noStdin := c.flags.Bool("no-stdin", false, "Do not attach STDIN")
			proxy := c.flags.Bool("sig-proxy", true, "Proxy all received signals to the process")
			keys := c.flags.String("detach-keys", "", "Override the key sequence for detaching a container")
			return func(ctx context.Context, args []string) error {
				return c.attach(ctx, args[0], !*noStdin, *proxy, *keys)
			}
		},
	}
}

func (c *call) attach(ctx context.Context, name string, stdin, proxy bool, keys string) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	i, err := b.containers.Inspect(name, false)
	if err != nil {
		return engineFailure(err)
	}
	switch {
	case !i.State.Running:
		return plainFailure("You cannot attach to a stopped container, start it first")
	case i.State.Paused:
		return plainFailure("You cannot attach to a paused container, unpause it first")
	case i.State.Restarting:
		return plainFailure("You cannot attach to a restarting container, wait until it is running")
	}
	if err := c.checkTTY(stdin, i.Config.Tty); err != nil {
		return err
	}
	w := wiring{
		stdin: stdin && i.Config.OpenStdin, stdout: true, stderr: true,
		tty: i.Config.Tty, signals: proxy && !i.Config.Tty, keys: keys, redraw: true,
	}
	streams, done, err := c.connect(w)
	if err != nil {
		return err
	}
	defer done()
	ctx = c.theirs(ctx, w)
	a, err := b.containers.Attach(ctx, i.ID, streams)
	if err != nil {
		return engineFailure(err)
	}
	return c.finish(ctx, a, w)
}
