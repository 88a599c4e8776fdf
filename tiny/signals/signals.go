// Package signals gives a Go program the signal dispositions that the same program would have in C.
//
// The Go runtime installs a handler for every signal before main runs. A lesson about PID 1 needs the opposite: the kernel
// drops a signal sent to the init of a PID namespace only while its disposition is the default one (pid_namespaces(7)), and a
// learner reads SigCgt in /proc/PID/status. So the dispositions are set back with rt_sigaction(2) itself, behind os/signal.
package signals

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

// Inherited is the environment variable by which our shell tells our applets which signals they were started with as
// ignored: the runtime puts its handlers over them before main can look. It is never passed on.
const Inherited = "TINY_IGNORED"

const (
	standard = 0
	ignored  = 1
	last     = 64
)

// action is the kernel's struct sigaction, the same on amd64 and arm64.
type action struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

var (
	mu      sync.Mutex
	runtime action // the runtime's own handler, to put back when a signal is caught after Reset
)

// kept are the signals whose handlers the runtime itself lives by: faults become panics, SIGURG preempts, 33 runs a system
// call on every thread.
func kept(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGURG, syscall.SIGKILL, syscall.SIGSTOP, 33:
		return true
	}
	return false
}

// Reset sets every signal that is not ignored to its default, as execve(2) does for a C program.
func Reset() {
	runtime = read(syscall.SIGURG)
	for sig := syscall.Signal(1); sig <= last; sig++ {
		if !kept(sig) && read(sig).handler > ignored {
			write(sig, action{handler: standard})
		}
	}
	list, ok := os.LookupEnv(Inherited)
	if !ok {
		return
	}
	os.Unsetenv(Inherited)
	for word := range strings.SplitSeq(list, ",") {
		if n, err := strconv.Atoi(word); err == nil && n > 0 && n <= last {
			Ignore(syscall.Signal(n))
		}
	}
}

// Default gives a signal its default action again.
func Default(sig syscall.Signal) {
	mu.Lock()
	defer mu.Unlock()
	write(sig, action{handler: standard})
}

// Ignore ignores a signal here and in every program started from here.
func Ignore(sig syscall.Signal) {
	mu.Lock()
	defer mu.Unlock()
	signal.Ignore(sig)
	write(sig, action{handler: ignored})
}

// Deafen ignores a signal here only: the runtime still counts it as handled and resets it in each child that it forks.
func Deafen(sig syscall.Signal) {
	mu.Lock()
	defer mu.Unlock()
	signal.Notify(make(chan os.Signal, 1), sig)
	write(sig, action{handler: ignored})
}

// Catch delivers a signal to the channel; children get the default.
func Catch(to chan<- os.Signal, sig syscall.Signal) {
	mu.Lock()
	defer mu.Unlock()
	signal.Notify(to, sig)
	write(sig, runtime)
}

// Ignored says whether the signal is ignored now.
func Ignored(sig syscall.Signal) bool { return read(sig).handler == ignored }

func read(sig syscall.Signal) (a action) {
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), 0, uintptr(unsafe.Pointer(&a)), 8, 0, 0)
	return a
}

func write(sig syscall.Signal, a action) {
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&a)), 0, 8, 0, 0)
}
