package cgroups

import (
	"errors"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Setting is one value that a spec asks a file of the group to have.
type Setting struct {
	File  string // memory.max
	Value string // as it is written there
	From  string // the config field: linux.resources.memory.limit
}

// Settings are those that a spec's limits ask for, in the order in which they are written; of several for one file and key the last one counts.
func Settings(r *specs.LinuxResources, f Facts) ([]Setting, error) {
	l, err := compileLimits(r, f)
	if err != nil {
		return nil, err
	}
	var all []Setting
	for _, w := range l.writes {
		if !w.tolerate {
			all = append(all, Setting{w.file, w.value, w.from})
		}
	}
	return all, nil
}

// Lacks says why no group of this host has a controller's files; it is empty where groups may have them.
func (f Facts) Lacks(controller string) string {
	var lacking *LimitError
	if errors.As(f.refuse(controller, ""), &lacking) {
		return lacking.Cause
	}
	return ""
}
