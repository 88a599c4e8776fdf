package engine

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"glassbox/program"
	"glassbox/runtime"
)

// Plan compiles what Create and Start would do, and asks the kernel for nothing. Only an image that is missing is fetched.
func (c *Containers) Plan(ctx context.Context, o Options) ([]program.Account, error) {
	r, _, err := c.prepare(ctx, &o)
	if err != nil {
		return nil, err
	}
	r.Name = o.Name
	plan, err := c.draw(r)
	if err != nil {
		return nil, err
	}
	facts, err := runtime.Observe(plan.Spec, r.place.Run)
	if err != nil {
		return nil, err
	}
	compiled, err := runtime.Compile(plan.Spec, plan.Layers, facts)
	if err != nil {
		return nil, limitRefused(err)
	}
	return compiled.Explain(), nil
}

// Account is what was asked of the kernel at the container's last start (Options.Explain).
func (c *Containers) Account(id string) ([]program.Account, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(r.place.Account())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, conflict("container %s has no account of its start: it was created without --explain, or not started since the machine was", id)
	}
	if err != nil {
		return nil, err
	}
	var a []program.Account
	return a, json.Unmarshal(data, &a)
}
