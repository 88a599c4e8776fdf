package monitor

import (
	"os"
	"syscall"

	"glassbox/cgroups"
	"glassbox/program"
	"glassbox/runtime"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// starter is what the monitor needs of package runtime; tests put processes without namespaces in its place.
type starter interface {
	create(*specs.Spec, runtime.Options) (container, error)
	adopt(rules runtime.Rules, pid int, o runtime.Options) (container, error)
}

type container interface {
	child
	Start() error
	Destroy() error
	Group() cgroups.Group
	Rules() runtime.Rules
	exec(*specs.Process, runtime.Options) (child, error)
}

// child is a process that the runtime started.
type child interface {
	pids() (pid int, pidfd *os.File)
	Console() *os.File
	Account() []program.Account
	Wait() (syscall.WaitStatus, error)
}

type realStarter struct{}

func (realStarter) create(spec *specs.Spec, o runtime.Options) (container, error) {
	c, err := runtime.Create(spec, o)
	if err != nil {
		return nil, err
	}
	return realContainer{c}, nil
}

func (realStarter) adopt(rules runtime.Rules, pid int, o runtime.Options) (container, error) {
	c, err := runtime.Adopt(rules, pid, o)
	if err != nil {
		return nil, err
	}
	return realContainer{c}, nil
}

type realContainer struct{ *runtime.Container }

func (c realContainer) pids() (int, *os.File) { return c.Pid, c.Pidfd }

func (c realContainer) exec(p *specs.Process, o runtime.Options) (child, error) {
	proc, err := c.Exec(p, o)
	if err != nil {
		return nil, err
	}
	return realProcess{proc}, nil
}

type realProcess struct{ *runtime.Process }

func (p realProcess) pids() (int, *os.File) { return p.Pid, p.Pidfd }
