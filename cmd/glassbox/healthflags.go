package main

import (
	"errors"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/spf13/pflag"
)

// healthFlags describe a health check. This build runs none; --no-healthcheck is what it does anyway.
type healthFlags struct {
	command                                 string
	interval, timeout, start, startInterval time.Duration
	retries                                 int
	off                                     bool
}

func (h *healthFlags) define(f *pflag.FlagSet) {
	f.StringVar(&h.command, "health-cmd", "", "Command to run to check health")
	f.DurationVar(&h.interval, "health-interval", 0, "Time between running the check (ms|s|m|h) (default 0s)")
	f.IntVar(&h.retries, "health-retries", 0, "Consecutive failures needed to report unhealthy")
	f.DurationVar(&h.timeout, "health-timeout", 0, "Maximum time to allow one check to run (ms|s|m|h) (default 0s)")
	f.DurationVar(&h.start, "health-start-period", 0, "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)")
	f.DurationVar(&h.startInterval, "health-start-interval", 0, "Time between running the check during the start period (ms|s|m|h) (default 0s)")
	f.BoolVar(&h.off, "no-healthcheck", false, "Disable any container-specified HEALTHCHECK")
}

func (h *healthFlags) apply(c *container.Config) error {
	asked := h.command != "" || h.interval != 0 || h.timeout != 0 || h.start != 0 || h.startInterval != 0 || h.retries != 0
	if h.off && asked {
		return errors.New("--no-healthcheck conflicts with --health-* options")
	}
	if h.off {
		c.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
	}
	return nil
}
