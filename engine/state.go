package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"glassbox/cgroups"
	"glassbox/monitor"
	"glassbox/store"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// state is what became of a container, checked against the kernel: the monitor's word, and whether it still holds.
type state struct {
	monitor.State
	Running    bool // or restarting, as Docker has it
	Paused     bool
	Restarting bool // Pid is 0 then
}

// bootID tells a state of this boot from one of before.
func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(b[:max(0, len(b)-1)]), err
}

// state reads a container's state. A container that has never been started has the zero state.
func (c *Containers) state(r *record) (state, error) {
	var s state
	err := store.Read(r.place.State(), &s.State)
	var damaged *store.Corrupt
	switch {
	case errors.As(err, &damaged):
		c.warn(err.Error())
		return c.reconstruct(r)
	case errors.Is(err, fs.ErrNotExist) && there(r.place.State()+".corrupt"): // and whoever set it aside was killed
		return c.reconstruct(r)
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return s, err
	}
	if s.Status == monitor.Created && s.Pid != 0 {
		return c.begun(r, s)
	}
	if !s.lives() {
		return s, nil
	}
	return c.verify(r, s)
}

// lives: that is what its monitor said last.
func (s state) lives() bool { return s.Status == monitor.Running || s.Status == monitor.Restarting }

// reconstruct is for a container whose state was damaged: its monitor knows, and where there is none nobody knows how
// the container ended.
func (c *Containers) reconstruct(r *record) (state, error) {
	s := state{State: monitor.State{
		Status: monitor.Exited, ExitCode: monitor.Unobserved, Error: "the record of its end was damaged", StartedAt: r.Created, FinishedAt: r.Created,
	}}
	client, err := monitor.Dial(r.place.Run)
	if err != nil {
		return c.deduce(r, s)
	}
	defer client.Close()
	if s.State, err = client.State(); err != nil {
		return s, err
	}
	if s.lives() {
		if s, err = c.verify(r, s); err != nil {
			return s, err
		}
	}
	return s, store.Write(r.place.State(), s.State)
}

// deduce is for a container that has lost its monitor, too. Its wiring may name its process. Without one it cannot be found again, and ends.
func (c *Containers) deduce(r *record, s state) (state, error) {
	w, err := liveAt(r.place)
	if err != nil {
		return s, err
	}
	if w == nil {
		return s, errors.Join(c.bury(r), store.Write(r.place.State(), s.State))
	}
	s.State = monitor.State{Status: monitor.Running, Pid: w.Pid, PidStart: w.PidStart, BootID: w.BootID, StartedAt: r.Created}
	if err := store.Write(r.place.State(), s.State); err != nil {
		return s, err
	}
	return c.verify(r, s)
}

// begun: a start has got to the gate. Whoever starts the container holds its lock, and takes back what fails; a monitor that is left alone
// does. When both were killed, we do.
func (c *Containers) begun(r *record, s state) (state, error) {
	if alive, err := store.Held(r.place.Alive()); err != nil || alive {
		return s, err
	}
	lock, err := atOnce(r.place)
	if errors.Is(err, context.Canceled) || errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	defer lock.Release()
	if s, err = r.again(); err != nil || s.Status != monitor.Created || s.Pid == 0 {
		return s, err
	}
	return c.retract(r, s)
}

// verify holds a state that says "running" against the kernel. The monitor's lock answers for the usual case with one
// system call.
func (c *Containers) verify(r *record, s state) (state, error) {
	alive, err := store.Held(r.place.Alive())
	if err != nil {
		return s, err
	}
	if !alive {
		if s, err = c.orphaned(r); err != nil || !s.lives() {
			return s, err
		}
	}
	s.Running = true
	if s.Status == monitor.Restarting {
		s.Restarting, s.Pid = true, 0 // or it is that of a process at its gate
		return s, nil
	}
	s.Paused, err = c.paused(r)
	return s, err
}

// again reads the state once more. One that is gone by now went with its container.
func (r *record) again() (s state, err error) {
	if err = store.Read(r.place.State(), &s.State); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return s, err
}

// orphaned: the monitor is gone. It may have written the end just now; the container may live on without it, and then gets
// a new one; or it is gone too, after a crash or a reboot.
func (c *Containers) orphaned(r *record) (state, error) {
	s, err := r.again()
	if err != nil || !s.lives() {
		return s, err
	}
	if c.unreachable(r, s) {
		return s, nil
	}
	if s.Alive() {
		failure := c.adopt(r)
		if failure == nil {
			return s, nil
		}
		// Perhaps because it ended meanwhile. Then the new monitor has recorded that, or it is for us to do.
		if s, err = r.again(); err != nil || !s.lives() {
			return s, err
		}
		if s.Alive() {
			return s, failure
		}
	}
	return c.unseen(r)
}

// unreachable: somebody has deleted the run directory of a container that runs. It can be ended, and nothing else.
func (c *Containers) unreachable(r *record, s state) bool {
	if there(r.place.Run) || !s.Alive() {
		return false
	}
	c.warn("container " + r.Name + " runs, and its directory " + r.place.Run + " was deleted: nothing can be done with it but stop it and start it again")
	return true
}

