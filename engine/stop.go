package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"glassbox/cgroups"
	"glassbox/linux"
	"glassbox/monitor"
	"glassbox/program"

	"golang.org/x/sys/unix"
)

const sigkill = unix.SIGKILL

// defaultGrace is how long `stop` waits before SIGKILL.
const defaultGrace = 10

// StopOptions: nil fields mean the container's own or Docker's default (SIGTERM, 10 seconds). A timeout of -1 waits for ever.
type StopOptions struct {
	Signal  string
	Timeout *int
	// Warn is told beforehand that PID 1 will not hear of the signal, so that the whole grace period will pass, negative if it has no end; may be
	// nil.
	Warn func(message string, grace time.Duration)
	// Told is given what was asked of the kernel, phase by phase, also when that failed; may be nil.
	Told func([]program.Account)
}

// Stop asks a container to end, waits for the grace period, and then ends it. Stopping one that has stopped is no error.
func (c *Containers) Stop(ctx context.Context, id string, o StopOptions) error {
	r, err := c.load(id)
	if err != nil {
		return err
	}
	if err := c.stop(ctx, r, o, "stop", stopPhases()); err != nil {
		return prefixed("cannot stop container: "+id, err)
	}
	return nil
}

func stopPhases() []string { return []string{phaseSignal, phaseGrace, phaseKill, phaseUnplug} }

// stop is Stop by a verb whose requests come in these phases.
func (c *Containers) stop(ctx context.Context, r *record, o StopOptions, by string, phases []string) error {
	s, err := c.state(r)
	if err == nil && !s.Running {
		_, err = c.breakOff(ctx, r.place)
		return err
	}
	if err != nil {
		return err
	}
	sig, seconds, err := r.farewell(o)
	if err != nil {
		return err
	}
	if o.Warn != nil && sig != sigkill && seconds != 0 && !s.Restarting {
		if m := ignored(s.Pid, sig, seconds); m != "" {
			o.Warn(m, time.Duration(seconds)*time.Second)
		}
	}
	e := c.newEnding(ctx, r, by, phases)
	err = c.end(ctx, r, s, goodbye{sig, seconds}, e)
	if noted := e.over(o.Told); err == nil {
		err = noted
	}
	if err == nil {
		c.tell(r, "stop")
	}
	return err
}

// goodbye is how a container is ended.
type goodbye struct {
	sig     unix.Signal
	seconds int // until SIGKILL; negative: it does not come
}

// end ends a container that runs: the signal, the grace period, SIGKILL; then it is taken off its networks.
func (c *Containers) end(ctx context.Context, r *record, s state, g goodbye, e *ending) error {
	relief := c.relieve(r)
	defer relief.close()
	e.in(phaseSignal, g.foreword(s))
	if err := c.send(r, s, g.sig, e); err != nil {
		return err
	}
	over, err := c.grace(ctx, r, g, e)
	if err == nil && over && r.ends(g.sig) {
		err = c.quell(r)
	}
	switch {
	case err != nil:
		return err
	case over:
		return c.ended(ctx, r, relief, e)
	case g.seconds >= 0:
		return c.killed(ctx, r, s, relief, e)
	}
	return ctx.Err()
}

// foreword says what is to be expected of the signal.
func (g goodbye) foreword(s state) string {
	if m := ignored(s.Pid, g.sig, g.seconds); m != "" && g.sig != sigkill {
		return m + "."
	}
	return "The container is told to end; its program may put its things away first."
}

// grace waits for the container's end, and for its monitor's word. It is not over when the time is.
func (c *Containers) grace(ctx context.Context, r *record, g goodbye, e *ending) (over bool, err error) {
	began, limited := time.Now(), ctx
	if e.pidfd != nil {
		stage := e.in(phaseGrace, "")
		over, err := e.wait(ctx, g.seconds, " --timeout", "the grace period: the pidfd becomes readable when the process has ended")
		took := time.Since(began).Round(time.Millisecond)
		if stage.why = fmt.Sprintf("It ended after %v.", took); !over {
			stage.why = fmt.Sprintf("It did not end in the %v that it was given.", took)
		}
		if err != nil || !over {
			return false, err
		}
	} else if g.seconds >= 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, time.Duration(g.seconds)*time.Second)
		defer cancel()
	}
	_, err = c.await(limited, r)
	if ctx.Err() == nil && limited.Err() != nil {
		return false, nil
	}
	return err == nil, err
}

// farewell is the signal and the grace period.
func (r *record) farewell(o StopOptions) (unix.Signal, int, error) {
	name := either(o.Signal, either(r.Config.StopSignal, "SIGTERM"))
	seconds := defaultGrace
	if r.Config.StopTimeout != nil {
		seconds = *r.Config.StopTimeout
	}
	if o.Timeout != nil {
		seconds = *o.Timeout
	}
	sig, err := parseSignal(name)
	return sig, seconds, err
}

