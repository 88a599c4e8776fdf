package oci

import (
	"errors"

	"glassbox/program"
	"glassbox/runtime"
)

// Plan says what a run of the bundle's container would ask of the kernel. Nothing is asked, and no container is made.
func (s Store) Plan(id string, o Options) ([]program.Account, error) {
	b, err := open(o.Bundle)
	if err != nil {
		return nil, err
	}
	(&record{ID: id, Systemd: s.Systemd}).complete(b.spec)
	facts, err := runtime.Observe(b.spec, b.dir)
	if err != nil {
		return nil, err
	}
	facts.Cgroups.Units = s.Systemd
	plan, err := runtime.Compile(b.spec, b.layers, facts)
	if err != nil {
		return nil, err
	}
	for _, w := range plan.Warnings {
		if s.Warn != nil {
			s.Warn(errors.New(w))
		}
	}
	return plan.Explain(), nil
}
