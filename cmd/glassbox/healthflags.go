package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/spf13/pflag"
)

// healthFlags describe a health check.
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
	switch {
	case h.off && asked:
		return errors.New("--no-healthcheck conflicts with --health-* options")
	case h.off:
		c.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
		return nil
	case !asked:
		return nil
	}
	if err := h.negative(); err != nil {
		return err
	}
	c.Healthcheck = &container.HealthConfig{
		Interval: h.interval, Timeout: h.timeout, StartPeriod: h.start, StartInterval: h.startInterval, Retries: h.retries,
	}
	if h.command != "" {
		c.Healthcheck.Test = []string{"CMD-SHELL", h.command}
	}
	return nil
}

func (h *healthFlags) negative() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"interval", int64(h.interval)}, {"timeout", int64(h.timeout)}, {"retries", int64(h.retries)}, {"start-period", int64(h.start)},
		{"start-interval", int64(h.startInterval)},
	} {
		if f.value < 0 {
			return fmt.Errorf("--health-%s cannot be negative", f.name)
		}
	}
	return nil
}
