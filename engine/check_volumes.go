package engine

import (
	"errors"
	"os"
	"strings"

	vol "glassbox/volume"
)

// volumes looks for remains of volumes, for users that are gone, and for what is mounted for nobody.
func (k *check) volumes() error {
	v := k.c.volumes
	names, remains, err := v.root.Volumes()
	errs := []error{err}
	for _, path := range remains {
		k.suspect(path, "a command was killed while it made, filled or removed a volume", "removed", func() error {
			swept, err := v.root.SweepVolume(path)
			if err == nil && !swept {
				err = errNotSo
			}
			return err
		})
	}
	for _, name := range names {
		r, err := v.load(name)
		if err == nil {
			err = k.volume(r)
		}
		if !Is(err, NotFound) {
			errs = append(errs, err)
		}
	}
	mounted, err := v.root.MountedNames()
	errs = append(errs, err)
	for _, name := range mounted {
		p := v.root.Volume(name)
		if _, err := os.Lstat(p.Dir); errors.Is(err, os.ErrNotExist) {
			k.suspect("directory "+p.Run, "its volume is gone", "removed", p.Unmounted)
		}
	}
	return errors.Join(errs...)
}

func (k *check) volume(r *volumeRecord) error {
	v := k.c.volumes
	noted, err := r.place.Users()
	errs := []error{err}
	for _, id := range noted {
		if k.c.lostBy(id, func(c *record) bool { return c.uses(r.Name) }) {
			k.suspect("volume "+r.Name, nameless(id)+" is noted as its user, and is not", "the note is removed", func() error { return r.place.Leave(id) })
		}
	}
	return errors.Join(append(errs, v.idle(k, r))...)
}

// idle: the volume is mounted, or noted as mounted, for containers that do not run.
func (v *Volumes) idle(k *check, r *volumeRecord) error {
	noted, err := r.place.MountedFor()
	if err != nil {
		return err
	}
	var done []string
	for _, id := range noted {
		if v.containers.needs(id, r.Name) {
			return nil
		}
		done = append(done, nameless(id))
	}
	mounted, err := vol.Mounted(r.place.Data())
	if err != nil || len(done) == 0 && !(mounted && r.options().Mounts()) {
		return err
	}
	wrong := "it is mounted for no running container"
	if len(done) > 0 {
		wrong = "it is mounted for " + strings.Join(done, ", ") + ", which does not run"
	}
	k.suspect("volume "+r.Name, wrong, "unmounted", func() error {
		known, lock, err := v.locked(r.Name)
		if err != nil {
			return err
		}
		return errors.Join(v.unmountIdle(known), lock.Release())
	})
	return nil
}
