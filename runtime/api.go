// Package runtime starts OCI containers: Compile turns a config.json into a Plan, Create and Exec run it.
package runtime

import (
	"errors"
	"os"
	"syscall"

	"glassbox/cgroups"
	"glassbox/program"
	"glassbox/rootfs"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var errStub = errors.New("stub")

// Plan is a start before it happens: what the host does and what the child does, phase by phase.
type Plan struct {
	Phases []program.Phase
	Clone  program.Clone
	Group  cgroups.Group
}

// Options is what a start needs beside config.json.
type Options struct {
	Dir     string         // the container's state directory (bundle): config.json, layers.json; relative root.path is below it
	Layers  *rootfs.Layers // nil: spec.Root.Path is a plain directory
	Stdin   *os.File       // what becomes descriptors 0, 1 and 2 of the process; not used when it has a terminal
	Stdout  *os.File
	Stderr  *os.File
	Explain bool // read the clock before and after each step
}

// Container is a container from its `created` gate to the end of its PID 1, held by the process that created it.
type Container struct {
	Pid   int      // of PID 1, in the host's PID namespace
	Pidfd *os.File // refers to it however often the number is reused
}

// Create carries out the plan up to the gate `created`: namespaces, cgroup and file tree exist, and the
// container's process waits to be let on. After a failure nothing is left: no process, cgroup or mount.
// A failing step comes back as a *program.Failure.
func Create(spec *specs.Spec, o Options) (*Container, error) { return nil, errStub }

// Start opens the last gates and returns when execve has happened. A failure (no such file, no permission) is a
// *program.Failure; then the container is destroyed.
func (c *Container) Start() error { return errStub }

// Console is the master side of the container's terminal, nil where process.terminal is false.
func (c *Container) Console() *os.File { return nil }

// Account is what has been asked of the kernel so far.
func (c *Container) Account() []program.Account { return nil }

// Wait reaps PID 1 and returns how it ended. Nobody else may reap it.
func (c *Container) Wait() (syscall.WaitStatus, error) { return 0, errStub }

// Destroy kills whatever is left in the container and removes its cgroup. It is safe to call twice.
func (c *Container) Destroy() error { return errStub }

// Adopt makes a Container of a running one whose creator died, from its PID 1 and config.json. Wait is not
// possible on it (it is not our child); Pidfd becomes readable when it ends.
func Adopt(spec *specs.Spec, pid int, o Options) (*Container, error) { return nil, errStub }

// Process is a further process in a container.
type Process struct {
	Pid   int
	Pidfd *os.File
}

// Exec starts p in the container: its namespaces, cgroup, capabilities. It returns when execve has happened, or with
// a *program.Failure. Stdin, Stdout, Stderr and Explain of o are used.
func (c *Container) Exec(p *specs.Process, o Options) (*Process, error) { return nil, errStub }

func (p *Process) Console() *os.File                 { return nil }
func (p *Process) Account() []program.Account        { return nil }
func (p *Process) Wait() (syscall.WaitStatus, error) { return 0, errStub }

// Explain is the plan without running it, for `glassbox explain`: nothing is asked of the kernel.
func (p *Plan) Explain() []program.Account { return nil }
