package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"glassbox/program"
	"glassbox/store"
	vol "glassbox/volume"

	"github.com/docker/docker/api/types/mount"
	"golang.org/x/sys/unix"
)

// mountVolumes mounts what the container's volumes stand for, those that --opt type=... made so. Whatever fails or ends later calls
// unmountVolumes.
func (c *Containers) mountVolumes(r *record) error {
	account := program.Account{Phase: phaseVolumes, Why: whyMounted}
	for _, m := range r.Mounts {
		if !m.Mounted {
			continue
		}
		known, lock, err := c.volumes.locked(m.Name)
		if err != nil {
			return err
		}
		ledger, err := c.volumes.mountFor(known, r.ID)
		account.Host = append(account.Host, ledger.Account("", "").Host...)
		if err = errors.Join(err, lock.Release()); err != nil {
			return err
		}
	}
	if c.Step != nil {
		for _, d := range account.Host {
			c.warn("made without asking, since others may need the volume meanwhile: " + d.Call + " = " + d.Result)
		}
	}
	if !c.accounts(r) {
		return nil
	}
	return r.keepMounting(account)
}

const phaseVolumes = "volumes"

const whyMounted = "What volumes stand for is mounted on the host, once for all containers that use them."

// wouldMount is what mountVolumes would ask of the kernel, for a plan.
func (c *Containers) wouldMount(r *record) ([]program.Account, error) {
	var requests []program.Request
	for _, m := range r.Mounts {
		if m.Type != mount.TypeVolume {
			continue
		}
		known, err := c.volumes.load(m.Name)
		if Is(err, NotFound) {
			known, err = c.volumes.draft(m.volume())
		}
		if err != nil {
			return nil, err
		}
		if !known.options().Mounts() {
			continue
		}
		if mounted, err := vol.Mounted(m.Source); err == nil && mounted {
			continue // for another container
		}
		more, err := known.options().Mount(m.Source, "volume "+m.Name, net.ResolveIPAddr)
		if err != nil {
			return nil, notMounted(known, err)
		}
		requests = append(requests, more...)
	}
	if len(requests) == 0 {
		return nil, nil
	}
	return []program.Account{program.Intended(phaseVolumes, whyMounted, requests)}, nil
}

// keepMounting keeps what the kernel was asked before the monitor was.
func (r *record) keepMounting(account program.Account) error {
	path := r.place.Mounting()
	if len(account.Host) > 0 {
		return store.Put(path, account)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// mounting is what mountVolumes asked of the kernel for the last start.
func (r *record) mounting() ([]program.Account, error) {
	var account program.Account
	err := store.Read(r.place.Mounting(), &account)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return []program.Account{account}, err
}

// unmountVolumes takes back what mountVolumes did, where no other container needs it. It may be called often.
func (c *Containers) unmountVolumes(r *record) error {
	var errs []error
	for _, m := range r.Mounts {
		if !m.Mounted {
			continue
		}
		known, lock, err := c.volumes.locked(m.Name)
		if Is(err, NotFound) {
			continue
		}
		if err == nil {
			err = errors.Join(c.volumes.unmountFor(known, r.ID), lock.Release())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// mountFor mounts a volume, unless it is, and notes for whom. The caller holds its lock.
func (v *Volumes) mountFor(r *volumeRecord, id string) (ledger *program.Ledger, err error) {
	ledger = &program.Ledger{}
	mounted, err := vol.Mounted(r.place.Data())
	if err == nil && !mounted {
		var requests []program.Request
		if requests, err = r.options().Mount(r.place.Data(), "volume "+r.Name, net.ResolveIPAddr); err == nil {
			err = ledger.Carry(requests...)
		}
		var refused *vol.Refused
		if errors.As(err, &refused) {
			err = fmt.Errorf("failed to mount local volume: %w", refused)
		}
	}
	if err == nil {
		err = r.place.Mount(id)
	}
	if err != nil {
		return ledger, errors.Join(notMounted(r, err), ledger.Back())
	}
	return ledger, nil
}

func notMounted(r *volumeRecord, err error) error {
	e := &Error{Text: fmt.Sprintf("error while mounting volume '%s': %v", r.place.Data(), err), Cause: err}
	var errno unix.Errno
	if errors.As(err, &errno) {
		e.Exit = exitFor(errno)
	}
	return e
}

// unmountFor notes that the container needs the mount no longer, and unmounts when nobody does. The caller holds the volume's lock.
func (v *Volumes) unmountFor(r *volumeRecord, id string) error {
	if err := r.place.Unmount(id); err != nil {
		return err
	}
	return v.unmountIdle(r)
}

// unmountIdle unmounts a volume that no running container uses. The caller holds its lock.
func (v *Volumes) unmountIdle(r *volumeRecord) error {
	others, err := r.place.MountedFor()
	if err != nil {
		return err
	}
	for _, other := range others {
		if v.containers.needs(other, r.Name) {
			return nil
		}
		if err := r.place.Unmount(other); err != nil {
			return err
		}
	}
	mounted, err := vol.Mounted(r.place.Data())
	if err != nil || !mounted {
		return err
	}
	if err := vol.Unmount(r.place.Data(), "volume "+r.Name).Do(); err != nil {
		return fmt.Errorf("error unmounting volume %s: %w", r.Name, err)
	}
	return nil
}

// needs: the container runs, or somebody is about to start it.
func (c *Containers) needs(id, volume string) bool {
	if held, err := store.Held(c.root.Container(id).Dir); err != nil || held {
		return true
	}
	r, err := c.read(id)
	if err != nil || !r.uses(volume) {
		return false
	}
	s, err := c.state(r)
	return err != nil || s.Running
}

// evacuate unmounts a volume that is to be removed, and makes sure that nothing else is mounted below: deleting would go on there.
func (v *Volumes) evacuate(r *volumeRecord) error {
	if r.options().Mounts() {
		if err := v.unmountIdle(r); err != nil {
			return err
		}
	}
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	dir, err := filepath.EvalSymlinks(r.place.Dir)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(unescape(fields[4]), dir+"/") {
			return conflict("volume has active mounts: %s", unescape(fields[4]))
		}
	}
	return nil
}

// mountsVolumes: something has to be unmounted when the container ends.
func (r *record) mountsVolumes() bool {
	for _, m := range r.Mounts {
		if m.Mounted && m.Type == mount.TypeVolume {
			return true
		}
	}
	return false
}
