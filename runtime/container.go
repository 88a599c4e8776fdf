package runtime

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"syscall"
	"time"

	"glassbox/cgroups"
	"glassbox/program"
	"glassbox/rootfs"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Options is what a start needs beside config.json.
type Options struct {
	Dir     string         // the container's state directory (bundle): config.json, layers.json; relative paths of config.json are below it
	Layers  *rootfs.Layers // nil: root.path is a plain directory
	Stdin   *os.File       // what becomes descriptors 0, 1 and 2 of the process; not used when it has a terminal
	Stdout  *os.File
	Stderr  *os.File
	Explain bool // read the clock before and after each step

	// Listener is a socket: the container is not started by its creator, which leaves it, but by whoever connects there (Left.Resume). Memory
	// is the file in which they find the program.
	Listener *os.File
	Memory   *os.File

	Preserve int  // the process keeps so many of our descriptors from 3 on
	NoPivot  bool // cover the host's root instead of changing it, which an initramfs does not allow
	Keyring  bool // and our session keyring

	Without string // for experiments: the mechanism that the file tree is made without: pivot_root, propagation or mount

	Group cgroups.Group // for Adopt: the container's, where its PID 1 may have left it; the zero value: where that is

	NoGroup       bool // the container is in no group, as on a machine without cgroup2
	SystemdCgroup bool // cgroupsPath is slice:prefix:name, and systemd makes the group

	State specs.State // what hooks are told: id and bundle; the rest is set for each
	Warn  func(error) // what is done without, such as an unknown capability, or failed and changes nothing, such as a hook after the start; nil: nobody wants to know

	// Step is called before each step of the child's and each request of the host's, and may skip it or end the start; nil: nobody is asked. Not with a
	// listener: whoever starts the container would be asked by nobody's program.
	Step func(program.Stop) (program.Answer, error)

	// Born is called when the container's process is in its namespaces, and its file tree is still to be made; where a second clone makes
	// that process (namespaces.Set.Forks), when it waits at the gate `created`. It may be nil.
	Born func(pid int)
}

// tell passes warnings on.
func (o Options) tell(warnings []string) {
	for _, w := range warnings {
		if o.Warn != nil {
			o.Warn(errors.New(w))
		}
	}
}

// Container is a container from its `created` gate to the end of its PID 1, held by the process that created it.
type Container struct {
	Pid   int      // of PID 1, in the host's PID namespace
	Pidfd *os.File // refers to it however often the number is reused

	spec    *specs.Spec
	rules   Rules
	known   specs.State // its id and bundle
	facts   Facts
	plan    *Plan
	hooks   *Hooks
	group   cgroups.Group
	process *program.Process
	console *os.File
	explain bool
	step    *program.Stepping
	warn    func(error)
	hooked  bool // hooks have run, or tried to
	began   time.Time
	told    [][]program.Done // the host's requests, by phase
	undo    []func() error
	resumed bool         // another process created it
	passing func() error // see Left
	reaped  bool
	status  syscall.WaitStatus
}

// Create carries out the plan up to the gate `created`: namespaces, cgroup and file tree exist, and the
// container's process waits to be let on. After a failure nothing is left: no process, cgroup or mount.
// A failing step comes back as a *program.Failure, a failing request of the host as a *program.HostFailure.
func Create(spec *specs.Spec, o Options) (*Container, error) {
	c, err := Prepare(spec, o)
	if err != nil {
		return nil, err
	}
	if err := c.Create(o); err != nil {
		return nil, err
	}
	return c, nil
}

// Prepare compiles the plan and changes nothing yet, so that its caller can note down what Create will make.
func Prepare(spec *specs.Spec, o Options) (*Container, error) {
	facts, err := Observe(spec, o.Dir)
	if err != nil {
		return nil, err
	}
	facts.Inherited.Keyring, facts.Cgroups.Units = o.Keyring, o.SystemdCgroup
	if o.NoGroup {
		facts.Cgroups.Mount = ""
	}
	if facts.NoPivot = o.NoPivot; o.NoPivot {
		if facts.Kernels, err = rootfs.Kernels(); err != nil {
			return nil, err
		}
	}
	facts.Detached, facts.Preserve, facts.Without = o.Listener != nil, o.Preserve, o.Without
	plan, err := Compile(spec, o.Layers, facts)
	if err != nil {
		return nil, err
	}
	o.tell(plan.Warnings)
	plan.Hooks.State = o.State
	step := program.NewStepping(o.Step)
	plan.Phases = step.Plan(plan.Phases)
	return &Container{step: step, spec: spec, rules: plan.Rules, known: o.State, facts: facts, plan: plan, hooks: plan.Hooks, group: plan.Group, explain: o.Explain, warn: o.Warn, began: time.Now()}, nil
}

