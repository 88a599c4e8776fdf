package confine

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"glassbox/linux"
	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Scheduler compiles process.scheduler, sched_setattr(2).
func Scheduler(b *program.Builder, s *specs.Scheduler) error {
	if s == nil {
		return nil
	}
	policy, flags, err := checkScheduler(s)
	if err != nil {
		return err
	}
	const size = unix.SizeofSchedAttr
	attr := binary.NativeEndian.AppendUint32(make([]byte, 0, size), size)
	attr = binary.NativeEndian.AppendUint32(attr, uint32(policy))
	attr = binary.NativeEndian.AppendUint64(attr, flags)
	attr = binary.NativeEndian.AppendUint32(attr, uint32(s.Nice))
	attr = binary.NativeEndian.AppendUint32(attr, uint32(s.Priority))
	for _, v := range []uint64{s.Runtime, s.Deadline, s.Period} {
		attr = binary.NativeEndian.AppendUint64(attr, v)
	}
	b.From("process.scheduler")
	b.Call(unix.SYS_SCHED_SETATTR, 0, attr[:size], 0).Why("how the kernel shares the processors out to it")
	return nil
}

func checkScheduler(s *specs.Scheduler) (policy, flags uint64, err error) {
	policy, known := linux.Schedulers.Value(string(s.Policy))
	for i, name := range s.Flags {
		f, known := linux.SchedFlags.Value(string(name))
		if !known {
			return 0, 0, fmt.Errorf("process.scheduler.flags[%d]: unknown flag %q", i, name)
		}
		flags |= f
	}
	nice := policy == uint64(unix.SCHED_NORMAL) || policy == unix.SCHED_BATCH
	realtime := policy == unix.SCHED_FIFO || policy == unix.SCHED_RR
	switch {
	case s.Policy == "":
		err = fmt.Errorf("process.scheduler.policy: missing")
	case !known:
		err = fmt.Errorf("process.scheduler.policy: unknown policy %q", s.Policy)
	case nice && (s.Nice < -20 || s.Nice > 19):
		err = fmt.Errorf("process.scheduler.nice: %d is not between -20 and 19", s.Nice)
	case s.Priority != 0 && !realtime:
		err = fmt.Errorf("process.scheduler.priority: %s has none, only SCHED_FIFO and SCHED_RR have", s.Policy)
	case policy != unix.SCHED_DEADLINE && (s.Runtime != 0 || s.Deadline != 0 || s.Period != 0):
		err = fmt.Errorf("process.scheduler: runtime, deadline and period are for SCHED_DEADLINE, not for %s", s.Policy)
	}
	return policy, flags, err
}

// IOPriority compiles process.ioPriority, ioprio_set(2). The process is the only one of its group yet.
func IOPriority(b *program.Builder, p *specs.LinuxIOPriority) error {
	if p == nil {
		return nil
	}
	class, known := linux.IoPriorityClasses.Value(string(p.Class))
	switch {
	case !known || class == 0:
		return fmt.Errorf("process.ioPriority.class: unknown class %q", p.Class)
	case p.Priority < 0 || p.Priority > 7:
		return fmt.Errorf("process.ioPriority.priority: %d is not between 0 and 7", p.Priority)
	}
	b.From("process.ioPriority")
	b.Call(unix.SYS_IOPRIO_SET, ioprioWhoProcess, 0, class<<ioprioClassShift|uint64(p.Priority)).Why("whose requests the disks serve first")
	return nil
}

const ioprioClassShift = 13 // IOPRIO_CLASS_SHIFT

// Affinity is process.execCPUAffinity: masks of processors, sched_setaffinity(2); nil: unset.
type Affinity struct{ Initial, Final []byte }

// AffinityOf reads it.
func AffinityOf(a *specs.CPUAffinity) (out Affinity, err error) {
	const most = 8192 // CONFIG_NR_CPUS of x86
	if a == nil {
		return out, nil
	}
	if a.Initial != "" {
		if out.Initial, err = mask("process.execCPUAffinity.initial", a.Initial, most); err != nil {
			return out, err
		}
	}
	if a.Final != "" {
		out.Final, err = mask("process.execCPUAffinity.final", a.Final, most)
	}
	return out, err
}

// Settle compiles where the process runs once it is in the container's cgroup.
func (a Affinity) Settle(b *program.Builder) {
	if a.Final == nil {
		return
	}
	b.From("process.execCPUAffinity.final")
	b.Call(unix.SYS_SCHED_SETAFFINITY, 0, len(a.Final), a.Final).Why("run on these processors")
}

// mask is a list such as 0-3,7 of numbers below limit as words of bits.
func mask(field, list string, limit int) ([]byte, error) {
	var bits []byte
	for _, part := range strings.Split(list, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(from)
		b := a
		if isRange && err == nil {
			b, err = strconv.Atoi(to)
		}
		if err != nil || a < 0 || b < a || b >= limit {
			return nil, fmt.Errorf("%s: %q is no list such as 0-3,7", field, list)
		}
		for len(bits)*8 <= b {
			bits = append(bits, make([]byte, 8)...)
		}
		for n := a; n <= b; n++ {
			bits[n/8] |= 1 << (n % 8)
		}
	}
	return bits, nil
}
