package engine

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"glassbox/store"
	vol "glassbox/volume"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/volume"
)

// Volumes is everything that can be done with volumes.
type Volumes struct {
	root       store.Root
	containers *Containers
}

// Create makes a volume; the one that has the name already is returned as it is. Without a name it is anonymous.
func (v *Volumes) Create(o volume.CreateOptions) (volume.Volume, error) {
	r, lock, err := v.acquire(o)
	if err != nil {
		return volume.Volume{}, err
	}
	return r.inspect(), lock.Release()
}

// List is `volume ls`, by name.
func (v *Volumes) List(f filters.Args) (volume.ListResponse, error) {
	found := volume.ListResponse{Volumes: []*volume.Volume{}}
	passes, err := v.sieve(f, "dangling", "name", "driver", "label")
	if err != nil {
		return found, err
	}
	all, err := v.all()
	for _, r := range all {
		ok, err := passes(r)
		if err != nil {
			return found, err
		}
		if ok {
			shown := r.inspect()
			found.Volumes = append(found.Volumes, &shown)
		}
	}
	return found, err
}

// Inspect returns Docker's document.
func (v *Volumes) Inspect(name string) (volume.Volume, error) {
	r, err := v.load(name)
	if err != nil {
		return volume.Volume{}, err
	}
	return r.inspect(), nil
}

// Remove deletes a volume and what is in it. With force one that does not exist is no error; one in use remains an error.
func (v *Volumes) Remove(name string, force bool) error {
	r, lock, err := v.locked(name)
	if force && Is(err, NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(v.remove(r), lock.Release())
}

// remove deletes a volume that nobody uses. The caller holds its lock.
func (v *Volumes) remove(r *volumeRecord) error {
	users, err := v.users(r)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return conflict("remove %s: volume is in use - [%s]", r.Name, strings.Join(users, ", "))
	}
	if err := v.evacuate(r); err != nil {
		return prefixed("remove "+r.Name, err)
	}
	err = errors.Join(r.place.Remove(), v.containers.unproject(r.Project))
	if err == nil {
		v.containers.tellAll(volumeEvent(r.Name, "destroy", "driver", vol.Driver))
	}
	return err
}

// Prune removes volumes that no container has: anonymous ones, with all=1 named ones too. Those that stand for something mounted
// stay, as in Docker: no space is gained by them.
func (v *Volumes) Prune(f filters.Args) (volume.PruneReport, error) {
	report := volume.PruneReport{VolumesDeleted: []string{}}
	f, err := anonymousOnly(f)
	if err != nil {
		return report, err
	}
	passes, err := v.sieve(f, "label", "label!", "all")
	if err != nil {
		return report, err
	}
	all, err := v.all()
	if err != nil {
		return report, err
	}
	for _, r := range all {
		if ok, err := passes(r); err != nil || !ok || len(r.Options) > 0 {
			continue
		}
		size, err := v.prune(r.Name)
		if err != nil {
			if !Is(err, NotFound) && !Is(err, Conflict) { // removed or taken meanwhile
				v.containers.warn(err.Error())
			}
			continue
		}
		report.SpaceReclaimed += uint64(size)
		report.VolumesDeleted = append(report.VolumesDeleted, r.Name)
	}
	v.containers.tellAll(pruned("volume", report.SpaceReclaimed))
	return report, nil
}

func (v *Volumes) prune(name string) (size int64, err error) {
	r, lock, err := v.locked(name)
	if err != nil {
		return 0, err
	}
	if size, err = diskUse(r.place.Data()); err == nil {
		err = v.remove(r)
	}
	return size, errors.Join(err, lock.Release())
}

// anonymousOnly adds to the filters of a prune what keeps named volumes, unless all=1 is among them.
func anonymousOnly(f filters.Args) (filters.Args, error) {
	f = f.Clone()
	all := f.Get("all")
	switch {
	case len(all) > 1:
		return f, invalid("invalid filter 'all=%s': only one value is expected", all)
	case len(all) == 1:
		yes, err := strconv.ParseBool(all[0])
		if err != nil {
			return f, invalid("invalid filter 'all': %w", err)
		}
		if yes {
			return f, nil
		}
	}
	f.Add("label", vol.Anonymous)
	return f, nil
}

// sieve is --filter, read once.
func (v *Volumes) sieve(f filters.Args, accepted ...string) (func(*volumeRecord) (bool, error), error) {
	known := map[string]bool{}
	for _, name := range accepted {
		known[name] = true
	}
	if err := f.Validate(known); err != nil {
		return nil, &Error{Class: InvalidParameter, Text: err.Error(), Cause: err}
	}
	dangling, err := f.GetBoolOrDefault("dangling", false)
	if err != nil {
		return nil, invalid("%w", err)
	}
	return func(r *volumeRecord) (bool, error) {
		if !f.ExactMatch("driver", vol.Driver) || !f.Match("name", r.Name) || !labelsMatch(f, r.Labels) {
			return false, nil
		}
		if !f.Contains("dangling") {
			return true, nil
		}
		users, err := v.users(r)
		return (len(users) == 0) == dangling, err
	}, nil
}

// Sizes are the volumes that take space of ours, with how much and how many containers have them: `system df`.
func (v *Volumes) Sizes() ([]*volume.Volume, error) {
	all, err := v.all()
	if err != nil {
		return nil, err
	}
	out := []*volume.Volume{}
	for _, r := range all {
		if len(r.Options) > 0 {
			continue
		}
		users, err := v.users(r)
		if err != nil {
			return nil, err
		}
		size, err := diskUse(r.place.Data())
		if err != nil {
			return nil, err
		}
		shown := r.inspect()
		shown.UsageData = &volume.UsageData{Size: size, RefCount: int64(len(users))}
		out = append(out, &shown)
	}
	return out, nil
}

// users are the containers that have the volume among their mounts. What removed ones have left is taken away.
func (v *Volumes) users(r *volumeRecord) ([]string, error) {
	noted, err := r.place.Users()
	var users []string
	for _, id := range noted {
		if v.containers.lostBy(id, func(c *record) bool { return c.uses(r.Name) }) {
			err = errors.Join(err, r.place.Leave(id))
			continue
		}
		users = append(users, id)
	}
	slices.Sort(users)
	return users, err
}
