package engine

import (
	"context"
	"errors"
	"slices"

	"glassbox/program"

	"github.com/docker/docker/api/types/container"
)

// Update changes limits and the restart policy, live and in the record.
func (c *Containers) Update(id string, u container.UpdateConfig) (warnings []string, err error) {
	if warnings, err = checkResources(&u.Resources, true); err != nil {
		return warnings, err
	}
	if err := container.ValidateRestartPolicy(u.RestartPolicy); err != nil {
		return warnings, invalid("%w", err)
	}
	r, lock, err := c.locked(context.Background(), id)
	if err != nil {
		return warnings, err
	}
	defer lock.Release()
	if err := checkCgroup(r.Cgroup, u.Resources); err != nil {
		return warnings, prefixed("Cannot update container "+r.ID, err)
	}
	if err := overlay(&r.HostConfig.Resources, u.Resources); err != nil {
		return warnings, prefixed("Cannot update container "+r.ID, err)
	}
	if u.RestartPolicy.Name != "" {
		if r.HostConfig.AutoRemove && !u.RestartPolicy.IsNone() {
			return warnings, conflict("Cannot update container %s: Restart policy cannot be updated because AutoRemove is enabled for the container", r.ID)
		}
		r.HostConfig.RestartPolicy = u.RestartPolicy
	}
	s, err := c.state(r)
	if err != nil {
		return warnings, err
	}
	if s.Running && !s.Restarting {
		if err := c.apply(r); err != nil {
			return warnings, prefixed("Cannot update container "+r.ID, limitRefused(err))
		}
	} else if err := c.refuseLimits(r); err != nil {
		return warnings, prefixed("Cannot update container "+r.ID, err)
	}
	if err := r.save(); err != nil {
		return warnings, err
	}
	c.tell(r, "update")
	if !s.Running {
		return warnings, nil
	}
	if changes(u.Resources) {
		if err := r.relimit(); err != nil {
			return warnings, err
		}
	}
	return warnings, r.rebrief()
}

// apply changes the limits of a running container. When one cannot be set, those before it are put back.
func (c *Containers) apply(r *record) error {
	f, err := c.groups()
	if err != nil {
		return err
	}
	g, err := c.groupOf(r)
	if err != nil {
		return err
	}
	// Limits that depend on another one (swap on memory, quota on period) are computed from the whole.
	l, err := r.limits()
	if err != nil {
		return err
	}
	requests, err := g.Update(l, f)
	if err != nil {
		return err
	}
	for i, q := range requests {
		if err := q.Do(); err != nil {
			return errors.Join(err, undo(requests[:i]))
		}
	}
	return nil
}

func undo(done []program.Request) error {
	var errs []error
	for _, q := range slices.Backward(done) {
		if q.Undo != nil {
			errs = append(errs, q.Undo())
		}
	}
	return errors.Join(errs...)
}

// overlay puts the changes over what is, as Docker does: what is zero stays.
func overlay(have *container.Resources, u container.Resources) error {
	switch {
	case u.NanoCPUs > 0 && have.CPUPeriod > 0:
		return conflict("Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set")
	case u.NanoCPUs > 0 && have.CPUQuota > 0:
		return conflict("Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set")
	case u.CPUPeriod > 0 && have.NanoCPUs > 0:
		return conflict("Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set")
	case u.CPUQuota > 0 && have.NanoCPUs > 0:
		return conflict("Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set")
	case u.Memory != 0 && u.Memory > have.MemorySwap && u.MemorySwap == 0 && have.MemorySwap != -1:
		return conflict("Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time")
	}
	for to, from := range map[*int64]int64{
		&have.CPUShares: u.CPUShares, &have.NanoCPUs: u.NanoCPUs, &have.CPUPeriod: u.CPUPeriod, &have.CPUQuota: u.CPUQuota,
		&have.Memory: u.Memory, &have.MemorySwap: u.MemorySwap, &have.MemoryReservation: u.MemoryReservation,
	} {
		if from != 0 {
			*to = from
		}
	}
	have.CpusetCpus, have.CpusetMems = either(u.CpusetCpus, have.CpusetCpus), either(u.CpusetMems, have.CpusetMems)
	if u.BlkioWeight != 0 {
		have.BlkioWeight = u.BlkioWeight
	}
	if u.PidsLimit != nil {
		have.PidsLimit = u.PidsLimit
	}
	return nil
}
