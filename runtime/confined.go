package runtime

import (
	"glassbox/confine"
	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Rules is what a container demands of each of its processes, whatever that is.
type Rules struct {
	Filter      *confine.Filter          `json:",omitempty"`
	Personality *specs.LinuxPersonality  `json:",omitempty"`
	Memory      *specs.LinuxMemoryPolicy `json:",omitempty"`
}

// RulesOf compiles the rules of a config.json.
func RulesOf(l *specs.Linux) (r Rules, err error) {
	r.Personality, r.Memory = l.Personality, l.MemoryPolicy
	r.Filter, err = confine.CompileFilter(l.Seccomp)
	return r, err
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
	b.Call(unix.SYS_CHDIR, p.Cwd).Why("stand in the working directory")
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
