package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"glassbox/store"
	vol "glassbox/volume"

	"github.com/docker/docker/api/types/volume"
)

// volumeRecord is what a volume was asked to be: its volume.json.
type volumeRecord struct {
	Name    string
	Created time.Time
	Labels  map[string]string
	Options map[string]string // the local driver's
	Project uint32            // the quota's project id, where it has a size; 0: none

	place store.Volume
}

func (r *volumeRecord) inspect() volume.Volume {
	return volume.Volume{
		CreatedAt: r.Created.Local().Format(time.RFC3339), Driver: vol.Driver, Labels: r.Labels, Mountpoint: r.place.Data(),
		Name: r.Name, Options: r.Options, Scope: "local",
	}
}

// options of the local driver. They were checked when the volume was made.
func (r *volumeRecord) options() vol.Options {
	o, _ := vol.Parse(r.Options) //nolint:errcheck // see above
	return o
}

// acquire finds or makes a volume and returns it locked.
func (v *Volumes) acquire(o volume.CreateOptions) (*volumeRecord, *store.Lock, error) {
	o = named(o)
	r, lock, err := v.found(o)
	if err != nil {
		return nil, nil, prefixed("create "+o.Name, err)
	}
	return r, lock, nil
}

// named gives an anonymous volume its name and its label.
func named(o volume.CreateOptions) volume.CreateOptions {
	if o.Name != "" {
		return o
	}
	labels := map[string]string{vol.Anonymous: ""}
	for k, v := range o.Labels {
		labels[k] = v
	}
	o.Name, o.Labels = store.NewID(), labels
	return o
}

func (v *Volumes) found(o volume.CreateOptions) (*volumeRecord, *store.Lock, error) {
	if err := checkVolume(o.Name, o.Driver); err != nil {
		return nil, nil, err
	}
	for {
		r, lock, err := v.locked(o.Name)
		if !Is(err, NotFound) {
			return r, lock, err
		}
		if r, err = v.draft(o); err != nil {
			return nil, nil, err
		}
		if lock, err = v.make(r); err == nil {
			v.containers.tellAll(volumeEvent(r.Name, "create", "driver", vol.Driver))
			return r, lock, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, nil, err
		}
	}
}

// make makes a volume as it was drafted.
func (v *Volumes) make(r *volumeRecord) (*store.Lock, error) {
	if err := v.limited(r); err != nil {
		return nil, err
	}
	lock, err := r.place.Make(r, func(dir string) error { return v.assign(r, dir) })
	if err != nil {
		return nil, errors.Join(err, v.containers.unproject(r.Project))
	}
	return lock, nil
}

// checkVolume refuses a driver that is not there and a name that no volume can have.
func checkVolume(name, driver string) error {
	switch {
	case driver != "" && driver != vol.Driver:
		return &Error{Class: NotFound, Text: fmt.Sprintf("error looking up volume plugin %s: plugin %q not found", driver, driver)}
	case len(name) == 1:
		return invalid("volume name is too short, names should be at least two alphanumeric characters")
	case !validName(name):
		return invalid("%q includes invalid characters for a local volume name, only %q are allowed. If you intended to pass a host directory, use absolute path", name, "[a-zA-Z0-9][a-zA-Z0-9_.-]")
	}
	return nil
}

// draft is a volume that is not there yet.
func (v *Volumes) draft(o volume.CreateOptions) (*volumeRecord, error) {
	r := &volumeRecord{Name: o.Name, Created: time.Now().UTC(), place: v.root.Volume(o.Name)}
	if len(o.Labels) > 0 {
		r.Labels = o.Labels
	}
	if len(o.DriverOpts) > 0 {
		r.Options = o.DriverOpts
	}
	if _, err := vol.Parse(r.Options); err != nil {
		return nil, invalid("%w", err)
	}
	return r, nil
}

// locked loads a volume and keeps everybody else from changing it.
func (v *Volumes) locked(name string) (*volumeRecord, *store.Lock, error) {
	if !validName(name) {
		return nil, nil, noVolume(name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	lock, err := v.root.Volume(name).Lock(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, noVolume(name)
	}
	if err != nil {
		return nil, nil, err
	}
	r, err := v.load(name)
	if err != nil {
		return nil, nil, errors.Join(err, lock.Release())
	}
	return r, lock, nil
}

func (v *Volumes) load(name string) (*volumeRecord, error) {
	if !validName(name) {
		return nil, noVolume(name)
	}
	r := &volumeRecord{place: v.root.Volume(name)}
	err := store.Read(r.place.Document(), r)
	var damaged *store.Corrupt
	switch {
	case errors.As(err, &damaged):
		v.containers.warn(fmt.Sprintf("volume %s: %v; its labels and options are lost, what is in it is not", name, err))
		return v.rescued(name)
	case errors.Is(err, fs.ErrNotExist):
		return v.rescued(name)
	}
	return r, err
}

// rescued is a volume whose document was lost: what is in it must not be.
func (v *Volumes) rescued(name string) (*volumeRecord, error) {
	r := &volumeRecord{Name: name, place: v.root.Volume(name)}
	info, err := os.Stat(r.place.Data())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noVolume(name)
	}
	if err != nil {
		return nil, err
	}
	r.Created = info.ModTime().UTC()
	return r, store.Write(r.place.Document(), r)
}

func noVolume(name string) error {
	return &Error{Class: NotFound, Text: "get " + name + ": no such volume"}
}

// all reads all volumes, by name.
func (v *Volumes) all() ([]*volumeRecord, error) {
	names, err := v.root.VolumeNames()
	if err != nil {
		return nil, err
	}
	var all []*volumeRecord
	for _, name := range names {
		r, err := v.load(name)
		if Is(err, NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}
