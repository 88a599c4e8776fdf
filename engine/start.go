package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"glassbox/monitor"
	"glassbox/store"

	"golang.org/x/sys/unix"
)

// Start starts a created or stopped container and returns when its process has been executed.
func (c *Containers) Start(ctx context.Context, id string) error {
	client, _, err := c.start(ctx, id, nil)
	if client == nil {
		return err
	}
	return errors.Join(err, client.Close())
}

// start brings a container to life. attach is called between the gate `created` and the start, so that no output is
// missed. The client is nil when the container runs already.
func (c *Containers) start(ctx context.Context, id string, attach func(*record, *monitor.Client) error) (*monitor.Client, *record, error) {
	r, lock, err := c.locked(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	defer lock.Release()
	return c.startHeld(ctx, r, attach)
}

// startHeld is start of a container whose lock the caller holds.
func (c *Containers) startHeld(ctx context.Context, r *record, attach func(*record, *monitor.Client) error) (*monitor.Client, *record, error) {
	s, err := c.state(r)
	switch {
	case err != nil:
		return nil, r, err
	case s.Paused:
		return nil, r, conflict("cannot start a paused container, try unpause instead")
	case s.Running:
		return nil, r, nil
	case s.Pid != 0:
		if s, err = c.retract(r, s); err != nil { // what a broken-off start has left
			return nil, r, err
		}
	}
	if attach != nil {
		c.tell(r, "attach")
	}
	step := c.newAsker(ctx, r)
	client, p, err := c.launch(r, step)
	if err == nil {
		err = c.open(r, client, attach)
	}
	err = errors.Join(err, step.done())
	if err != nil {
		return nil, r, c.failed(r, s, client, p, err)
	}
	if err := p.serves(); err != nil { // the container runs by now; whoever looks at it next starts another attendant
		c.warn(err.Error())
	}
	return client, r, p.settle()
}

// Warm starts a monitor for the next Start of this process, while the container is still being made. One that is not needed
// ends with this process.
func (c *Containers) Warm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.warm == nil { // the stages of a build may have the same thought
		c.warm = spawn()
	}
}

// spawn starts a monitor that does not know yet what for. Not in a goroutine: until Go had a thread for that, the quarter of a
// millisecond that it takes would be long over.
func spawn() *launched {
	program, err := glassrun()
	if err != nil {
		return &launched{nil, err}
	}
	client, err := monitor.Spawn(program)
	return &launched{client, err}
}

// warmed is the monitor that Warm has started, or a new one.
func (c *Containers) warmed() *launched {
	c.mu.Lock()
	defer c.mu.Unlock()
	if warm := c.warm; warm != nil {
		c.warm = nil
		return warm
	}
	return spawn()
}

// launched is a monitor on its way, and its first client.
type launched struct {
	client *monitor.Client
	err    error
}

// launch starts the monitor, if Warm has not, writes what it reads while it comes up, waits for the gate `created`, and plugs the
// network in.
func (c *Containers) launch(r *record, step *asker) (*monitor.Client, *plugging, error) {
	if err := os.MkdirAll(r.place.Mount(), 0o711); err != nil {
		return nil, nil, err
	}
	l := c.warmed()
	p, err := c.engage(r)
	if err == nil {
		p.askFor(step)
		err = c.write(r, p)
	}
	if err == nil && l.err == nil {
		err = p.begin()
	}
	if l.err != nil {
		return nil, p, errors.Join(err, l.err)
	}
	if err != nil {
		return nil, p, errors.Join(err, l.client.Close())
	}
	l.client.For(r.place.Run)
	if r.step != nil {
		l.client.With(r.step.Env)
	}
	if step != nil {
		l.client.Asks(step.monitored)
	}
	if pid, err := l.client.Born(); err == nil {
		p.greet(pid)
	}
	pid, err := l.client.Create()
	if err == nil {
		err = p.plug(pid)
	}
	return l.client, p, err
}

// write draws the container anew and writes what the monitor reads.
func (c *Containers) write(r *record, p *plugging) error {
	if err := r.makeSources(); err != nil {
		return err
	}
	if err := c.present(r); err != nil {
		return err
	}
	if err := c.mountVolumes(r); err != nil {
		return err
	}
	if err := r.placeSecrets(); err != nil {
		return err
	}
	if err := c.host(r); err != nil {
		return err
	}
	if err := c.writeNetworkFiles(r, p.wiring()); err != nil {
		return err
	}
	if p != nil {
		r.linkVars = p.w.Links
	}
	plan, err := c.draw(r)
	if err != nil {
		return err
	}
	if err := c.arm(plan.Spec.Process.ApparmorProfile); err != nil {
		return err
	}
	return c.brief(r, plan, p.wiring())
}

// brief writes the state directory. What an earlier start left there goes, but for the lock: two monitors must never hold
// two files of that name.
func (c *Containers) brief(r *record, plan *blueprint, w *wiring) error {
	for _, path := range []string{r.place.Account(), r.place.Plugged(), r.place.Stopped(), r.place.Step()} {
		if err := unix.Unlink(path); err != nil && err != unix.ENOENT {
			return &os.PathError{Op: "remove", Path: path, Err: err}
		}
	}
	if r.HostConfig.IpcMode.IsShareable() {
		if err := r.makeShm(); err != nil {
			return err
		}
	}
	if err := store.Put(r.place.Spec(), plan.Spec); err != nil {
		return err
	}
	if plan.Layers != nil {
		if err := store.Put(r.place.Layers(), plan.Layers); err != nil {
			return err
		}
	}
	config, err := c.monitored(r)
	if err == nil {
		config.Arriving, config.Parting, err = c.surroundings(r, w)
	}
	if err != nil {
		return err
	}
	return store.Put(r.place.Monitor(), config)
}

