package why

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// What security modules refuse, LSMs: security/apparmor in the kernel's source.
var (
	module       = moduleFor(nil)
	mountModule  = moduleFor(func(*probe) error { return badMount() })
	fileModule   = moduleFor(openAgain)
	execModule   = moduleFor(func(p *probe) error { return tryExec(p.object(0)) })
	socketModule = moduleFor(func(*probe) error { return trySocket() })
	noCapability = Cause{
		Name: "capability that a security module takes", Why: "AppArmor is asked whenever a capability is used: what a profile does not allow counts for nothing, though CapEff has it. Ubuntu's profile unprivileged_userns allows none",
		Check: "cat /proc/self/attr/current; grep CapEff /proc/self/status; dmesg | grep -i apparmor", Fix: "a profile that allows it; for programs that make user namespaces see: glassbox why EPERM uid_map", Learn: "capabilities-seccomp",
		test: func(p *probe) verdict { return p.takenCapability() },
	}
	armoredUsers = Cause{
		Name: "user namespaces need AppArmor's leave", Why: "Ubuntu 24.04 and later refuse user namespaces to programs without a profile; or, with their profile unprivileged_userns, let them make one and take all capabilities in it away, so that neither its map can be written nor anything be mounted there",
		Check: "sysctl kernel.apparmor_restrict_unprivileged_userns; unshare -U cat /proc/self/attr/current",
		Fix: `a profile for the one program: printf '%s\n' 'abi <abi/4.0>,' 'include <tunables/global>' 'profile NAME /PATH/OF/PROGRAM flags=(unconfined) { userns, }' | sudo tee /etc/apparmor.d/NAME; ` +
			`sudo apparmor_parser -r /etc/apparmor.d/NAME   (kernel.apparmor_restrict_unprivileged_userns=0 would do too, and opens it to every program of every user)`,
		Learn: "user-namespace", test: func(p *probe) verdict { return appArmorUsers(p.process()) },
	}
)

// moduleFor is the cause where a security module refuses a call; try is a harmless form of it, which a module judges first. Without one
// nobody can tell from here.
func moduleFor(try func(*probe) error) Cause {
	return Cause{
		Name: "security module", Why: "AppArmor or SELinux refuses what a profile does not allow, with rights or without; Docker's profile docker-default forbids mount",
		Check: "cat /proc/self/attr/current; dmesg | grep -iE 'apparmor|avc'", Fix: "in a container: --security-opt apparmor=unconfined (a whole wall less), or a profile that allows it",
		Learn: "capabilities-seccomp", test: func(p *probe) verdict { return confined(p, try) },
	}
}

// badMount asks for a tmpfs with an option that there is none of: security modules answer before the kernel looks at rights and options.
func badMount() error { return unix.Mount("none", "/", "tmpfs", 0, "no-such-option=1") }

// confinedBy is the label that a Linux security module has put on the process; empty: none, or unconfined.
func (p *probe) confinedBy() string {
	for _, file := range []string{"attr/apparmor/current", "attr/current"} {
		label, err := read(p.proc(file))
		label = strings.TrimRight(label, "\x00")
		if err == nil && label != "" {
			if strings.HasPrefix(label, "unconfined") || label == "kernel" {
				return ""
			}
			return label
		}
	}
	return ""
}

// confined tests whether a label is on the process, and whether it is what refuses a call with EACCES.
func confined(p *probe, try func(*probe) error) verdict {
	if p.pid == "none" {
		return p.elsewhere()
	}
	label := p.confinedBy()
	if label == "" {
		return no("%s: no label, or unconfined", p.proc("attr/current"))
	}
	line := p.proc("attr/current") + ": " + label
	if !p.self() || try == nil {
		return verdict{Unknown, []string{line, "whether that profile refuses it, the kernel's log tells: dmesg | grep -iE 'apparmor|avc'"}}
	}
	if err := try(p); errors.Is(err, unix.EACCES) {
		return verdict{Yes, []string{line, "a harmless form of the call, which modes and rights allow, is answered EACCES"}}
	}
	return verdict{No, []string{line, "but it lets a harmless form of the call pass"}}
}

