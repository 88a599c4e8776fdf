package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"glassbox/logfile"
	"glassbox/monitor"
	"glassbox/store"

	"golang.org/x/sys/unix"
)

// LogOptions is `logs`; a negative Tail means all.
type LogOptions struct {
	Follow       bool
	Tail         int
	Timestamps   bool
	Details      bool
	Since, Until time.Time
}

// Logs prints what a container has written, and with Follow what it goes on to write until it ends.
func (c *Containers) Logs(ctx context.Context, id string, o LogOptions, stdout, stderr io.Writer) error {
	r, err := c.load(id)
	if err != nil {
		return err
	}
	if r.HostConfig.LogConfig.Type == "none" {
		return invalid("configured logging driver does not support reading")
	}
	config, err := r.log()
	if err != nil {
		return err
	}
	s, err := c.state(r)
	if err != nil {
		return err
	}
	in, err := logfile.Open(config, o.Tail, o.Since)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !s.Running:
		return nil // it has never been started, or somebody has removed its log
	case err != nil:
		return prefixed("Error grabbing logs", err)
	}
	defer in.Close()
	p := newLogPrinter(o, r.Config.Tty, stdout, stderr)
	if o.Follow && c.goesOn(r, s) {
		err = c.follow(ctx, r, config, in, p)
	} else {
		err = p.all(in, !c.goesOn(r, s)) // or the last entry is just being written
	}
	if in.Unread > 0 {
		c.warn(fmt.Sprintf("the log of %s holds %d bytes that are no entries: they were left out", r.Name, in.Unread))
	}
	return err
}

// follow prints until the container has ended for good and everything is printed.
func (c *Containers) follow(ctx context.Context, r *record, config logfile.Config, in *logfile.Reader, p *logPrinter) error {
	watch := store.NewWatch(filepath.Dir(config.File), r.place.Dir)
	defer watch.Close()
	for {
		// Asked before reading: what was written before the end is then surely read.
		s, err := c.state(r)
		if err != nil {
			return err
		}
		ends := !c.goesOn(r, s) || !p.Until.IsZero() && time.Now().After(p.Until)
		if err := p.all(in, ends); err != nil || ends || p.done {
			return err
		}
		if err := watch.Wait(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}

// promise tells those who follow the container's log that its end is not the last one, until the function returned is called. There
// is nobody to tell where it has not run since the machine was started.
func (r *record) promise() (kept func()) {
	fd, err := store.Seize(r.place.Restart(), time.Second)
	if err != nil {
		return func() {}
	}
	return func() { unix.Close(fd) }
}

// goesOn says whether the container may still write: it runs, or is about to be started again by its restart policy or by `restart`.
func (c *Containers) goesOn(r *record, s state) bool {
	if s.Running || s.Status == monitor.Restarting {
		return true
	}
	held, err := store.Held(r.place.Restart())
	return held && err == nil
}
