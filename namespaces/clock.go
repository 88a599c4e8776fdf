package namespaces

import (
	"fmt"
	"sort"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// writeOffsets compiles the write of linux.timeOffsets, time_namespaces(7): one line "clock seconds nanoseconds" each.
func writeOffsets(b *program.Builder, offsets map[string]specs.LinuxTimeOffset) {
	if len(offsets) == 0 {
		return
	}
	clocks := make([]string, 0, len(offsets))
	for c := range offsets {
		clocks = append(clocks, c)
	}
	sort.Strings(clocks)
	text := ""
	for _, c := range clocks {
		text += fmt.Sprintf("%s %d %d\n", c, offsets[c].Secs, offsets[c].Nanosecs)
	}
	b.From("linux.timeOffsets")
	b.WriteFile("/proc/self/timens_offsets", text, "shift the clocks of the new time namespace")
}

// Hostname compiles sethostname and setdomainname.
func Hostname(b *program.Builder, spec *specs.Spec) {
	if spec.Hostname != "" {
		b.From("hostname")
		b.Call(unix.SYS_SETHOSTNAME, spec.Hostname, len(spec.Hostname)).Why("name the container: only its UTS namespace sees it")
	}
	if spec.Domainname != "" {
		b.From("domainname")
		b.Call(unix.SYS_SETDOMAINNAME, spec.Domainname, len(spec.Domainname)).Why("set the NIS domain name")
	}
}
