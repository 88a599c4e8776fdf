package namespaces

import (
	"errors"
	"fmt"
	"slices"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// clocks are those that a time namespace shifts, time_namespaces(7).
var clocks = []string{"boottime", "monotonic"}

// checkOffsets refuses what the kernel would refuse of linux.timeOffsets, and what could shift the clocks of others.
func (s Set) checkOffsets(offsets map[string]specs.LinuxTimeOffset) error {
	for clock, o := range offsets {
		switch {
		case !slices.Contains(clocks, clock):
			return fmt.Errorf("linux.timeOffsets: there is no clock %q to shift, only boottime and monotonic", clock)
		case o.Nanosecs >= 1e9:
			return fmt.Errorf("linux.timeOffsets[%s]: %d nanoseconds are a second or more", clock, o.Nanosecs)
		case s.New&unix.CLONE_NEWTIME == 0:
			return errors.New("linux.timeOffsets: clocks can be shifted only in a new time namespace")
		}
	}
	return nil
}

// openOffsets compiles the opening of the file to which the offsets are written. Who writes counts by the rights with which it was opened.
func openOffsets(b *program.Builder) program.Slot {
	b.From("linux.timeOffsets")
	return b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, "/proc/self/timens_offsets", unix.O_WRONLY|unix.O_CLOEXEC, 0).Why("open it to write the clocks' offsets").Keep()
}

// writeOffsets compiles the write of linux.timeOffsets, time_namespaces(7): one line "clock seconds nanoseconds" each.
func writeOffsets(b *program.Builder, file program.Slot, offsets map[string]specs.LinuxTimeOffset) {
	text := ""
	for _, clock := range clocks {
		if o, ok := offsets[clock]; ok {
			text += fmt.Sprintf("%s %d %d\n", clock, o.Secs, o.Nanosecs)
		}
	}
	b.From("linux.timeOffsets")
	b.Call(unix.SYS_WRITE, file, []byte(text), len(text)).Why("shift the clocks of the new time namespace")
	b.Close(file)
}
