package rootfs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// sysctls compiles linux.sysctl: writes below /proc/sys, before it becomes read-only. They go by the descriptor of a proc that this program
// has made, and through nothing that may be mounted or linked there (CVE-2025-52881): whatever /proc is by now, nothing else is written.
func (t *Tree) sysctls(b *program.Builder) {
	names := slices.Sorted(maps.Keys(t.sysctl()))
	if len(names) == 0 {
		return
	}
	proc, ok := t.kernel["/proc"]
	if !ok {
		proc = t.kernel[""]
	}
	const only = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS
	how := openHow(unix.O_WRONLY|unix.O_CLOEXEC, only)
	for _, name := range names {
		b.From("linux.sysctl[%s]", name)
		value := t.sysctl()[name]
		file := b.Call(unix.SYS_OPENAT2, proc, "sys/"+strings.Join(parts(name), "/"), how, len(how)).Why("open it to write one value: in this proc and through no link").Keep()
		b.Call(unix.SYS_WRITE, file, []byte(value), len(value)).Why("a kernel parameter of the container's own namespaces")
		b.Close(file)
	}
}

// privateProc compiles a proc that is mounted nowhere, for a container that has none of which we could be sure.
func (t *Tree) privateProc(b *program.Builder) {
	ours := func(m specs.Mount) bool {
		return destination(m) == "/proc" && m.Type == "proc" && !parse(m.Options).bind
	}
	if t.Still || len(t.sysctl()) == 0 || slices.ContainsFunc(t.Spec.Mounts, ours) {
		return
	}
	b.From("linux.sysctl")
	fs := b.Call(unix.SYS_FSOPEN, "proc", unix.FSOPEN_CLOEXEC).Why("a proc of our own: what the container has at /proc is not known to be one").Keep()
	t.kernel[""] = made(b, fs, 0)
}

func (t *Tree) sysctl() map[string]string {
	if t.Spec.Linux == nil {
		return nil
	}
	return t.Spec.Linux.Sysctl
}

// parts are the directories and the file of a parameter. Either dots separate them, and a slash stands for a dot in a name, or the other
// way round, as the first of the two decides: net.ipv4.conf.eno2/100.rp_filter, net/ipv4/conf/eno2.100/rp_filter; sysctl.d(5).
func parts(name string) []string {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '/' {
		return strings.Split(name, "/")
	}
	parts := strings.Split(name, ".")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], "/", ".")
	}
	return parts
}

// checkSysctls refuses what would lead out of /proc/sys. Which parameters a container may have is the namespaces' to say.
func (t *Tree) checkSysctls() error {
	for name := range t.sysctl() {
		if slices.ContainsFunc(parts(name), func(s string) bool { return s == "" || s == "." || s == ".." || strings.Contains(s, "/") }) {
			return fmt.Errorf("linux.sysctl[%s]: not the name of a kernel parameter", name)
		}
	}
	return nil
}
