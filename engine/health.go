package engine

import (
	"cmp"
	"errors"
	"io/fs"
	"time"

	"glassbox/monitor"
	"glassbox/store"

	"github.com/docker/docker/api/types/container"
)

// Docker's defaults of a health check.
const (
	healthInterval      = 30 * time.Second
	healthTimeout       = 30 * time.Second
	healthStartInterval = 5 * time.Second
	healthRetries       = 3
)

// checked says whether the container's health is checked.
func (r *record) checked() bool { return len(r.healthCommand()) > 0 }

// healthCommand is what a check executes. The image's SHELL is for its build only; Docker takes /bin/sh here, too.
func (r *record) healthCommand() []string {
	h := r.Config.Healthcheck
	if h == nil || len(h.Test) < 2 {
		return nil
	}
	switch h.Test[0] {
	case "CMD":
		return h.Test[1:]
	case "CMD-SHELL":
		shell := r.Config.Shell
		if len(shell) == 0 {
			shell = []string{"/bin/sh", "-c"}
		}
		return append(shell[:len(shell):len(shell)], h.Test[1:]...)
	}
	return nil
}

// health is what the monitor is told of the checks; nil: there are none.
func (r *record) health() (*monitor.Health, error) {
	if !r.checked() {
		return nil, nil
	}
	p, err := r.execProcess(ExecOptions{ExecOptions: container.ExecOptions{Cmd: r.healthCommand()}}, r.tree())
	if err != nil {
		return nil, err
	}
	h := r.Config.Healthcheck
	return &monitor.Health{
		Process: *p, File: r.place.Health(), StartPeriod: h.StartPeriod, Retries: cmp.Or(h.Retries, healthRetries),
		Interval: cmp.Or(h.Interval, healthInterval), Timeout: cmp.Or(h.Timeout, healthTimeout), StartInterval: cmp.Or(h.StartInterval, healthStartInterval),
	}, nil
}

// heed lets the container's health checks know that it was frozen or thawed. A monitor that does not hear finds out by itself.
func (c *Containers) heed(r *record) {
	if !r.checked() {
		return
	}
	client, err := dial(r)
	if err != nil {
		return
	}
	defer client.Close()
	client.Frozen() //nolint:errcheck // see above
}

// health is the word for tables and filters. As in Docker whoever is not checked, because it has ended or is paused, counts as unhealthy.
func (s state) health() container.HealthStatus {
	switch {
	case s.Health == "":
		return container.NoHealthcheck
	case !s.Running || s.Paused:
		return container.Unhealthy
	}
	return s.Health
}

// inspectHealth is State.Health of `inspect`: nil for a container that has not been started with checks.
func (c *Containers) inspectHealth(r *record, s state) *container.Health {
	if s.Health == "" {
		return nil
	}
	var kept monitor.HealthState
	if err := store.Read(r.place.Health(), &kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.warn(err.Error())
	}
	h := &container.Health{Status: s.health(), FailingStreak: kept.FailingStreak, Log: []*container.HealthcheckResult{}}
	for _, one := range kept.Log {
		h.Log = append(h.Log, &container.HealthcheckResult{Start: one.Start.Local(), End: one.End.Local(), ExitCode: one.ExitCode, Output: one.Output})
	}
	return h
}
