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

	// Born is called when the container's process is in its namespaces, and its file tree is still to be made; may be nil.
	Born func(pid int)
}

// Container is a container from its `created` gate to the end of its PID 1, held by the process that created it.
type Container struct {
	Pid   int      // of PID 1, in the host's PID namespace
	Pidfd *os.File // refers to it however often the number is reused

	spec    *specs.Spec
	plan    *Plan
	group   cgroups.Group
	process *program.Process
	console *os.File
	explain bool
	began   time.Time
	told    [][]program.Done // the host's requests, by phase
	undo    []func() error
	reaped  bool
	status  syscall.WaitStatus
}

// Create carries out the plan up to the gate `created`: namespaces, cgroup and file tree exist, and the
// container's process waits to be let on. After a failure nothing is left: no process, cgroup or mount.
// A failing step comes back as a *program.Failure, a failing request of the host as a *program.HostFailure.
func Create(spec *specs.Spec, o Options) (*Container, error) {
	facts, err := Observe(spec, o.Dir)
	if err != nil {
		return nil, err
	}
	plan, err := Compile(spec, o.Layers, facts)
	if err != nil {
		return nil, err
	}
	c := &Container{spec: spec, plan: plan, group: plan.Group, explain: o.Explain, began: time.Now()}
	if err := c.create(o); err != nil {
		return nil, c.abandon(err)
	}
	return c, nil
}

// create goes through the phases: the host's requests, then the child's steps up to the next gate.
func (c *Container) create(o Options) error {
	for i, phase := range c.plan.Phases {
		c.told = append(c.told, nil)
		if phase.Name == "namespaces" {
			birth := len(phase.Host) - 1
			if err := c.carry(phase.Host[:birth]); err != nil {
				return err
			}
			if err := c.bear(o, phase.Host[birth]); err != nil {
				return err
			}
			continue
		}
		if err := c.carry(phase.Host); err != nil {
			return err
		}
		if phase.Name == "ids" {
			c.plan.shift.Leave()
			if err := c.process.Pass(); err != nil {
				return err
			}
		}
		if gate := gateOf(c.plan.Phases[i].Child); gate != "" && gate != gateMapped {
			break
		}
	}
	if err := c.process.Reach(gateCreated); err != nil {
		return err
	}
	c.Pid, c.Pidfd = c.process.Pid, c.process.Pidfd
	if c.spec.Process.Terminal {
		var err error
		if c.console, err = fetchConsole(c.Pidfd); err != nil {
			return err
		}
	}
	return nil
}

// gateOf is the gate at the end of a phase's steps.
func gateOf(p program.Program) string {
	if len(p) == 0 {
		return ""
	}
	return p[len(p)-1].Gate
}

// bear makes the child and, where it needs id maps, waits until it needs them.
func (c *Container) bear(o Options, r program.Request) error {
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
	c.process, err = program.Start(program.Whole(c.plan.Phases), program.Clone{Flags: c.plan.set.Clone(), Cgroup: group}, hosts, c.explain)
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
	*c.plan.child = c.process.Pid
	if o.Born != nil {
		o.Born(c.process.Pid)
	}
	if c.plan.set.New&unix.CLONE_NEWUSER != 0 {
		return c.process.Reach(gateMapped)
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

// Start opens the last gate and returns when execve has happened. A failure (no such file, no permission) is a
// *program.Failure; then the container is destroyed.
func (c *Container) Start() error {
	err := c.process.Pass()
	if err == nil {
		err = c.process.Finish()
	}
	if err != nil {
		return c.abandon(err)
	}
	return nil
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
	c.plan.shift.Leave()
	closeAll(c.plan.taken)
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

// Adopt makes a Container of a running one whose creator died, from its PID 1 and config.json. Wait is not
// possible on it (it is not our child); Pidfd becomes readable when it ends.
func Adopt(spec *specs.Spec, pid int, o Options) (*Container, error) {
	facts, err := cgroups.Observe(nil)
	if err != nil {
		return nil, err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("adopting process %d: %w", pid, err)
	}
	c := &Container{Pid: pid, Pidfd: os.NewFile(uintptr(fd), "pidfd"), spec: spec, explain: o.Explain, began: time.Now()}
	c.group, err = facts.Of(pid)
	if err != nil {
		c.Pidfd.Close()
		return nil, err
	}
	return c, nil
}
