package attendant

import (
	"os"
	"runtime/debug"
	"syscall"

	"glassbox/sealed"

	"golang.org/x/sys/unix"
)

// What a busy attendant needed does not go by a garbage collection alone: stacks, pages that are half in use, the records of goroutines. So,
// when it is idle again, it executes itself again and continues, as the same process, with the same sockets; what arrives meanwhile,
// for about a millisecond, waits in their queues. What it knew is in files.

// renew does nothing when something is on its way that could not be taken along.
func (a *attendant) renew() {
	for _, l := range a.loops {
		l.stop()
	}
	if a.idle() {
		a.again()
	}
	for _, l := range a.loops {
		l.start()
	}
	debug.FreeOSMemory()
}

// idle is final only when the loops have stopped.
func (a *attendant) idle() bool {
	return len(a.places) == 0 && (a.resolver == nil || a.resolver.idle())
}

// again comes back only if something is wrong, and then nothing has changed.
func (a *attendant) again() {
	if c, err := readConfig(a.path(configName)); err != nil || sockets(c) != sockets(a.config) {
		return
	}
	inheritable(lastFD(a.config), true)
	defer inheritable(lastFD(a.config), false)
	syscall.Exec("/proc/self/exe", commandLine(a.dir), sealed.OneProcessor(os.Environ()))
}

// inheritable lets the descriptors from the lock to the last socket outlive execve(2), or not.
func inheritable(last int, yes bool) {
	flag := unix.FD_CLOEXEC
	if yes {
		flag = 0
	}
	for fd := readyFD; fd <= last; fd++ {
		unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag)
	}
}