// makeShm makes an empty /dev/shm to share.
func (r *record) makeShm() error {
	dir := r.place.Shm()
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return errors.Join(os.Chmod(dir, 0o777|fs.ModeSticky), r.give(dir))
}

// monitored is what the monitor is told.
func (c *Containers) monitored(r *record) (monitor.Config, error) {
	k := r.Config
	m := monitor.Config{
		ID: r.ID, StateFile: r.place.State(), Tty: k.Tty, OpenStdin: k.OpenStdin,
		StdinOnce: k.StdinOnce, Explain: c.accounts(r), Step: c.Step != nil, Without: r.Without, Tied: r.Build != "", Stopped: r.place.Stopped(),
		Restart: r.restart(), Actor: r.actor(), Events: c.root.Events(),
	}
	if err := c.nameDonors(r, &m); err != nil {
		return m, err
	}
	var err error
	if m.Log, err = r.openedLog(); err != nil {
		return m, err
	}
	if m.Health, err = r.health(); err != nil {
		return m, err
	}
	if !r.tidies() {
		return m, nil
	}
	self, err := os.Executable()
	m.Cleanup = []string{self, "container", "cleanup", r.ID}
	if len(r.IDMap) > 0 && r.plugs() {
		m.Replug = []string{self, "container", "replug", r.ID}
	}
	return m, err
}

// tidies: there is something to do when the container has ended.
func (r *record) tidies() bool { return r.passing() || r.plugs() || r.mountsVolumes() }

// open attaches and opens the last gate.
func (c *Containers) open(r *record, client *monitor.Client, attach func(*record, *monitor.Client) error) error {
	if r.tidies() {
		// Until the start has succeeded it is ours to clean up; afterwards, theirs who wait for the end.
		if err := client.TakeCleanup(); err != nil {
			return err
		}
	}
	if attach != nil {
		if err := attach(r, client); err != nil {
			return err
		}
	}
	if err := client.Start(); err != nil {
		return err
	}
	return r.awaitInit()
}

// failed records a start that did not succeed, as Docker does: the container stays as it was, with the error and an
// exit code; with --rm it goes.
func (c *Containers) failed(r *record, before state, client *monitor.Client, p *plugging, cause error) error {
	c.tellFailed(r, p.wiring())
	err := c.startError(r, cause)
	if errors.Is(cause, monitor.ErrDead) {
		err = errors.Join(err, c.forsake(r)) // the process may have been started
	}
	err = errors.Join(err, p.back())
	if r.HostConfig.AutoRemove {
		err2 := c.destroy(r, true)
		if client != nil && err2 == nil {
			client.Cleaned(monitor.Rest{}) // or the monitor does it once more: harmless
		}
		return errors.Join(err, err2, closeClient(client))
	}
	if account := monitor.AccountOf(cause); c.accounts(r) && account != nil {
		err = errors.Join(err, store.Put(r.place.Account(), account))
	}
	err = errors.Join(err, c.unmountVolumes(r))
	s := before.State
	if s.Status == "" {
		s.Status = monitor.Created
	}
	s.Pid, s.PidStart, s.Error = 0, 0, err.Error()
	if exit := exitOf(err); exit != exitUnknown || s.ExitCode == 0 {
		s.ExitCode = exit
	}
	if client != nil && r.tidies() {
		client.Cleaned(monitor.Rest{}) // or the monitor does it once more: harmless
	}
	err = errors.Join(err, closeClient(client), r.quiet())
	return errors.Join(err, store.Write(r.place.State(), s))
}

// quiet waits until the monitor of a start that failed is done: it puts the state file back, and would overwrite ours.
func (r *record) quiet() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	lock, err := store.Exclusive(ctx, r.place.Alive())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // there was none
	}
	if err != nil {
		return err
	}
	return lock.Release()
}

func closeClient(client *monitor.Client) error {
	if client == nil {
		return nil
	}
	return client.Close()
}

// exitOf is what State.ExitCode shows after a failed start.
func exitOf(err error) int {
	var e *Error
	if errors.As(err, &e) && e.Exit != 0 {
		return e.Exit
	}
	return exitUnknown
}

// exitUnknown is Docker's exit code of a start that failed for none of the reasons that have one.
const exitUnknown = 128

// glassrun finds the runtime: named by GLASSBOX_GLASSRUN, beside ourselves, or in PATH.
func glassrun() (string, error) {
	if named := os.Getenv("GLASSBOX_GLASSRUN"); named != "" {
		return filepath.Abs(named)
	}
	self, err := os.Executable()
	if err == nil {
		beside := filepath.Join(filepath.Dir(self), "glassrun")
		if unix.Access(beside, unix.X_OK) == nil {
			return beside, nil
		}
	}
	found, err := exec.LookPath("glassrun")
	if err != nil {
		return "", fmt.Errorf("finding glassrun, the runtime, beside %s and in PATH: %w", self, err)
	}
	return filepath.Abs(found)
}

// adopt puts a new monitor beside a container whose own was killed. Of several commands that find it so, one does it.
func (c *Containers) adopt(r *record) error {
	program, err := glassrun()
	if err != nil {
		return err
	}
	client, err := monitor.Adopt(program, r.place.Run)
	if err != nil {
		return err
	}
	_, err = client.Create()
	if held, heldErr := store.Held(r.place.Alive()); err != nil && heldErr == nil && held {
		err = nil // somebody else was quicker
	}
	return errors.Join(err, client.Close())
}