// unseen records an end that nobody saw. It holds what a monitor would hold, so that nobody starts or adopts the container
// in the middle of it. After a reboot there is no lock.
func (c *Containers) unseen(r *record) (state, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	lock, err := store.Exclusive(ctx, r.place.Alive())
	if err == nil {
		defer lock.Release()
	} else if errors.Is(err, context.DeadlineExceeded) {
		return r.again() // somebody else was quicker
	} else if !errors.Is(err, fs.ErrNotExist) {
		return state{}, err
	}
	s, err := r.again()
	if err != nil || !s.lives() || s.Alive() {
		return s, err
	}
	if s.Status == monitor.Running {
		s.ExitCode, s.FinishedAt, s.Error = monitor.Unobserved, c.lastSign(r, s), unobserved(s, "exit status not observed")
		defer c.tellUnseen(r, s)
	} else {
		s.Error = unobserved(s, "not started again by its restart policy")
	}
	s.Status, s.Pid = monitor.Exited, 0
	return s, errors.Join(c.bury(r), store.Write(r.place.State(), s.State))
}

// unobserved says why there was no monitor.
func unobserved(s state, what string) string {
	if boot, err := bootID(); err == nil && boot != s.BootID {
		return what + ": the machine was restarted"
	}
	return what + ": the monitor was killed"
}

// retract takes back what a start has left whose monitor was killed before it could record that the container runs. The caller holds the
// container's lock, and nobody the monitor's.
func (c *Containers) retract(r *record, s state) (state, error) {
	if err := c.forsake(r); err != nil {
		return s, err
	}
	s.Pid, s.PidStart, s.Error = 0, 0, "its start was broken off: the monitor was killed"
	return s, errors.Join(c.unplug(r.place), c.unmountVolumes(r), store.Write(r.place.State(), s.State))
}

// forsake removes what a monitor would have removed that was killed: the group, with whoever is in it, and its own socket and FIFOs. A
// container that has not been started since the machine was has none.
func (c *Containers) forsake(r *record) error {
	if !there(r.place.Alive()) {
		return nil
	}
	return errors.Join(c.bury(r), removeAll(r.place.Run, monitor.Left(r.place.Run)))
}

// bury removes the group of a container whose monitor did not live to do it, with whoever is left in it.
func (c *Containers) bury(r *record) error {
	g, err := c.groupOf(r)
	if err != nil {
		return err
	}
	return end(g)
}

// end removes a group with whoever is in it, if it is there.
func end(g cgroups.Group) error {
	if !g.Exists() {
		return nil
	}
	if err := g.Kill(); err != nil {
		return err
	}
	return g.Remove()
}

// lastSign is the best guess of when an unseen end was: when the container last wrote to its log.
func (c *Containers) lastSign(r *record, s state) time.Time {
	if info, err := os.Stat(r.logFile()); err == nil && info.ModTime().After(s.StartedAt) {
		return info.ModTime().UTC()
	}
	return time.Now().UTC()
}

// groups are the facts of cgroup v2 on this host, read once per command.
func (c *Containers) groups() (cgroups.Facts, error) {
	c.observe.Do(func() { c.facts, c.factsErr = cgroups.Observe(nil) })
	return c.facts, c.factsErr
}

func (c *Containers) paused(r *record) (bool, error) {
	g, err := c.groupOf(r)
	if err != nil {
		return false, err
	}
	frozen, err := g.Frozen()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return false, nil // it ended just now
	}
	return frozen, err
}

// word is State.Status as `inspect` shows it.
func (s state) word() container.ContainerState {
	switch {
	case s.Paused:
		return container.StatePaused
	case s.Restarting:
		return container.StateRestarting
	case s.Running:
		return container.StateRunning
	case s.StartedAt.IsZero():
		return container.StateCreated
	}
	return container.StateExited
}

// sentence is the STATUS column of `ps`.
func (s state) sentence(now time.Time) string {
	switch {
	case s.Paused:
		return "Up " + units.HumanDuration(now.Sub(s.StartedAt)) + " (Paused)"
	case s.Restarting:
		return fmt.Sprintf("Restarting (%d) %s ago", s.ExitCode, units.HumanDuration(now.Sub(s.FinishedAt)))
	case s.Running && s.Health == monitor.Starting:
		return "Up " + units.HumanDuration(now.Sub(s.StartedAt)) + " (health: starting)"
	case s.Running && s.Health != "":
		return "Up " + units.HumanDuration(now.Sub(s.StartedAt)) + " (" + s.Health + ")"
	case s.Running:
		return "Up " + units.HumanDuration(now.Sub(s.StartedAt))
	case s.StartedAt.IsZero():
		return "Created"
	}
	return fmt.Sprintf("Exited (%d) %s ago", s.ExitCode, units.HumanDuration(now.Sub(s.FinishedAt)))
}