// Create carries out what was prepared, with the same options.
func (c *Container) Create(o Options) error {
	err := c.create(o)
	if err == nil {
		return nil
	}
	err = c.abandon(err)
	if c.hooked {
		c.hook(Poststop) //nolint:errcheck // it only warns
	}
	return err
}

// create goes through the phases: the host's requests, while the child waits at the gate that ends the phase before, then the
// child's steps up to the next one.
func (c *Container) create(o Options) error {
	gate := ""
	for _, phase := range c.plan.Phases {
		if gate == gateCreated {
			break
		}
		c.told = append(c.told, nil)
		if err := c.serve(gate, phase, o); err != nil {
			return err
		}
		gate = gateOf(phase.Child)
	}
	if err := c.process.Reach(gateCreated); err != nil {
		return err
	}
	if o.Born != nil && c.plan.set.Forks() {
		o.Born(c.process.Pid)
	}
	c.Pid, c.Pidfd = c.process.Pid, c.process.Pidfd
	if c.spec.Process.Terminal {
		var err error
		if c.console, err = fetchConsole(c.Pidfd); err != nil {
			return err
		}
		return setSize(c.console, c.spec.Process.ConsoleSize)
	}
	return nil
}

// serve carries out the host's half of a phase. The child waits at gate meanwhile, if there is one.
func (c *Container) serve(gate string, phase program.Phase, o Options) error {
	c.step.In(phase.Name)
	if phase.Name == "namespaces" {
		birth := len(phase.Host) - 1
		if err := c.carry(phase.Host[:birth]); err != nil {
			return err
		}
		return c.bear(o, phase.Host)
	}
	if gate == "" {
		return c.carry(phase.Host)
	}
	if err := c.process.Reach(gate); err != nil {
		return err
	}
	*c.plan.child = c.process.Pid // a second clone may have made it another one
	if gate == gateMounted {
		c.hooked = true
		c.hooks.Pid, c.hooks.Pidfd = c.process.Pid, c.process.Pidfd
	}
	if err := c.carry(phase.Host); err != nil {
		return err
	}
	c.plan.shift.Leave()
	return c.process.Pass()
}

// gateOf is the gate at the end of a phase's steps.
func gateOf(p program.Program) string {
	if len(p) == 0 {
		return ""
	}
	return p[len(p)-1].Gate
}

// bear makes the child, which is the last of the host's requests.
func (c *Container) bear(o Options, requests []program.Request) error {
	n := len(requests)
	r := requests[n-1]
	group, err := c.group.Open()
	if err != nil {
		return err
	}
	if group != nil {
		defer group.Close()
	}
	hosts, err := streamFiles(o, c.spec.Process.Terminal)
	if err != nil {
		return err
	}
	maps.Copy(hosts, c.plan.taken)
	defer closeAll(hosts)
	if o.Listener != nil {
		hosts[listener] = o.Listener
		defer delete(hosts, listener) // the caller's
	}
	if err := c.step.Birth(r, n, "without a process there is no container"); err != nil {
		return err
	}
	how := program.Clone{Flags: c.plan.set.Clone(), Cgroup: group, Memory: o.Memory}
	c.process, err = program.Start(program.Whole(c.plan.Phases), how, hosts, c.explain)
	for _, t := range c.plan.shown {
		delete(hosts, t.Host()) // still needed, until the id maps are written
	}
	if err == nil {
		r.Gives = strconv.Itoa(c.process.Pid)
	}
	c.note(r, err)
	if err != nil {
		return err
	}
	c.step.After(r, nil)
	c.step.Watch(c.process)
	*c.plan.child, c.plan.process = c.process.Pid, c.process
	if o.Born != nil && !c.plan.set.Forks() { // with a second clone this process makes way for another
		o.Born(c.process.Pid)
	}
	return nil
}

// streamFiles copies the streams to numbers above 2, where the child can dup3 them down in any order.
func streamFiles(o Options, terminal bool) (map[program.Host]*os.File, error) {
	hosts := map[program.Host]*os.File{}
	if terminal {
		return hosts, nil
	}
	for name, f := range map[program.Host]*os.File{stdin: o.Stdin, stdout: o.Stdout, stderr: o.Stderr} {
		if f == nil {
			continue // nothing will run
		}
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			closeAll(hosts)
			return nil, fmt.Errorf("taking %s for the process: %w", name, err)
		}
		hosts[name] = os.NewFile(uintptr(fd), string(name))
	}
	return hosts, nil
}

