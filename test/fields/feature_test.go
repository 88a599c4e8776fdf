package fields

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"glassbox/test/fields/probe"

	"golang.org/x/sys/unix"
)

// feature tries something of the machine and says what is missing, or "".
type feature func() (missing string)

// controllers needs these of cgroup v2 for new groups.
func controllers(names ...string) feature {
	return func() string {
		have, _ := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
		for _, n := range names {
			if !slices.Contains(strings.Fields(string(have)), n) {
				return fmt.Sprintf("the cgroup v2 controller %s in /sys/fs/cgroup", n)
			}
		}
		return ""
	}
}

// elsewhere needs a host whose new groups do not have this controller.
func elsewhere(controller string) feature {
	return func() string {
		if controllers(controller)() == "" {
			return "a host without the cgroup v2 controller " + controller + ", which decides it otherwise"
		}
		return ""
	}
}

// file needs this path on the host, or one that matches it.
func file(pattern string) feature {
	return func() string {
		if found, _ := filepath.Glob(pattern); len(found) == 0 {
			return pattern
		}
		return ""
	}
}

// without needs a machine whose security module is off: this file says otherwise.
func without(module, path string) feature {
	return func() string {
		if text, _ := os.ReadFile(path); len(text) > 0 && text[0] != 'N' {
			return "a kernel without " + module
		}
		return ""
	}
}

// cpus needs so many processors.
func cpus(n int) feature {
	return func() string {
		if runtime.NumCPU() < n {
			return fmt.Sprintf("%d processors", n)
		}
		return ""
	}
}

// numa needs a kernel with memory policies.
func numa() string {
	if _, _, errno := unix.RawSyscall6(unix.SYS_GET_MEMPOLICY, 0, 0, 0, 0, 0, 0); errno != 0 {
		return "a kernel with NUMA: get_mempolicy: " + errno.Error()
	}
	return ""
}

// realtime needs that a process may have a real-time policy: a cgroup of version 1 can have no share of that time.
func realtime() string { return scheduled(&unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 1}) }

func deadline() string {
	return scheduled(&unix.SchedAttr{Policy: unix.SCHED_DEADLINE, Runtime: 2e6, Deadline: 20e6, Period: 100e6})
}

// scheduled tries a policy on a thread that ends with it.
func scheduled(a *unix.SchedAttr) (missing string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.SchedSetAttr(0, a, 0); err != nil {
			missing = "the right to a real-time policy: sched_setattr: " + err.Error()
		}
	}()
	<-done
	return missing
}

// i386 needs a kernel that takes the calls of 32-bit programs.
func i386() string {
	if !probe.I386() {
		return "32-bit system calls: the kernel takes none (CONFIG_IA32_EMULATION)"
	}
	return ""
}
