package runtime

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"glassbox/confine"
	"glassbox/program"
	"glassbox/rootfs"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Process is a further process in a container.
type Process struct {
	Pid   int
	Pidfd *os.File

	process *program.Process
	console *os.File
	phases  []program.Phase
	told    [][]program.Done
	notice  *notice
	cpus    []byte // on which it is born

	warnings []string
	step     *program.Stepping
}

// gateTerminal is where an exec with a terminal waits until the host has fetched its master.
const gateTerminal = "terminal"

// container is the pidfd of the container's PID 1, by which an exec enters its namespaces.
const container program.Host = "container"

// Exec starts p in the container: its namespaces, cgroup, capabilities. It returns when execve has happened, or with
// a *program.Failure. Stdin, Stdout, Stderr, Explain and Step of o are used.
func (c *Container) Exec(p *specs.Process, o Options) (*Process, error) {
	inherited, err := confine.Observe()
	if err != nil {
		return nil, err
	}
	inherited.Keyring = o.Keyring
	joined, err := differing(c.Pid)
	if err != nil {
		return nil, err
	}
	e, err := compileExec(p, c.rules, joined, Facts{Inherited: inherited, Modules: confine.ObserveModules(p), Preserve: o.Preserve})
	if err != nil {
		return nil, err
	}
	o.tell(e.warnings)
	e.step = program.NewStepping(o.Step)
	e.phases = e.step.Plan(e.phases)
	hosts, err := streamFiles(o, p.Terminal)
	if err != nil {
		return nil, err
	}
	if c.rules.Rooted {
		if hosts[root], err = openRoot(c.Pid); err != nil {
			closeAll(hosts)
			return nil, err
		}
	}
	hosts[container] = c.Pidfd
	defer func() {
		delete(hosts, container)
		closeAll(hosts)
	}()
	if err := e.start(c, p, o, hosts); err != nil {
		return nil, e.abandon(err, o.Explain)
	}
	e.Pid, e.Pidfd = e.process.Pid, e.process.Pidfd
	return e, nil
}

// CompileExec compiles what an exec's child does: enter the namespaces in joined (CLONE_NEW* flags), then the same end as every start,
// with the container's rules.
func CompileExec(p *specs.Process, rules Rules, joined uint64, f Facts) ([]program.Phase, error) {
	e, err := compileExec(p, rules, joined, f)
	if err != nil {
		return nil, err
	}
	return e.phases, nil
}

func compileExec(p *specs.Process, rules Rules, joined uint64, f Facts) (*Process, error) {
	p = rules.complete(p)
	if len(p.Args) == 0 || p.Args[0] == "" {
		return nil, errors.New("process.args: empty")
	}
	if joined&unix.CLONE_NEWUSER != 0 {
		f.Inherited = f.Inherited.Mapped()
		f.Inherited.Ungrouped = true // by enter
	}
	end, err := newEnding(p, rules, f)
	if err != nil {
		return nil, err
	}
	b := &phases{}
	birth := b.next("enter", "A process of the host's enters the container.")
	cpus, err := confine.AffinityOf(p.ExecCPUAffinity)
	if err != nil {
		return nil, err
	}
	e := &Process{notice: &notice{filter: rules.Filter}, cpus: cpus.Initial}
	if cpus.Initial != nil {
		f.Inherited.Affinity = false // it is not our parent's, and stays
		birth.Host = append(birth.Host, bindRequest(cpus.Initial))
	}
	birth.Host = append(birth.Host, program.Request{Call: cloneText(0, true), Why: "make a process, born in the container's cgroup"})
	b.Begin()
	enter(&b.Builder, p.OOMScoreAdj, joined, f, &end.label)
	rules.stand(&b.Builder)
	b.next("start", "Rights are given up, then the process becomes the program.")
	if p.Terminal {
		b.From("process.terminal")
		slave := rootfs.Terminal(&b.Builder, p.User.UID)
		b.Gate(gateTerminal, "wait until the host has fetched the terminal's other side")
		b.From("process.terminal")
		rootfs.Control(&b.Builder, slave)
	}
	cpus.Settle(&b.Builder)
	end.listen = e.notice.listen(b)
	if err := end.become(&b.Builder); err != nil {
		return nil, err
	}
	e.phases, e.warnings = b.done(), end.warnings
	return e, nil
}

