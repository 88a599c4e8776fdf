package confine

import (
	"errors"
	"fmt"
	"os"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Modules are the security modules of this kernel that give processes labels.
type Modules struct{ AppArmor, SELinux bool }

// ObserveModules looks for those that p asks for.
func ObserveModules(p *specs.Process) (m Modules) {
	if p == nil {
		return m
	}
	if p.ApparmorProfile != "" {
		enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
		m.AppArmor = err == nil && len(enabled) > 0 && enabled[0] == 'Y'
	}
	if p.SelinuxLabel != "" {
		var fs unix.Statfs_t
		m.SELinux = unix.Statfs("/sys/fs/selinux", &fs) == nil && fs.Type == unix.SELINUX_MAGIC
	}
	return m
}

// Label is under which name a security module knows the program that a process becomes: process.apparmorProfile or process.selinuxLabel. The
// module takes it from a file in /proc, which in a container anybody may have replaced: it is opened by way of the host's
// /proc, by the process itself, and written last (CVE-2019-16884, CVE-2023-28642).
type Label struct {
	field, file, value string
	attribute          program.Slot
}

// LabelOf is what p asks for; a kernel without that module is refused.
func LabelOf(p *specs.Process, m Modules) (l Label, err error) {
	switch {
	case p.ApparmorProfile != "" && p.SelinuxLabel != "":
		err = errors.New("process.selinuxLabel: process.apparmorProfile is set as well, and a kernel has one of both modules")
	case p.ApparmorProfile != "" && !m.AppArmor:
		err = fmt.Errorf("process.apparmorProfile: %s: apparmor: config provided but apparmor not supported", p.ApparmorProfile)
	case p.ApparmorProfile != "":
		l = Label{field: "process.apparmorProfile", file: "self/attr/apparmor/exec", value: "exec " + p.ApparmorProfile}
	case p.SelinuxLabel != "" && !m.SELinux:
		err = errors.New("process.selinuxLabel: selinux label is specified in config, but selinux is disabled or not supported")
	case p.SelinuxLabel != "":
		l = Label{field: "process.selinuxLabel", file: "self/attr/exec", value: p.SelinuxLabel}
	}
	return l, err
}

// Hold compiles the open of the host's /proc, for a process that is about to leave the host's files. It has to have its final number when it opens
// the file below.
func (l *Label) Hold(b *program.Builder) (proc program.Slot) {
	if l == nil || l.value == "" {
		return 0
	}
	b.From("%s", l.field)
	return b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, "/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0).Why("the host's /proc: the container's may be anything").Keep()
}

// Open compiles the open of the file, in /proc as Hold has it, which is let go of.
func (l *Label) Open(b *program.Builder, proc program.Slot) {
	if l == nil || l.value == "" {
		return
	}
	b.From("%s", l.field)
	l.attribute = b.Call(unix.SYS_OPENAT, proc, l.file, unix.O_WRONLY|unix.O_CLOEXEC, 0).Why("where the process says who it wants to be to the security module").Keep()
	b.Close(proc)
}

// Write compiles the write.
func (l *Label) Write(b *program.Builder) {
	if l == nil || l.value == "" {
		return
	}
	b.From("%s", l.field)
	b.Call(unix.SYS_WRITE, l.attribute, []byte(l.value), len(l.value)).Why("from execve on the module holds the program to what this name allows")
}
