package confine

import (
	"encoding/binary"
	"fmt"
	"strings"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const rlimitCount = 16

const infinity = ^uint64(0)

var rlimitNames = [rlimitCount]string{
	"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE",
	"MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
}

// defaults is what a process has that nobody limited: the kernel's own values for init (include/asm-generic/resource.h), and systemd's
// for services, which Docker 28's containers have: open files 1024, 524288 at most. Zero stands for "as inherited", where
// the kernel computes the value from the machine's memory.
var defaults = map[int]Rlimit{
	unix.RLIMIT_CPU: {infinity, infinity}, unix.RLIMIT_FSIZE: {infinity, infinity}, unix.RLIMIT_DATA: {infinity, infinity},
	unix.RLIMIT_STACK: {8 << 20, infinity}, unix.RLIMIT_CORE: {infinity, infinity}, unix.RLIMIT_RSS: {infinity, infinity},
	unix.RLIMIT_NPROC: {infinity, infinity}, unix.RLIMIT_NOFILE: {1024, 524288}, unix.RLIMIT_MEMLOCK: {8 << 20, 8 << 20},
	unix.RLIMIT_AS: {infinity, infinity}, unix.RLIMIT_LOCKS: {infinity, infinity}, unix.RLIMIT_MSGQUEUE: {819200, 819200},
	unix.RLIMIT_NICE: {0, 0}, unix.RLIMIT_RTPRIO: {0, 0}, unix.RLIMIT_RTTIME: {infinity, infinity},
}

// Limits compiles process.rlimits, and the defaults for those which nobody named: a limit on whoever starts a container is not
// the container's. Without CAP_SYS_RESOURCE a default is cut to the hard limit that we have; one asked for is refused.
func (in Inherited) Limits(b *program.Builder, asked []specs.POSIXRlimit) error {
	want, from, err := merge(asked)
	if err != nil {
		return err
	}
	for n := range rlimitCount {
		l, ok := want[n]
		if !ok {
			continue
		}
		have := in.Rlimits[n]
		if !in.CanRaise && l.Hard > have.Hard {
			if from[n] != "" {
				return fmt.Errorf("%s: the hard limit of RLIMIT_%s is %s here, and without CAP_SYS_RESOURCE it cannot be raised to %s",
					from[n], rlimitNames[n], amount(have.Hard), amount(l.Hard))
			}
			l = Rlimit{min(l.Soft, have.Hard), have.Hard}
		}
		if l == have && from[n] == "" {
			continue
		}
		b.From("%s", from[n])
		value := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, l.Soft), l.Hard)
		b.Call(unix.SYS_PRLIMIT64, 0, n, value, nil).Why("%s", limitReason(from[n]))
	}
	return nil
}

func limitReason(from string) string {
	if from == "" {
		return "the default: the limits of whoever starts a container are not the container's"
	}
	return "limit what the process may use"
}

func merge(asked []specs.POSIXRlimit) (map[int]Rlimit, map[int]string, error) {
	want, from := map[int]Rlimit{}, map[int]string{}
	for n, l := range defaults {
		want[n] = l
	}
	for i, a := range asked {
		n := rlimitNumber(a.Type)
		switch {
		case n < 0:
			return nil, nil, fmt.Errorf("process.rlimits[%d]: unknown limit %q", i, a.Type)
		case from[n] != "":
			return nil, nil, fmt.Errorf("process.rlimits[%d]: %s is listed twice", i, a.Type)
		case a.Soft > a.Hard:
			return nil, nil, fmt.Errorf("process.rlimits[%d]: %s: soft limit %s is above hard limit %s", i, a.Type, amount(a.Soft), amount(a.Hard))
		}
		want[n], from[n] = Rlimit{a.Soft, a.Hard}, fmt.Sprintf("process.rlimits[%d]", i)
	}
	return want, from, nil
}

func rlimitNumber(name string) int {
	for n, s := range rlimitNames {
		if strings.TrimPrefix(name, "RLIMIT_") == s {
			return n
		}
	}
	return -1
}

func amount(n uint64) string {
	if n == infinity {
		return "unlimited"
	}
	return fmt.Sprint(n)
}