func closeAll(files map[program.Host]*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// fetchConsole takes the terminal's master out of the child, which waits at a gate: pidfd_getfd(2).
func fetchConsole(pidfd *os.File) (*os.File, error) {
	fd, err := unix.PidfdGetfd(int(pidfd.Fd()), rootfs.Console, 0)
	if err != nil {
		return nil, fmt.Errorf("fetching the terminal's master from the container's process: pidfd_getfd: %w", err)
	}
	return os.NewFile(uintptr(fd), "console"), nil
}

// Leave lets a container with a listener wait there for who starts it. This process has nothing more to do with it.
func (c *Container) Leave() error { return c.process.Pass() }

// Start opens the last gate and returns when execve has happened. A failure (no such file, no permission) is a
// *program.Failure; then the container is destroyed.
func (c *Container) Start() error {
	err := c.hook(StartContainer)
	if err == nil && c.passing != nil {
		err = c.passing()
	}
	if err == nil {
		err = c.process.Pass()
	}
	if err == nil {
		err = answered(c.process, c.notify)
	}
	if err != nil {
		return c.abandon(err)
	}
	return c.hook(Poststart)
}

// hook runs the hooks of a kind.
func (c *Container) hook(kind HookKind) error {
	if !c.hooks.any(kind) {
		return nil
	}
	c.hooks.Pid, c.hooks.Pidfd = c.Pid, c.Pidfd
	return c.hooks.run(kind, c.warn, func(r program.Request, err error) { c.noteIn(moments[kind].phase, r, err) })
}

// executed picks the failure to report when no candidate of PATH could be executed: a file that was found but not permitted
// says more than the last directory's "no such file", execvp(3).
func executed(err error, p *program.Process) error {
	var f *program.Failure
	if !errors.As(err, &f) || f.Step.Call != unix.SYS_EXECVE {
		return err
	}
	for _, r := range p.Ran() {
		if r.Result == -int64(unix.EACCES) && f.Errno == unix.ENOENT {
			f.Errno = unix.EACCES
		}
	}
	return err
}

// Console is the master side of the container's terminal, nil where process.terminal is false.
func (c *Container) Console() *os.File { return c.console }

// Facts are what the plan was compiled from, beside config.json.
func (c *Container) Facts() Facts { return c.facts }

// Group is the container's cgroup.
func (c *Container) Group() cgroups.Group { return c.group }

// Wait reaps PID 1 and returns how it ended. Nobody else may reap it.
func (c *Container) Wait() (syscall.WaitStatus, error) {
	if c.reaped {
		return c.status, nil
	}
	if c.process == nil {
		return 0, errors.New("waiting for the container: it was adopted, and is not our child")
	}
	status, err := wait(c.Pid)
	if err == nil {
		c.reaped, c.status = true, status
	}
	return status, err
}

func wait(pid int) (syscall.WaitStatus, error) {
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(pid, &status, syscall.WALL, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("waiting for process %d: %w", pid, err)
		}
		return status, nil
	}
}

// abandon ends a start that failed: the child dies, what the host did is taken back, the cgroup is removed. The error it
// returns is the one it was given, with the account if that was asked for.
func (c *Container) abandon(err error) error {
	if c.plan != nil {
		c.plan.shift.Leave()
		closeAll(c.plan.taken)
	}
	if c.process != nil && !c.reaped {
		c.process.Kill()
		c.reaped = true
		err = executed(err, c.process)
	}
	for i := len(c.undo) - 1; i >= 0; i-- {
		c.undo[i]() //nolint:errcheck // the failure that led here is the one to report
	}
	c.undo = nil
	if !c.explain {
		return err
	}
	return &Unfinished{Err: err, Account: c.Account()}
}

// Unfinished is a start or exec that failed, with what had been asked of the kernel until then (Options.Explain).
type Unfinished struct {
	Err     error
	Account []program.Account
}

func (u *Unfinished) Error() string { return u.Err.Error() }

func (u *Unfinished) Unwrap() error { return u.Err }

// Destroy kills whatever is left in the container and removes its cgroup. It is safe to call twice.
func (c *Container) Destroy() error {
	if c.group.Path == "" {
		if c.process != nil && !c.reaped {
			c.process.Kill()
			c.reaped = true
		}
		return nil
	}
	if err := c.group.Kill(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if c.process != nil && !c.reaped {
		if _, err := c.Wait(); err != nil {
			return err
		}
	}
	return c.group.Remove()
}

// Rules are what further processes need: Adopt takes them.
func (c *Container) Rules() Rules { return c.rules }

// Adopt makes a Container of a running one whose creator is gone, from its PID 1 and its rules. Wait is not
// possible on it (it is not our child); Pidfd becomes readable when it ends.
func Adopt(rules Rules, pid int, o Options) (*Container, error) {
	group, err := o.Group, error(nil)
	if group.Path == "" && !o.NoGroup {
		if group, err = groupOf(pid); err != nil {
			return nil, err
		}
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("adopting process %d: %w", pid, err)
	}
	return &Container{
		Pid: pid, Pidfd: os.NewFile(uintptr(fd), "pidfd"), rules: rules, group: group, known: o.State, explain: o.Explain, warn: o.Warn, began: time.Now(),
	}, nil
}

func groupOf(pid int) (cgroups.Group, error) {
	facts, err := cgroups.Observe(nil)
	if err != nil {
		return cgroups.Group{}, err
	}
	return facts.Of(pid)
}
