package runtime

import (
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// bindRequest is the text of bind.
func bindRequest(cpus []byte) program.Request {
	var list []string
	for n := range 8 * len(cpus) {
		if cpus[n/8]>>(n%8)&1 != 0 {
			list = append(list, fmt.Sprint(n))
		}
	}
	return program.Request{
		Call: fmt.Sprintf("sched_setaffinity(0, %d, [%s])", len(cpus), strings.Join(list, " ")),
		From: "process.execCPUAffinity.initial", Why: "what is born here runs on these processors first", Gives: "0",
	}
}

// bind holds this goroutine to its thread, and that to these processors. back undoes both.
func bind(cpus []byte) (back func(), err error) {
	runtime.LockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, 0, uintptr(len(cpus)), uintptr(unsafe.Pointer(&cpus[0]))); errno != 0 {
		runtime.UnlockOSThread()
		return nil, errno
	}
	return func() {
		unix.SchedSetaffinity(0, &before) //nolint:errcheck // we had it a moment ago
		runtime.UnlockOSThread()
	}, nil
}