// signal sends to PID 1 through a pidfd, after checking that the number still means the same process. A frozen
// container that is told to stop is thawed, or it could not obey.
func (c *Containers) signal(r *record, s state, sig unix.Signal, e *ending) error {
	pidfd, err := e.open(s.Pid)
	if err != nil || pidfd == nil || !s.Alive() {
		return err
	}
	c.tellSignal(r, s.Pid, sig) // beforehand: the container's end is told by its monitor
	if err := e.signal(sig, farewellWhy(sig)); err != nil {
		return fmt.Errorf("sending %s to process %d: %w", linux.Signal(int(sig)), s.Pid, err)
	}
	if !s.Paused || sig == sigkill || !r.ends(sig) { // SIGKILL ends frozen processes, too
		return nil
	}
	g, err := c.groupOf(r)
	if err != nil {
		return err
	}
	err = e.group(g, "cgroup.freeze", "0", "let its processes go on: the container is paused, and nobody who stands still obeys", func() error { return g.Freeze(false) })
	if err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c.heed(r)
	return nil
}

func farewellWhy(sig unix.Signal) string {
	if sig == sigkill {
		return "end it: nobody can catch or ignore this signal, and with PID 1 the kernel ends all processes of the PID namespace"
	}
	return "ask it to end"
}

// ends: SIGKILL and the stop signal are meant to end the container, and without a stop signal of its own, in Docker, all are.
func (r *record) ends(sig unix.Signal) bool {
	if r.Config.StopSignal == "" || sig == sigkill {
		return true
	}
	stop, err := parseSignal(r.Config.StopSignal)
	return err == nil && stop == sig
}

// kill ends everything in the container and waits for the record of its end.
func (c *Containers) kill(ctx context.Context, r *record, s state, e *ending) error {
	if err := c.send(r, s, sigkill, e); err != nil {
		return err
	}
	// The end of PID 1 is the end of its PID namespace. Without one of its own the group says who belongs to the container.
	if !r.HostConfig.PidMode.IsPrivate() {
		g, err := c.groupOf(r)
		if err != nil {
			return err
		}
		why := "end all other processes of the container: it shares the PID namespace of others, which does not end with its first process"
		if err := e.group(g, "cgroup.kill", "1", why, g.Kill); err != nil {
			return err
		}
	}
	const patience = 12
	if e.pidfd != nil {
		if _, err := e.wait(ctx, patience, "", "until it is gone, and its descriptors and mounts with it"); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience*time.Second)
	defer cancel()
	if _, err := c.await(ctx, r); err != nil {
		return fmt.Errorf("tried to kill container, but did not receive an exit event: %w", err)
	}
	return c.quell(r)
}

// killed is kill, and what is due after a container's end.
func (c *Containers) killed(ctx context.Context, r *record, s state, relief *relief, e *ending) error {
	why := "What did not end by itself is ended."
	if len(e.stages) == 0 {
		why = "The container is ended without being asked."
	}
	e.in(phaseKill, why)
	if err := c.kill(ctx, r, s, e); err != nil {
		return err
	}
	return c.ended(ctx, r, relief, e)
}

// groupOf is the group that was made for the container.
func (c *Containers) groupOf(r *record) (cgroups.Group, error) {
	f, err := c.groups()
	if err != nil {
		return cgroups.Group{}, err
	}
	path, err := f.Path(r.HostConfig.CgroupParent, r.ID)
	if err != nil {
		return cgroups.Group{}, err
	}
	return f.Locate(path)
}

// await waits until the container is not running and returns its exit code.
func (c *Containers) await(ctx context.Context, r *record) (int, error) {
	for {
		client, err := monitor.Dial(r.place.Run)
		if err == nil {
			code, err := client.Wait(ctx, "")
			client.Close()
			if !errors.Is(err, monitor.ErrDead) {
				return code, err
			}
		} else if !errors.Is(err, monitor.ErrDead) && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		s, err := c.state(r)
		if err == nil && s.Status == "" {
			return 0, notFound(r.ID) // removed with its record, by --rm
		}
		if err != nil || !s.Running {
			return s.ExitCode, err
		}
		// It was adopted just now, or it is not our boot's: try again.
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// ignored explains beforehand why a stop will take its time.
func ignored(pid int, sig unix.Signal, seconds int) string {
	why := unheard(pid, sig)
	switch {
	case why == "":
		return ""
	case seconds < 0:
		why += ": this will never end"
	default:
		why += fmt.Sprintf(": this will take %d s, until SIGKILL", seconds)
	}
	return why + ". Cures: exec form, --init, --stop-signal"
}

// unheard says why the process will not hear of a signal; empty: it will. The kernel drops a signal to the PID 1 of a PID namespace that has no
// handler for it, pid_namespaces(7), but for what nobody handles, and SIGCONT, which lets go on whoever ignores it. One that is blocked waits: the
// process may ask for it, as by signalfd(2).
func unheard(pid int, sig unix.Signal) string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return ""
	}
	inner := strings.Fields(statusField(data, "NSpid"))
	if len(inner) < 2 || inner[len(inner)-1] != "1" || sig == sigkill || sig == unix.SIGSTOP || sig == unix.SIGCONT {
		return ""
	}
	name := statusField(data, "Name")
	switch disposition(data, sig) {
	case Ignores:
		return fmt.Sprintf("PID 1 (%s) ignores %s", name, linux.Signal(int(sig)))
	case Default:
		return fmt.Sprintf("PID 1 (%s) has no handler for %s, so the kernel drops it", name, linux.Signal(int(sig)))
	}
	return ""
}