// enter compiles how a process of the host's comes into the namespaces joined of a container, and there is root.
func enter(b *program.Builder, score *int, joined uint64, f Facts, label *confine.Label) {
	b.Call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0, 0, 0).Why("nobody in the container may trace this process or open its descriptors while it is half outside")
	f.Inherited.OOMScore(b, score)
	proc := label.Hold(b)
	b.From("")
	if joined&unix.CLONE_NEWUSER != 0 {
		f.Inherited.Ungroup(b)
	}
	if joined != 0 { // setns(2) refuses to change nothing
		b.Call(unix.SYS_SETNS, container, int(joined)).Why("enter the container's namespaces, all at once, by its PID 1's pidfd")
	}
	if joined&(unix.CLONE_NEWPID|unix.CLONE_NEWTIME) != 0 {
		b.Fork("only a child is in the PID namespace: make it; this process ends")
	}
	label.Open(b, proc)
	f.Inherited.Reset(b)
	if joined&unix.CLONE_NEWUSER != 0 {
		b.Call(unix.SYS_SETRESGID, 0, 0, 0).Why("be the namespace's group 0")
		b.Call(unix.SYS_SETRESUID, 0, 0, 0).Why("be the namespace's root")
	}
}

// start makes the child. A group with children of its own takes no processes (cgroups(7), no internal processes): then the exec
// goes where PID 1 is.
func (e *Process) start(c *Container, p *specs.Process, o Options, hosts map[program.Host]*os.File) error {
	began := time.Now()
	group, err := c.group.OpenFor(c.Pid)
	if err != nil {
		return fmt.Errorf("opening the container's cgroup: %w", err)
	}
	if group != nil {
		defer group.Close()
	}
	note := func(r program.Request, err error) {
		if o.Explain {
			e.told[len(e.told)-1] = append(e.told[len(e.told)-1], r.Done(err, time.Since(began)))
		}
	}
	e.told = append(e.told, nil)
	if err := e.bear(program.Clone{Cgroup: group}, o, hosts, note); err != nil {
		return err
	}
	if p.Terminal {
		if err := e.process.Reach(gateTerminal); err != nil {
			return err
		}
		if e.console, err = fetchConsole(e.process.Pidfd); err != nil {
			return err
		}
		if err := setSize(e.console, p.ConsoleSize); err != nil {
			return err
		}
		if err := e.process.Pass(); err != nil {
			return err
		}
	}
	return answered(e.process, func() error {
		e.told = append(e.told, nil, nil) // start, notify
		return e.notify(e.notice, c.state(specs.StateRunning), note)
	})
}

// bear makes the child, on its first processors if it is to have some.
func (e *Process) bear(how program.Clone, o Options, hosts map[program.Host]*os.File, note func(program.Request, error)) (err error) {
	birth := e.phases[0].Host
	e.step.In(e.phases[0].Name)
	if e.cpus != nil {
		if _, err := e.step.Before(birth[0], 1, len(birth), "the process is to be born there"); err != nil {
			return err
		}
		back, err := bind(e.cpus)
		note(birth[0], err)
		e.step.After(birth[0], err)
		if err != nil {
			return &program.HostFailure{Request: birth[0], Err: err}
		}
		defer back()
	}
	r := birth[len(birth)-1]
	if err := e.step.Birth(r, len(birth), "without a process there is nobody to enter"); err != nil {
		return err
	}
	e.process, err = program.Start(program.Whole(e.phases), how, hosts, o.Explain)
	if err == nil {
		r.Gives = strconv.Itoa(e.process.Pid)
	}
	note(r, err)
	if err == nil {
		e.step.After(r, nil)
		e.step.Watch(e.process)
	}
	return err
}

// setSize gives a terminal its size while the program cannot look at it yet: later it would be told of a change (SIGWINCH), and a
// shell would print its prompt again.
func setSize(console *os.File, size *specs.Box) error {
	if size == nil {
		return nil
	}
	err := unix.IoctlSetWinsize(int(console.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(size.Height), Col: uint16(size.Width)})
	return os.NewSyscallError("ioctl(TIOCSWINSZ)", err)
}

func (e *Process) abandon(err error, explain bool) error {
	if e.console != nil {
		e.console.Close()
	}
	if e.process == nil {
		return err
	}
	e.process.Kill()
	e.process.Pidfd.Close()
	err = executed(err, e.process)
	if !explain {
		return err
	}
	return &Unfinished{Err: err, Account: e.Account()}
}

// Console is the master side of the process's terminal, nil where it has none.
func (e *Process) Console() *os.File { return e.console }

// Account is what was asked of the kernel.
func (e *Process) Account() []program.Account {
	return program.Live(e.phases, e.told, e.process.Ran(), e.process.Numbers())
}

// Wait reaps the process and returns how it ended.
func (e *Process) Wait() (syscall.WaitStatus, error) { return wait(e.Pid) }