// openAgain opens a file or directory in each way that its mode allows; nothing is written.
func openAgain(p *probe) error {
	path := existing(p.object(0))
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() && !info.IsDir() {
		return nil
	}
	for may, flag := range map[uint32]int{unix.R_OK: unix.O_RDONLY, unix.W_OK: unix.O_WRONLY} {
		if unix.Access(path, may) != nil || info.IsDir() && may == unix.W_OK {
			continue
		}
		fd, err := unix.Open(path, flag|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		unix.Close(fd)
	}
	return nil
}

// tryExec has a child execute a file under ptrace(2): it stops before the program's first instruction, and is killed there.
func tryExec(path string) error {
	if path == "" {
		return nil
	}
	runtime.LockOSThread() // the tracer is a thread
	defer runtime.UnlockOSThread()
	pid, err := syscall.ForkExec(path, []string{path}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true}})
	if err != nil {
		return err
	}
	syscall.Kill(pid, syscall.SIGKILL)
	_, err = syscall.Wait4(pid, nil, 0, nil)
	return err
}

func trySocket() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// takenCapability tests whether CAP_SYS_ADMIN is there, counts for the mounts around, and is refused all the same.
func (p *probe) takenCapability() verdict {
	label := p.confinedBy()
	line := p.proc("attr/current") + ": " + label
	switch {
	case label == "":
		return no("%s: no label, or unconfined", p.proc("attr/current"))
	case !p.self():
		return unknown("%s", line)
	case p.lacks(capSysAdmin).holds != No, p.foreign("mnt").holds != No, p.status("Seccomp") == "2":
		return verdict{No, []string{line, "what is missing is missing without it"}}
	}
	err := create("tmpfs")
	return verdict{when(errors.Is(err, unix.EPERM), "").holds, []string{line, "CapEff has CAP_SYS_ADMIN; a tmpfs that is mounted nowhere: " + text(err)}}
}

// usersProfile is the label that Ubuntu's kernels give a process that makes a user namespace without a profile of its own.
const usersProfile = "unprivileged_userns"

// appArmorUsers tests Ubuntu's restriction of user namespaces: by trying, where it is this process that is asked about.
func appArmorUsers(p *probe) verdict {
	value, known := sysctl("kernel.apparmor_restrict_unprivileged_userns")
	if !known {
		return no("there is no kernel.apparmor_restrict_unprivileged_userns")
	}
	label := p.confinedBy()
	seen := []string{"kernel.apparmor_restrict_unprivileged_userns = " + value, p.proc("attr/current") + ": " + orElse(label, "unconfined")}
	switch {
	case strings.HasPrefix(label, usersProfile):
		return verdict{Yes, seen}
	case value == "0", p.lacks(capSysAdmin).holds == No:
		return verdict{No, append(seen, p.lacks(capSysAdmin).evidence...)}
	case !p.self():
		return verdict{when(label == "", "").holds, seen}
	}
	switch err := useUsers(); {
	case errors.Is(err, unix.EACCES):
		return verdict{Yes, append(seen, "a child in a user namespace of its own, as this process: "+err.Error())}
	case errors.Is(err, unix.EPERM):
		return verdict{Yes, append(seen, "a child in a user namespace of its own, as this process: it can be made, and may nothing there")}
	default:
		return verdict{Unknown, append(seen, "this program may: it has leave; the one that failed needs leave of its own")}
	}
}

// useUsers makes a child in a user namespace of its own that uses a right there: it changes its root to the one that it has. It executes
// nothing, and so ends at once.
func useUsers() error {
	pid, err := syscall.ForkExec(nowhere, []string{nowhere}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, Chroot: "/"}})
	if err == nil { // it cannot be
		syscall.Wait4(pid, nil, 0, nil)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
