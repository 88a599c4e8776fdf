package main

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"glassbox/engine"

	timestamp "github.com/docker/docker/api/types/time"
)

func logsVerb() verb {
	return verb{
		use: "logs [OPTIONS] CONTAINER", same: "container logs, logs",
		short: "Fetch the logs of a container", min: 1, max: 1, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			var o engine.LogOptions
			c.flags.BoolVarP(&o.Follow, "follow", "f", false, "Follow log output")
			since := c.flags.String("since", "", `Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)`)
			until := c.flags.String("until", "", `Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)`)
			c.flags.BoolVarP(&o.Timestamps, "timestamps", "t", false, "Show timestamps")
			c.flags.BoolVar(&o.Details, "details", false, "Show extra details provided to logs")
			tail := c.flags.StringP("tail", "n", "all", "Number of lines to show from the end of the logs")
			return func(ctx context.Context, args []string) (err error) {
				b, err := c.backend()
				if err != nil {
					return err
				}
				if o.Since, err = moment("since", *since); err == nil {
					o.Until, err = moment("until", *until)
				}
				if err != nil { // of a container that does not exist Docker says that first
					_, missing := b.containers.Inspect(args[0], false)
					return cmp.Or(waitFailure(ctx, missing), err)
				}
				o.Tail = tailLines(*tail)
				if err := b.containers.Logs(ctx, args[0], o, c.stdout, c.stderr); err != nil {
					return waitFailure(ctx, err)
				}
				return ctx.Err()
			}
		},
	}
}

// moment reads a time, or how long ago it was; 0 is none.
func moment(flag, text string) (time.Time, error) {
	if text == "" || text == "0" {
		return time.Time{}, nil
	}
	value, err := timestamp.GetTimestamp(text, time.Now())
	if err != nil {
		return time.Time{}, plainFailure(`invalid value for "%s": %w`, flag, err)
	}
	seconds, nanoseconds, err := timestamp.ParseTimestamps(value, 0)
	return time.Unix(seconds, nanoseconds), err
}

// tailLines: what is not a number means all lines, as in dockerd.
func tailLines(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
