package engine

import (
	"context"
	"errors"
	"os"
	"reflect"
	"time"

	"glassbox/monitor"
	"glassbox/store"

	"github.com/docker/docker/api/types/container"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// restart is the container's restart policy, which its monitor executes.
func (r *record) restart() monitor.Restart {
	p := r.HostConfig.RestartPolicy
	return monitor.Restart{Policy: string(p.Name), Max: p.MaximumRetryCount}
}

func (r *record) restarts() bool { return !r.HostConfig.RestartPolicy.IsNone() }

// send gives the container a signal of a user's, who has the last word: after one that is meant to end it, its restart policy does
// not start it again. A container that waits for its restart gets no signal.
func (c *Containers) send(r *record, s state, sig unix.Signal, e *ending) error {
	ends := r.ends(sig)
	if err := r.intend(ends); err != nil {
		if r.restarts() {
			return err
		}
		c.warn("that container " + r.Name + " was told to end is not noted: " + err.Error()) // which nobody will ask
	}
	var err error
	if r.restarts() || s.Restarting { // the monitor may have decided before it could see that
		s, err = c.state(r)
	}
	for err == nil && s.Restarting && ends {
		if err = c.cancel(r); err == nil {
			s, err = c.state(r) // it may have been started just now
		}
	}
	if err != nil || !s.Running || s.Restarting {
		return err
	}
	return c.signal(r, s, sig, e)
}

// intend notes that a user has sent the container a signal, and whether that is meant to end it. The monitor looks before each restart.
func (r *record) intend(ends bool) error {
	f, err := os.OpenFile(r.place.Stopped(), os.O_WRONLY|os.O_CREATE, 0o600)
	if err == nil && ends {
		_, err = f.WriteString(monitor.ForGood)
	}
	return errors.Join(err, f.Close())
}

// quell makes sure that a container whose end was seen is not about to be started again: its monitor may have decided that just before
// intend.
func (c *Containers) quell(r *record) error {
	if !r.restarts() {
		return nil
	}
	s, err := c.state(r)
	if err != nil || !s.Running {
		return err
	}
	e := &ending{}
	defer e.close()
	return c.send(r, s, sigkill, e)
}

// cancel ends the waiting for a restart. A monitor that is gone waits no more.
func (c *Containers) cancel(r *record) error {
	client, err := dial(r)
	if err == nil {
		err = errors.Join(client.Cancel(), client.Close())
	}
	if errors.Is(err, monitor.ErrDead) {
		return nil
	}
	return err
}

func restarting(ref string) error {
	return conflict("Container %s is restarting, wait until the container is running", ref)
}

// nameDonors tells the monitor where to find the processes whose namespaces the container joins: they may be others by its restart.
func (c *Containers) nameDonors(r *record, m *monitor.Config) error {
	h := r.HostConfig
	for kind, ref := range map[specs.LinuxNamespaceType]string{
		specs.NetworkNamespace: h.NetworkMode.ConnectedContainer(), specs.PIDNamespace: h.PidMode.Container(), specs.IPCNamespace: h.IpcMode.Container(),
	} {
		if ref == "" {
			continue
		}
		id, err := c.find(ref)
		if err != nil {
			return err
		}
		if m.Donors == nil {
			m.Donors = map[string]string{}
		}
		m.Donors[string(kind)] = c.root.Container(id).State()
	}
	return nil
}

// Replug gives a container that is being started again by its monitor, and waits at its gate, the network of a container that is started: its
// namespace could not be kept. Whoever has the container's lock is about to end it.
func (c *Containers) Replug(id string, pid int) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	r, lock, err := c.locked(ctx, id)
	if err != nil {
		return err
	}
	defer lock.Release()
	p, err := c.engage(r)
	if err == nil {
		err = c.writeNetworkFiles(r, p.wiring())
	}
	if err == nil {
		err = p.begin()
	}
	if err == nil {
		err = p.plug(pid)
	}
	if err == nil {
		err = p.serves()
	}
	if err != nil {
		return errors.Join(err, p.back())
	}
	return p.settle()
}

// rebrief tells the monitor of a running container what has changed: its restart policy and its names. The caller holds its lock.
func (r *record) rebrief() error {
	var m monitor.Config
	if err := store.Read(r.place.Monitor(), &m); err != nil {
		return err
	}
	m.Restart, m.Actor = r.restart(), r.actor()
	return store.Write(r.place.Monitor(), m)
}

// relimit has the next start of a running container, by its restart policy, come with the limits that it has now.
func (r *record) relimit() error {
	var spec specs.Spec
	if err := store.Read(r.place.Spec(), &spec); err != nil {
		return err
	}
	l, err := r.limits()
	if err != nil {
		return err
	}
	l.Devices = spec.Linux.Resources.Devices
	spec.Linux.Resources = l
	return store.Write(r.place.Spec(), spec)
}

// changes says whether there is a limit in what is asked for.
func changes(u container.Resources) bool { return !reflect.ValueOf(u).IsZero() }
