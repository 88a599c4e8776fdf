// Package experiment runs the same probe in two containers, one whole and one with a mechanism left out, and shows the difference: in what
// was asked of the kernel, in what the probe sees, and in what the host sees afterwards.
//
// Both run on a stage (stage.go): namespaces of their own in which glassbox works as it does on a host. It stands in for the host, so
// that what a container without the mechanism does to "the host" happens to the stage, and goes with it.
package experiment

import (
	"slices"
	"strings"

	"glassbox/engine"
	"glassbox/mechanism"

	"github.com/docker/docker/api/types/container"
)

// Experiment is one mechanism left out.
type Experiment struct {
	mechanism.Mechanism `json:"-"`

	Seen   string   `json:"seen"`             // what the built-in probe shows, in a line
	Probe  []string `json:"probe"`            // commands for the shell of the image tiny
	Less   []string `json:"less,omitempty"`   // those of the second container, where it is the probe that leaves something out
	Danger string   `json:"danger,omitempty"` // what a probe of one's own could do to the real host, in spite of the stage; empty: nothing that a container like any other could not do

	whole, without setting
	twice          bool                  // the probe runs in two containers of the image, one after the other
	prepare        func(*stage) error    // sets the stage
	look           func(*stage) []string // what the host sees when the containers have ended
}

// setting is how a container differs from one that is made with nothing said.
type setting struct {
	flags string // as one would type them
	apply func(*stage, *engine.Options)
	note  string // where no flag does it
}

// Of is the experiment of that name.
func Of(name string) (Experiment, bool) {
	list := All()
	i := slices.IndexFunc(list, func(e Experiment) bool { return e.Name == name })
	if i < 0 {
		return Experiment{}, false
	}
	return list[i], true
}

// All are the experiments, in the order of the table of mechanisms.
func All() []Experiment {
	var list []Experiment
	known := slices.Concat(namespaces(), files(), rights())
	for _, m := range mechanism.All {
		i := slices.IndexFunc(known, func(e Experiment) bool { return e.Name == m.Name })
		if i < 0 {
			continue
		}
		e := known[i]
		e.Mechanism = m
		e.Danger = known[i].Danger
		list = append(list, e)
	}
	return list
}

// named begins an experiment.
func named(name string) mechanism.Mechanism { return mechanism.Mechanism{Name: name} }

// together makes errors come where they belong among the output.
const together = "exec 2>&1\n"

// script is what the shell is given: each command is shown before it runs.
func script(commands []string) string {
	var b strings.Builder
	b.WriteString(together)
	for _, c := range commands {
		b.WriteString("echo '$ " + strings.ReplaceAll(c, "'", `'\''`) + "'\n" + c + "\n")
	}
	return b.String() + "exit 0\n" // whatever the last command has found
}

// Limit puts the limits of the whole container into h: the only part of an experiment that some hosts cannot do.
func (e Experiment) Limit(h *container.HostConfig) {
	if e.Name == "limits" {
		limited(h)
	}
}