// statusField reads one line of proc_pid_status(5).
func statusField(status []byte, name string) string {
	_, after, _ := strings.Cut("\n"+string(status), "\n"+name+":\t")
	value, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(value)
}

// Restart stops a container, if it runs, and starts it.
func (c *Containers) Restart(ctx context.Context, id string, o StopOptions) error {
	r, err := c.load(id)
	if err != nil {
		return err
	}
	phases := stopPhases()
	if c.Step != nil { // somebody may want to pause in the start only
		starts, err := c.startPhases(r)
		if err != nil {
			return prefixed("Cannot restart container "+id, err)
		}
		phases = append(phases, starts...)
	}
	defer r.promise()()
	kept, err := c.keep(r)
	if err == nil {
		err = errors.Join(c.stop(ctx, r, o, "restart", phases), kept())
	}
	if err != nil {
		return prefixed("Cannot restart container "+id, err)
	}
	if err := c.Start(ctx, r.ID); err != nil {
		return prefixed("Cannot restart container "+id, err)
	}
	c.tell(r, "restart")
	return nil
}

// keep lets a container with --rm outlive its end: whoever restarts it takes the cleanup over from its monitor, and has
// nothing to do. The function returned says so.
func (c *Containers) keep(r *record) (done func() error, err error) {
	nothing := func() error { return nil }
	if !r.passing() {
		return nothing, nil
	}
	client, err := c.reach(context.Background(), r, (*monitor.Client).TakeCleanup)
	if Is(err, Conflict) {
		return nothing, nil // it does not run
	}
	if err != nil {
		return nil, err
	}
	return func() error {
		err := client.Cleaned(monitor.Rest{})
		if errors.Is(err, monitor.ErrDead) {
			err = nil
		}
		return errors.Join(err, client.Close())
	}, nil
}

// KillOptions: an empty signal is SIGKILL.
type KillOptions struct {
	Signal string
	// Warn is told beforehand that PID 1 will not hear of the signal; may be nil.
	Warn func(message string)
	// Told is given what was asked of the kernel, phase by phase, also when that failed; may be nil.
	Told func([]program.Account)
}

// Kill sends a signal; SIGKILL is waited for.
func (c *Containers) Kill(ctx context.Context, id string, o KillOptions) error {
	if err := c.killWith(ctx, id, o); err != nil {
		return prefixed("cannot kill container: "+id, err)
	}
	return nil
}

func (c *Containers) killWith(ctx context.Context, id string, o KillOptions) error {
	sig, err := parseSignal(either(o.Signal, "SIGKILL"))
	if err != nil {
		return err
	}
	r, err := c.load(id)
	if err != nil {
		return err
	}
	s, err := c.state(r)
	switch {
	case err != nil:
		return err
	case !s.Running:
		if was, err := c.breakOff(ctx, r.place); was || err != nil {
			return err
		}
		return notRunning(r.ID)
	}
	e := c.newEnding(ctx, r, "kill", []string{phaseSignal, phaseKill, phaseUnplug})
	if sig == sigkill {
		relief := c.relieve(r)
		defer relief.close()
		err = c.killed(ctx, r, s, relief, e)
	} else {
		why := unheard(s.Pid, sig)
		if why != "" && o.Warn != nil {
			o.Warn(why + ": it goes on. Cures: a handler (trap in a shell), --init; kill without -s ends it")
		}
		if why == "" {
			why = "The signal is sent, and nobody waits for what the program does with it"
		}
		e.in(phaseSignal, why+".")
		err = c.send(r, s, sig, e)
	}
	return errors.Join(err, e.over(o.Told))
}

// Wait returns the exit code when the container is not running.
func (c *Containers) Wait(ctx context.Context, id string) (int, error) {
	r, err := c.load(id)
	if err != nil {
		return 0, err
	}
	s, err := c.state(r)
	if err != nil || !s.Running {
		return s.ExitCode, err
	}
	return c.await(ctx, r)
}
