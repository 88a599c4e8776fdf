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

	"golang.org/x/sys/unix"
)

const sigkill = unix.SIGKILL

// defaultGrace is how long `stop` waits before SIGKILL.
const defaultGrace = 10

// StopOptions: nil fields mean the container's own or Docker's default (SIGTERM, 10 seconds). A timeout of -1 waits for ever.
type StopOptions struct {
	Signal  string
	Timeout *int
	// Warn is told beforehand that PID 1 has no handler for the signal, so that the whole grace period will pass; may be nil.
	Warn func(message string)
}

// Stop asks a container to end, waits for the grace period, and then ends it. Stopping one that has stopped is no error.
func (c *Containers) Stop(ctx context.Context, id string, o StopOptions) error {
	r, err := c.load(id)
	if err != nil {
		return err
	}
	if err := c.stop(ctx, r, o); err != nil {
		return prefixed("cannot stop container: "+id, err)
	}
	return nil
}

func (c *Containers) stop(ctx context.Context, r *record, o StopOptions) error {
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
			o.Warn(m)
		}
	}
	relief := c.relieve(r)
	defer relief.close()
	if err := c.send(r, s, sig); err != nil {
		return err
	}
	grace := ctx
	if seconds >= 0 {
		var cancel context.CancelFunc
		grace, cancel = context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
		defer cancel()
	}
	_, err = c.await(grace, r)
	if err == nil && r.ends(sig) {
		err = c.quell(r)
	}
	switch {
	case err == nil:
		err = c.ended(ctx, r, relief)
	case ctx.Err() == nil && seconds >= 0:
		err = c.killed(ctx, r, s, relief)
	}
	if err == nil {
		c.tell(r, "stop")
	}
	return err
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
func (c *Containers) signal(r *record, s state, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(s.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	if !s.Alive() {
		return nil
	}
	c.tellSignal(r, s.Pid, sig) // beforehand: the container's end is told by its monitor
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("sending %s to process %d: %w", linux.Signal(int(sig)), s.Pid, err)
	}
	if !s.Paused || !r.ends(sig) {
		return nil
	}
	g, err := c.groupOf(r)
	if err != nil {
		return err
	}
	// SIGKILL ends frozen processes, too: their group may be gone by now.
	if err := g.Freeze(false); err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c.heed(r)
	return nil
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
func (c *Containers) kill(ctx context.Context, r *record, s state) error {
	if err := c.send(r, s, sigkill); err != nil {
		return err
	}
	// The end of PID 1 is the end of its PID namespace. Without one of its own the group says who belongs to the container.
	if !r.HostConfig.PidMode.IsPrivate() {
		g, err := c.groupOf(r)
		if err != nil {
			return err
		}
		if err := g.Kill(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 12*time.Second)
	defer cancel()
	if _, err := c.await(ctx, r); err != nil {
		return fmt.Errorf("tried to kill container, but did not receive an exit event: %w", err)
	}
	return c.quell(r)
}

// killed is kill, and what is due after a container's end.
func (c *Containers) killed(ctx context.Context, r *record, s state, relief *relief) error {
	if err := c.kill(ctx, r, s); err != nil {
		return err
	}
	return c.ended(ctx, r, relief)
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

// ignored explains beforehand why a stop will take its time: the kernel drops a signal to the PID 1 of a PID namespace that
// has no handler for it, pid_namespaces(7).
func ignored(pid int, sig unix.Signal, seconds int) string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return ""
	}
	field := func(name string) string { return statusField(data, name) }
	caught, err := strconv.ParseUint(field("SigCgt"), 16, 64)
	inner := strings.Fields(field("NSpid"))
	if err != nil || caught&(1<<(sig-1)) != 0 || len(inner) < 2 || inner[len(inner)-1] != "1" {
		return ""
	}
	end := fmt.Sprintf("this will take %d s, until SIGKILL", seconds)
	if seconds < 0 {
		end = "this will never end"
	}
	return fmt.Sprintf("PID 1 (%s) has no handler for %s, so the kernel drops it: %s. Cures: exec form, --init, --stop-signal", field("Name"), linux.Signal(int(sig)), end)
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
	defer r.promise()()
	kept, err := c.keep(r)
	if err == nil {
		err = errors.Join(c.stop(ctx, r, o), kept())
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

// Kill sends a signal; SIGKILL, the default, is waited for.
func (c *Containers) Kill(id, signal string) error {
	if err := c.killWith(id, either(signal, "SIGKILL")); err != nil {
		return prefixed("cannot kill container: "+id, err)
	}
	return nil
}

func (c *Containers) killWith(id, signal string) error {
	sig, err := parseSignal(signal)
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
		if was, err := c.breakOff(context.Background(), r.place); was || err != nil {
			return err
		}
		return notRunning(r.ID)
	case sig == sigkill:
		relief := c.relieve(r)
		defer relief.close()
		return c.killed(context.Background(), r, s, relief)
	}
	return c.send(r, s, sig)
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
