// Package doctor tries what a container needs of this machine: calls of the kernel, namespaces, groups, file systems, packets through a
// bridge. Nothing is guessed from versions: a probe asks the kernel for what a start would ask for, in namespaces, groups and directories
// of its own, and says what came of it, why it matters and what cures it.
//
// The probes use the packages that starts use (cgroups, rootfs by way of runtime.Look, network, firewall, program), so that a verdict and
// what a run does cannot disagree. A probe that is killed leaves nothing: its namespaces end with its process or thread, and its
// directories and groups, which are named after the process, are cleared away by the next doctor.
package doctor

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Result is a check's verdict.
type Result string

// The verdicts.
const (
	Pass Result = "pass"
	Warn Result = "warn" // containers run, but something that some of them, or some lessons, want is missing
	Fail Result = "fail" // what depends on it is refused or does not work
)

// Check is one thing that was tried.
type Check struct {
	Area   string `json:"area"`
	Name   string `json:"name"`
	Result Result `json:"result"`
	Found  string `json:"found"`         // what the kernel answered
	Why    string `json:"why"`           // what depends on it, or the rule behind the answer
	Fix    string `json:"fix,omitempty"` // what cures it; empty where nothing needs to be cured
	Lab    string `json:"lab,omitempty"` // the lesson about it
}

// Report is what doctor found on one machine.
type Report struct {
	Machine Machine `json:"machine"`
	Pass    int     `json:"pass"`
	Warn    int     `json:"warn"`
	Fail    int     `json:"fail"`
	Checks  []Check `json:"checks"` // by area, in the order of Areas
}

// Areas are the parts into which the checks are sorted, in their order.
func Areas() []string {
	return []string{"security", "kernel", "namespaces", "cgroups", "files", "network", "limits", "programs", "machine", "state"}
}

// probe is one check to be made.
type probe struct {
	area, name string
	why        string // what depends on it
	lab        string
	try        func(*machine) finding
}

// finding is what came of a probe.
type finding struct {
	result Result
	found  string
	why    string // instead of the probe's
	fix    string
}

func probes() []probe {
	return slices.Concat(securityProbes(), kernelProbes(), namespaceProbes(), cgroupProbes(), fileProbes(), networkProbes(), limitProbes(), programProbes(), machineProbes(), stateProbes())
}

// patience is how long a probe may take.
const patience = 5 * time.Second

// bound is patience, or that of all that has to be tried before: some probes look at one part of what is tried in a row.
func (p probe) bound() time.Duration {
	switch {
	case p.area == "network" && slices.Contains(stages, p.name):
		return time.Duration(1+slices.Index(stages, p.name)) * patience
	case p.area == "cgroups", strings.HasPrefix(p.name, "overlay"):
		return 2 * patience
	}
	return patience
}

// Examine makes the checks of these areas, or of all where none is named.
func Examine(areas ...string) Report {
	m := newMachine()
	defer m.close()
	chosen := slices.DeleteFunc(probes(), func(p probe) bool { return len(areas) > 0 && !slices.Contains(areas, p.area) })
	r := Report{Machine: observe(), Checks: make([]Check, len(chosen))}
	var next sync.Mutex
	var all sync.WaitGroup
	at := 0
	for range 2 * runtime.NumCPU() {
		all.Go(func() {
			for {
				next.Lock()
				i := at
				at++
				next.Unlock()
				if i >= len(chosen) {
					return
				}
				r.Checks[i] = chosen[i].check(m)
			}
		})
	}
	all.Wait()
	for _, c := range r.Checks {
		switch c.Result {
		case Pass:
			r.Pass++
		case Warn:
			r.Warn++
		case Fail:
			r.Fail++
		}
	}
	return r
}

// check makes the check; one that does not answer in time is left to itself, and ends with doctor.
func (p probe) check(m *machine) Check {
	answer := make(chan finding, 1)
	go func() { answer <- p.try(m) }()
	var f finding
	select {
	case f = <-answer:
	case <-time.After(p.bound()):
		f = fail("did not answer within "+p.bound().String(), "see what it waits for: dmesg | tail; cat /proc/"+self()+"/task/*/wchan")
	}
	c := Check{Area: p.area, Name: p.name, Result: f.result, Found: f.found, Why: p.why, Fix: f.fix, Lab: p.lab}
	if f.why != "" {
		c.Why = f.why
	}
	return c
}

func pass(found string) finding      { return finding{result: Pass, found: found} }
func warn(found, fix string) finding { return finding{result: Warn, found: found, fix: fix} }
func fail(found, fix string) finding { return finding{result: Fail, found: found, fix: fix} }

// because gives a finding a reason of its own.
func (f finding) because(why string) finding {
	f.why = why
	return f
}

// text is a file's content without white space around it; empty where it cannot be read.
func text(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
