package cgroups

import (
	"errors"
	"fmt"
	"unsafe"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// updateDevices gives a living group other device rules; none where r has none.
func (g Group) updateDevices(r *specs.LinuxResources) ([]program.Request, error) {
	if len(r.Devices) == 0 {
		return nil, nil
	}
	requests, err := deviceRequests(g.Path, r, replace)
	if err != nil || len(requests) > 0 {
		return requests, err
	}
	return []program.Request{{
		Call: fmt.Sprintf("bpf(BPF_PROG_DETACH, {target_fd=%q, attach_type=BPF_CGROUP_DEVICE})", g.Path),
		From: "linux.resources.devices",
		Why:  "nothing is refused any more: the group needs no program",
		Do:   func() error { return detachAll(g.Path) },
	}}, nil
}

// replace attaches a program first and detaches those that were there after: a device is open to nobody meanwhile to whom it is not before or
// after.
func replace(dir string, prog int) error {
	old, err := attached(dir)
	if err != nil {
		return err
	}
	if err := attach(dir, prog); err != nil {
		return err
	}
	return detach(dir, old)
}

func detachAll(dir string) error {
	old, err := attached(dir)
	if err != nil {
		return err
	}
	return detach(dir, old)
}

// progQuery, progID and progAttach are the beginnings of union bpf_attr that the commands read.
type progQuery struct {
	target, attachType, queryFlags, attachFlags uint32
	ids                                         uint64
	count                                       uint32
	_                                           uint32
}

type progID struct{ id, next, flags uint32 }

// attached are the ids of the group's own programs for devices.
func attached(dir string) ([]uint32, error) {
	group, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the device programs of %s: open: %w", dir, err)
	}
	defer unix.Close(group)
	ids := make([]uint32, 64) // BPF_CGROUP_MAX_PROGS
	q := progQuery{target: uint32(group), attachType: unix.BPF_CGROUP_DEVICE, ids: uint64(uintptr(unsafe.Pointer(&ids[0]))), count: uint32(len(ids))}
	if _, err := bpf(unix.BPF_PROG_QUERY, unsafe.Pointer(&q), unsafe.Sizeof(q)); err != nil {
		return nil, fmt.Errorf("reading the device programs of %s: %w", dir, err)
	}
	return ids[:q.count], nil
}

func detach(dir string, ids []uint32) error {
	group, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("detaching device programs from %s: open: %w", dir, err)
	}
	defer unix.Close(group)
	var errs []error
	for _, id := range ids {
		of := progID{id: id}
		fd, err := bpf(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&of), unsafe.Sizeof(of))
		if err == nil {
			attr := progAttach{target: uint32(group), prog: uint32(fd), attachType: unix.BPF_CGROUP_DEVICE}
			_, err = bpf(unix.BPF_PROG_DETACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
			unix.Close(int(fd))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("detaching device program %d from %s: %w", id, dir, err))
		}
	}
	return errors.Join(errs...)
}
