package engine

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"glassbox/monitor"
	"glassbox/program"
	"glassbox/runtime"

	"github.com/docker/docker/api/types/mount"
	"golang.org/x/sys/unix"
)

// Plan compiles what Create and Start would do, and asks the kernel for nothing. Only an image that is missing is fetched.
func (c *Containers) Plan(ctx context.Context, o Options) ([]program.Account, error) {
	r, _, err := c.prepare(ctx, &o)
	if err != nil {
		return nil, err
	}
	r.Name = o.Name
	return c.planned(r)
}

// planned is what a start of the container would ask of the kernel.
func (c *Containers) planned(r *record) ([]program.Account, error) {
	plan, err := c.draw(r)
	if err != nil {
		return nil, err
	}
	facts, err := runtime.Observe(plan.Spec, r.place.Run)
	if err != nil {
		return nil, err
	}
	facts.Without = r.Without
	for path, kind := range r.promised() {
		facts.Kinds[path] = kind
	}
	compiled, err := runtime.Compile(plan.Spec, plan.Layers, facts)
	if err != nil {
		return nil, limitRefused(err)
	}
	intended, err := c.intended(r)
	if err != nil {
		return nil, err
	}
	mounted, err := c.wouldMount(r)
	return append(mounted, withPhase(compiled.Explain(), intended)...), err
}

// startPhases are the phases of a start in which somebody can be asked.
func (c *Containers) startPhases(r *record) ([]string, error) {
	plan, err := c.planned(r)
	var names []string
	for _, a := range plan {
		if a.Phase != phaseVolumes {
			names = append(names, a.Phase)
		}
	}
	return names, err
}

// withPhase puts the network's phase where it happens: the process waits at its gate, and the start comes next.
func withPhase(phases, network []program.Account) []program.Account {
	at := slices.IndexFunc(phases, func(a program.Account) bool { return a.Phase == "start" })
	if at < 0 {
		at = len(phases)
	}
	return slices.Insert(phases, at, network...)
}

// promised are the bind sources that a start makes first.
func (r *record) promised() map[string]uint32 {
	kinds := map[string]uint32{}
	if !r.HostConfig.NetworkMode.IsContainer() {
		for _, path := range []string{r.place.Hostname(), r.place.Hosts(), r.place.ResolvConf()} {
			kinds[path] = unix.S_IFREG | 0o644
		}
	}
	if r.HostConfig.IpcMode.IsShareable() {
		kinds[r.place.Shm()] = unix.S_IFDIR | 0o777
	}
	for _, m := range r.Mounts {
		if m.Type == mount.TypeVolume {
			kinds[m.Source] = unix.S_IFDIR | 0o755
		}
		if _, err := os.Stat(m.Source); m.Make && err != nil {
			kinds[m.Source] = unix.S_IFDIR | 0o755
		}
	}
	return kinds
}

// accounts: a start of the container leaves an account.
func (c *Containers) accounts(r *record) bool { return c.Explain || r.Explain }

// Account is what was asked of the kernel at the container's last start, if that was to be explained.
func (c *Containers) Account(id string) ([]program.Account, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(r.place.Account())
	if errors.Is(err, fs.ErrNotExist) && r.awaitAccount() {
		data, err = os.ReadFile(r.place.Account())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, conflict("container %s has no account of its start: its last start was without --explain, or before the machine was started", id)
	}
	if err != nil {
		return nil, err
	}
	var a []program.Account
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, err
	}
	plugged, err := r.pluggedIn()
	if err != nil {
		return nil, err
	}
	mounted, err := r.mounting()
	return append(mounted, withPhase(a, plugged)...), err
}

// awaitAccount waits for the monitor, which writes the account after it has told of the start: a moment, and then has it answer something.
func (r *record) awaitAccount() bool {
	for range 50 {
		if time.Sleep(100 * time.Microsecond); there(r.place.Account()) {
			return true
		}
	}
	client, err := monitor.Dial(r.place.Run)
	if err == nil {
		_, err = client.State()
		client.Close()
	}
	return err == nil || there(r.place.Account()) // it may have ended meanwhile, and written it before
}

// pluggedIn is the network's part of the account; empty where there was nothing to plug in.
func (r *record) pluggedIn() (a []program.Account, err error) {
	data, err := os.ReadFile(r.place.Plugged())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return a, json.Unmarshal(data, &a)
}

// AccountOf is what had been asked of the kernel before a start or exec failed, if it was to be explained.
func AccountOf(err error) []program.Account {
	var u *unplugged
	if errors.As(err, &u) {
		return u.account
	}
	return monitor.AccountOf(err)
}
