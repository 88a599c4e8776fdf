package runtime

import (
	"glassbox/confine"
	"glassbox/namespaces"
	"glassbox/program"
	"glassbox/rootfs"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Rules is what a container demands of each of its processes. They are all of a config.json that a further process needs, so whoever keeps
// them need not read that again, nor compile the filter.
type Rules struct {
	Filter      *confine.Filter          `json:",omitempty"`
	Personality *specs.LinuxPersonality  `json:",omitempty"`
	Memory      *specs.LinuxMemoryPolicy `json:",omitempty"`
	Process     *specs.Process           // the first one: what another has where its own description says nothing
	Annotations map[string]string        `json:",omitempty"`
	Rooted      bool                     `json:",omitempty"` // the root is the processes' own and not that of their mount namespace, in which others live
	UIDMappings []specs.LinuxIDMapping   `json:",omitempty"` // who on the host is who inside
	GIDMappings []specs.LinuxIDMapping   `json:",omitempty"`
}

// RulesOf compiles the rules of a config.json.
func RulesOf(s *specs.Spec) (r Rules, err error) {
	r.Process, r.Annotations = s.Process, s.Annotations
	if s.Linux == nil {
		return r, nil
	}
	r.Rooted = !namespaces.Makes(s, specs.MountNamespace)
	r.Personality, r.Memory = s.Linux.Personality, s.Linux.MemoryPolicy
	r.UIDMappings, r.GIDMappings = s.Linux.UIDMappings, s.Linux.GIDMappings
	r.Filter, err = confine.CompileFilter(s.Linux.Seccomp)
	return r, err
}

// complete is a further process with what the first one has and it does not say: the machine's resources.
func (r Rules) complete(p *specs.Process) *specs.Process {
	if r.Process == nil {
		return p
	}
	whole := *p
	if p.OOMScoreAdj == nil {
		whole.OOMScoreAdj = r.Process.OOMScoreAdj
	}
	if p.Scheduler == nil {
		whole.Scheduler = r.Process.Scheduler
	}
	if p.IOPriority == nil {
		whole.IOPriority = r.Process.IOPriority
	}
	if p.ExecCPUAffinity == nil {
		whole.ExecCPUAffinity = r.Process.ExecCPUAffinity
	}
	return &whole
}

// deaf is the rules for a process to which nobody listens: what would be asked for is answered ENOSYS, seccomp(2).
func (r Rules) deaf() Rules {
	if r.Filter.Notifies() {
		f := *r.Filter
		f.Flags &^= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
		r.Filter = &f
	}
	return r
}

// ending is how a program of ours becomes a process of the container: the same for its first one, an exec and a hook inside.
type ending struct {
	process  *specs.Process
	rules    Rules
	label    confine.Label
	facts    Facts
	listen   func(program.Slot) // compiles what happens with the filter's descriptor for notifications
	warnings []string           // what config.json asks for and cannot be had
}

// newEnding refuses labels that this kernel does not know.
func newEnding(p *specs.Process, r Rules, f Facts) (*ending, error) {
	label, err := confine.LabelOf(p, f.Modules)
	return &ending{process: p, rules: r, label: label, facts: f}, err
}

// become compiles the last steps.
func (e *ending) become(b *program.Builder) error {
	if err := e.confine(b); err != nil {
		return err
	}
	execute(b, e.process)
	return nil
}

// confine compiles how a process comes to be what config.json says of it, up to its program.
func (e *ending) confine(b *program.Builder) error {
	p, in := e.process, e.facts.Inherited
	if !p.Terminal {
		streams(b)
	}
	if err := in.Limits(b, p.Rlimits); err != nil {
		return err
	}
	if err := e.schedule(b); err != nil {
		return err
	}
	b.From("process.cwd")
	rootfs.Stand(b, p.Cwd)
	e.label.Write(b)
	want, warnings := in.Capabilities(p.Capabilities)
	e.warnings = warnings
	in.Identity(b, p.User, want)
	closeOthers(b, e.facts.Preserve)
	confine.Rights(b, p, want, e.rules.Filter, e.listen)
	return nil
}

// schedule compiles what the kernel's resources are to the process, while it may still ask for better than others get.
func (e *ending) schedule(b *program.Builder) error {
	if err := confine.Scheduler(b, e.process.Scheduler); err != nil {
		return err
	}
	if err := confine.IOPriority(b, e.process.IOPriority); err != nil {
		return err
	}
	if err := confine.MemoryPolicy(b, e.rules.Memory); err != nil {
		return err
	}
	return confine.Personality(b, e.rules.Personality)
}
