package monitor

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"glassbox/cgroups"
	"glassbox/program"
	"glassbox/runtime"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// plainStarter stands in for package runtime: a container is a process without namespaces, behind a gate made of a pipe.
// Everything around it is real: the monitor is a process of its own, started by Spawn.
type plainStarter struct{}

type plainContainer struct {
	plainProcess
	gate *os.File
	args []string
}

type plainProcess struct {
	pid     int
	pidfd   *os.File
	console *os.File
}

const gateScript = `IFS= read -r go <&3 || exit 99; exec 3<&-; exec "$@"`

func (plainStarter) create(spec *specs.Spec, o runtime.Options) (container, error) {
	if spec.Hostname == "refused" {
		return nil, &program.Failure{Index: 7, Step: program.Step{From: "mounts[3]", Why: "mount it"}, Errno: unix.EPERM, Call: "mount(...)"}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	argv := append([]string{"sh", "-c", gateScript, "sh"}, spec.Process.Args...)
	p, err := spawnPlain("/bin/sh", argv, spec.Process, o, r)
	if err != nil {
		return nil, err
	}
	if o.Born != nil {
		o.Born(p.pid)
	}
	return &plainContainer{plainProcess: *p, gate: w, args: spec.Process.Args}, nil
}

func spawnPlain(path string, argv []string, p *specs.Process, o runtime.Options, gate *os.File) (*plainProcess, error) {
	var pidfd int
	attr := &syscall.ProcAttr{Env: append(os.Environ(), p.Env...), Sys: &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd}}
	proc := &plainProcess{}
	if p.Terminal {
		master, slave, err := openTerminal()
		if err != nil {
			return nil, err
		}
		defer slave.Close()
		proc.console = master
		o.Stdin, o.Stdout, o.Stderr = slave, slave, slave
		attr.Sys.Setctty = true
	}
	attr.Files = []uintptr{o.Stdin.Fd(), o.Stdout.Fd(), o.Stderr.Fd()}
	if gate != nil {
		attr.Files = append(attr.Files, gate.Fd())
	}
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return nil, &program.Failure{Step: program.Step{From: "process.args", Why: "become it"}, Errno: unix.Errno(err.(syscall.Errno)), Call: "execve(...)"}
	}
	proc.pid, proc.pidfd = pid, os.NewFile(uintptr(pidfd), "pidfd")
	return proc, nil
}

func (plainStarter) adopt(rules runtime.Rules, pid int, o runtime.Options) (container, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	return &plainContainer{plainProcess: plainProcess{pid: pid, pidfd: os.NewFile(uintptr(fd), "pidfd")}, args: rules.Process.Args}, nil
}

func (c *plainContainer) Start() error {
	if _, err := exec.LookPath(c.args[0]); err != nil {
		c.gate.Close()
		c.Wait()
		return &program.Failure{Index: 99, Step: program.Step{From: "process.args", Why: "become it"}, Errno: unix.ENOENT, Call: "execve(...)"}
	}
	_, err := c.gate.WriteString("go\n")
	return errors.Join(err, c.gate.Close())
}

// Destroy ends what is left of the process's session leader's group; a process that made a session of its own survives.
func (c *plainContainer) Destroy() error {
	unix.Kill(-c.pid, unix.SIGKILL)
	return nil
}

func (c *plainContainer) Rules() runtime.Rules {
	return runtime.Rules{Process: &specs.Process{Args: c.args}}
}

func (c *plainContainer) Group() cgroups.Group { return cgroups.Group{} }

func (c *plainContainer) exec(p *specs.Process, o runtime.Options) (child, error) {
	path, err := exec.LookPath(p.Args[0])
	if err != nil {
		return nil, &program.Failure{Step: program.Step{From: "process.args", Why: "become it"}, Errno: unix.ENOENT, Call: "execve(...)"}
	}
	proc, err := spawnPlain(path, p.Args, p, o, nil)
	if err != nil {
		return nil, err
	}
	return proc, nil
}

func (p *plainProcess) pids() (int, *os.File)      { return p.pid, p.pidfd }
func (p *plainProcess) Console() *os.File          { return p.console }
func (p *plainProcess) Account() []program.Account { return []program.Account{{Phase: "plain"}} }

func (p *plainProcess) Wait() (s syscall.WaitStatus, err error) {
	for {
		_, err = syscall.Wait4(p.pid, &s, 0, nil)
		if err != syscall.EINTR {
			return s, err
		}
	}
}

// openTerminal is pty(7) by hand.
func openTerminal() (master, slave *os.File, err error) {
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(m, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	s, err := unix.Open("/dev/pts/"+strconv.Itoa(n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(m), "ptmx"), os.NewFile(uintptr(s), "pts"), nil
}
