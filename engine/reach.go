package engine

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"glassbox/monitor"
)

// reach calls f with a connection to a running container's monitor, and returns that open. A monitor that is just dying still
// takes connections: then f is called again with the next one, which the look at the state brings up.
func (c *Containers) reach(ctx context.Context, r *record, f func(*monitor.Client) error) (*monitor.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		client, err := dial(r)
		if err == nil {
			if err = f(client); err == nil {
				return client, nil
			}
			client.Close()
		}
		if !errors.Is(err, monitor.ErrDead) {
			return nil, err
		}
		s, stateErr := c.state(r)
		if stateErr != nil {
			return nil, stateErr
		}
		switch {
		case !s.Running:
			return nil, notRunning(r.ID)
		case !there(r.place.Run):
			return nil, err // nobody can put another monitor there
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// dial: without a state directory, after a reboot, there is no monitor either.
func dial(r *record) (*monitor.Client, error) {
	client, err := monitor.Dial(r.place.Run)
	if errors.Is(err, fs.ErrNotExist) {
		err = monitor.ErrDead
	}
	return client, err
}
