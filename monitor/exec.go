package monitor

import (
	"errors"
	"os"

	"glassbox/program"
	"glassbox/runtime"
	"glassbox/store"

	"golang.org/x/sys/unix"
)

// exec starts a further process. It is ours to reap and to read, so whoever asked for it can go away.
func (m *monitor) exec(spec *ExecSpec) (*process, []program.Account, error) {
	p, o, err := m.furnish(spec)
	if err != nil {
		return nil, nil, err
	}
	c, err := m.enter(p, spec, o)
	return p, accountOf(c), err
}

// enter lets a process that has its streams execute.
func (m *monitor) enter(p *process, spec *ExecSpec, o runtime.Options) (child, error) {
	c, err := m.fork(spec, o)
	return m.take(p, o, c, err)
}

// furnish makes a process's streams.
func (m *monitor) furnish(spec *ExecSpec) (*process, runtime.Options, error) {
	o := runtime.Options{Dir: m.dir, Explain: spec.Explain}
	if err := m.runs(); err != nil {
		return nil, o, err
	}
	if !m.started || m.main().ended {
		return nil, o, errNotRunning
	}
	if len(spec.Process.Args) == 0 {
		return nil, o, errors.New("exec of what? process.args is empty")
	}
	p := &process{m: m, id: spec.ID, pidfd: -1, console: -1}
	if p.id == "" {
		p.id = store.NewID()
	}
	if err := m.pipes(p, spec, &o); err != nil {
		closeAll(o.Stdin, o.Stdout, o.Stderr)
		p.close()
		return nil, o, err
	}
	return p, o, nil
}

// take takes a process in that has its streams and executes, or did not come to that.
func (m *monitor) take(p *process, o runtime.Options, c child, err error) (child, error) {
	closeAll(o.Stdin, o.Stdout, o.Stderr)
	if err != nil {
		p.close()
		return nil, err
	}
	if err := m.hold(p, c); err != nil {
		p.signal(unix.SIGKILL) // it may be gone already
		_, waitErr := c.Wait()
		p.close()
		return nil, errors.Join(err, waitErr)
	}
	m.processes = append(m.processes, p)
	return c, nil
}

func (m *monitor) fork(spec *ExecSpec, o runtime.Options) (child, error) {
	m.grown = true
	c, err := m.runtime()
	if err != nil {
		return nil, err
	}
	return c.exec(&spec.Process, o)
}

// pipes makes an exec's standard streams, unless it has a terminal. They are owned by its user, for /dev/stdout.
func (m *monitor) pipes(p *process, spec *ExecSpec, o *runtime.Options) (err error) {
	if spec.Process.Terminal {
		return nil
	}
	uid, gid, err := m.execOwner(spec)
	if err != nil {
		return err
	}
	if o.Stdin, err = execInput(p, spec, uid, gid); err != nil {
		return err
	}
	if o.Stdout, err = execOutput(p, spec, Stdout, uid, gid); err != nil {
		return err
	}
	o.Stderr, err = execOutput(p, spec, Stderr, uid, gid)
	return err
}

// execOwner is the exec's user as the host sees it.
func (m *monitor) execOwner(spec *ExecSpec) (uid, gid int, err error) {
	c, err := m.runtime()
	if err != nil {
		return 0, 0, err
	}
	rules := c.Rules()
	uid, gid = hostOwner(spec.Process.User, rules.UIDMappings, rules.GIDMappings)
	return uid, gid, nil
}

func execInput(p *process, spec *ExecSpec, uid, gid int) (*os.File, error) {
	if !spec.Stdin || spec.Detach {
		return os.Open(os.DevNull)
	}
	r, w, err := pipe(uid, gid)
	if err != nil {
		return nil, err
	}
	p.in = &input{fd: w}
	return os.NewFile(uintptr(r), "stdin"), unix.SetNonblock(w, true)
}

func execOutput(p *process, spec *ExecSpec, kind byte, uid, gid int) (*os.File, error) {
	if spec.Detach {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	r, w, err := pipe(uid, gid)
	if err != nil {
		return nil, err
	}
	p.outputs = append(p.outputs, &output{p: p, kind: kind, fd: r})
	return os.NewFile(uintptr(w), "output"), unix.SetNonblock(r, true)
}

func pipe(uid, gid int) (r, w int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, os.NewSyscallError("pipe2", err)
	}
	if err := unix.Fchown(fds[0], uid, gid); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return -1, -1, os.NewSyscallError("fchown", err)
	}
	return fds[0], fds[1], nil
}
