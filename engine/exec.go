package engine

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"glassbox/monitor"
	"glassbox/program"
	"glassbox/store"

	"github.com/docker/docker/api/types/container"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// ExecOptions is container.ExecOptions and what only glassbox has.
type ExecOptions struct {
	container.ExecOptions
	Explain bool
}

// Exec starts a further process. With Detach it returns a nil Attachment once the process has been executed.
func (c *Containers) Exec(ctx context.Context, id string, o ExecOptions, s Streams) (Attachment, []program.Account, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, nil, err
	}
	now, err := c.state(r)
	switch {
	case err != nil:
		return nil, nil, err
	case now.Paused:
		return nil, nil, conflict("Container %s is paused, unpause the container before exec", id)
	case !now.Running:
		return nil, nil, notRunning(r.ID)
	case now.Restarting:
		return nil, nil, restarting(r.ID)
	case len(o.Cmd) == 0:
		return nil, nil, invalid("No exec command specified")
	}
	inside := live{now.Pid}
	if err := r.rememberLinks(); err != nil {
		return nil, nil, err
	}
	p, err := r.execProcess(o, inside)
	if err == nil {
		err = c.arm(p.ApparmorProfile)
	}
	if err != nil {
		return nil, nil, now.explain(r, err)
	}
	select { // the size comes with the terminal: afterwards the process may have ended already
	case size := <-s.Resize:
		p.ConsoleSize = &specs.Box{Height: uint(size.Rows), Width: uint(size.Cols)}
	default:
	}
	id, line := store.NewID(), o.Cmd[0]+" "+strings.Join(o.Cmd[1:], " ")
	c.tellAll(r.event("exec_create: "+line, "execID", id), r.event("exec_start: "+line, "execID", id))
	var stream *monitor.Stream
	client, err := c.reach(ctx, r, func(client *monitor.Client) (err error) {
		stream, err = client.Exec(monitor.ExecSpec{ID: id, Process: *p, Stdin: o.AttachStdin && !o.Detach, Detach: o.Detach, Explain: o.Explain, Step: c.Step != nil}, c.Step)
		if errors.Is(err, monitor.ErrDead) && !errors.Is(err, monitor.ErrUnheard) {
			return errors.New("the container's monitor was killed while it started the command, which may run or not")
		}
		return err
	})
	if err != nil {
		if c.Step != nil {
			awaitEnd(now.Pid, time.Second/5)
		}
		return nil, monitor.AccountOf(err), now.explain(r, runError(execFailed, o.Cmd[0], p.Env, inside, err))
	}
	a := &attachment{containers: c, record: r, streams: s, client: client, exec: stream.ID, ends: true}
	a.join(stream)
	if !o.AttachStdin {
		a.streams.In = nil
	}
	if o.Detach {
		return nil, stream.Account, a.Close()
	}
	return a, stream.Account, nil
}

// awaitEnd gives a process a moment to end. A container's first one ends last, when what waited at a stop in its PID namespace has been reaped.
func awaitEnd(pid int, patience time.Duration) {
	pidfd, err := openPidfd(pid)
	if err != nil {
		return
	}
	defer pidfd.Close()
	unix.Poll([]unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}}, int(patience.Milliseconds())) //nolint:errcheck // then it is not waited for
}

// explain a failure by the container's end, if it has ended since it was looked at: nothing else is the matter then.
func (s state) explain(r *record, err error) error {
	if s.Alive() {
		return err
	}
	return notRunning(r.ID)
}

// execProcess is what the new process is: as the container's first one, but for what was asked.
func (r *record) execProcess(o ExecOptions, f files) (*specs.Process, error) {
	h := r.HostConfig
	caps, err := granted(h.CapAdd, h.CapDrop, h.Privileged || o.Privileged)
	if err != nil {
		return nil, err
	}
	sec, err := parseSecurity(h.SecurityOpt)
	if err != nil {
		return nil, err
	}
	label, err := r.labels(sec)
	if err != nil {
		return nil, err
	}
	who, err := lookupUser(f, either(o.User, r.Config.User), h.GroupAdd)
	if err != nil {
		return nil, err
	}
	cwd := either(o.WorkingDir, either(r.Config.WorkingDir, "/"))
	if !path.IsAbs(cwd) {
		return nil, invalid("%sCwd must be an absolute path: unknown", "OCI runtime exec failed: exec failed: ")
	}
	score := h.OomScoreAdj
	p := &specs.Process{
		Args: o.Cmd, Cwd: cwd, Terminal: o.Tty, User: who.User, Env: withHome(replaceEnv(environment(r, o.Tty), o.Env), who.Home),
		Capabilities: &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
		OOMScoreAdj:  &score, NoNewPrivileges: sec.noNewPrivileges, Rlimits: rlimits(r),
		ApparmorProfile: r.profile(sec), SelinuxLabel: label.process,
	}
	if o.Tty && o.ConsoleSize != nil {
		p.ConsoleSize = &specs.Box{Height: o.ConsoleSize[0], Width: o.ConsoleSize[1]}
	}
	return p, nil
}
