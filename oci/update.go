package oci

import (
	"encoding/json"
	"fmt"
	"reflect"

	"glassbox/cgroups"
	"glassbox/program"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Update changes the limits of a container: those that are in changes, in the form of linux.resources. What is not named stays as it is. When one
// cannot be set, those before it are put back.
func (s Store) Update(id string, changes *specs.LinuxResources) error {
	c, lock, err := s.Locked(id)
	if err != nil {
		return err
	}
	defer lock.Release()
	if c.Status() == Stopped {
		return ErrNotRunning
	}
	if c.Group == "" {
		return errNoGroup
	}
	spec, err := c.Spec()
	if err != nil {
		return err
	}
	before := spec.Linux.Resources
	if before == nil {
		before = &specs.LinuxResources{}
	}
	if reflect.DeepEqual(changes.Devices, before.Devices) {
		changes.Devices = nil // engines repeat them: they shall not be made anew for that
	}
	after, err := merge(before, changes)
	if err != nil {
		return err
	}
	if err := c.limit(before, after, changes); err != nil {
		return err
	}
	spec.Linux.Resources = after
	return store.Put(c.path(fileConfig), spec)
}

// merge puts changes over limits, field by field.
func merge(limits, changes *specs.LinuxResources) (*specs.LinuxResources, error) {
	merged := new(specs.LinuxResources)
	for _, r := range []*specs.LinuxResources{limits, changes} {
		text, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, merged); err != nil {
			return nil, err
		}
	}
	if m := changes.Memory; m != nil && m.Limit != nil && *m.Limit == -1 && m.Swap == nil {
		merged.Memory.Swap = m.Limit // no limit of memory and one of memory and swap together would contradict each other
	}
	return merged, nil
}

// limit asks the kernel. Limits depend on each other, swap on memory and quota on period: so a controller gets all of its own.
func (c *Container) limit(before, after, changes *specs.LinuxResources) error {
	facts, err := cgroups.Observe(after)
	if err != nil {
		return err
	}
	requests, err := c.Cgroup().Update(concerned(after, changes), facts)
	if err != nil {
		return err
	}
	var done []func() error
	err = program.Carry(requests, func(program.Request, error) {}, &done)
	if err == nil {
		return nil
	}
	back, refused := c.Cgroup().Update(concerned(before, changes), facts)
	if refused == nil {
		refused = program.Carry(back, func(program.Request, error) {}, &done)
	}
	if refused != nil {
		return fmt.Errorf("%w (and putting the limits back: %w)", err, refused)
	}
	return err
}

// concerned are the limits of those controllers that changes name.
func concerned(limits, changes *specs.LinuxResources) *specs.LinuxResources {
	some := *limits
	all, named := reflect.ValueOf(&some).Elem(), reflect.ValueOf(changes).Elem()
	for i := range all.NumField() {
		if named.Field(i).IsZero() {
			all.Field(i).SetZero()
		}
	}
	return &some
}
