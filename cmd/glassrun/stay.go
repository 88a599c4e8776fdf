package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"glassbox/oci"
	"glassbox/sealed"

	"golang.org/x/sys/unix"
)

// To create a container takes memory that to wait for its end does not: types that were decoded, a program that was compiled, half-used pages.
// So whoever waits for more than a moment executes itself again, as the same process, whose child the container's process remains:
//
//	glassrun stay [--console FD] [--adopts] [--remove ID] PID

// moment is what a process may take before the one that waits for it makes itself small: then it does so for a long wait only.
const moment = 200 // milliseconds

// stayer is what is needed to wait for a process.
type stayer struct {
	console int
	adopts  bool
	remove  string // the container that is removed at the end; empty: none
}

// stay is the command.
func stay(g globals, args []string) error {
	var s stayer
	flags := flagSet("stay")
	flags.IntVar(&s.console, "console", -1, "")
	boolVar(flags, &s.adopts, "adopts")
	stringVar(flags, &s.remove, "remove")
	words, err := parse(flags, args, 1, 1)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(words[0])
	if err != nil {
		return err
	}
	var console *os.File
	if s.console >= 0 {
		unix.CloseOnExec(s.console)
		console = os.NewFile(uintptr(s.console), "console")
	}
	session, err := oci.Hold(pid, console, s.adopts)
	if err != nil {
		return err
	}
	forward(session)
	maskSignals(0)
	forgetProgram()
	return g.attend(session, s.remove)
}

// become executes this program again to wait for the session's process. It comes back only if that fails, and then nothing has changed.
func (g globals) become(s *oci.Session, remove string) {
	argv := append([]string{os.Args[0]}, g.given...)
	argv = append(argv, "stay")
	if console := s.Console(); console != nil {
		fd := console.Fd()
		unix.FcntlInt(fd, unix.F_SETFD, 0) //nolint:errcheck // our own descriptor
		argv = append(argv, "--console", strconv.Itoa(int(fd)))
	}
	if s.Adopts() {
		argv = append(argv, "--adopts")
	}
	if remove != "" {
		argv = append(argv, "--remove", remove)
	}
	maskSignals(^uint64(0)) // they wait until there are handlers again: the mask survives execve
	syscall.Exec("/proc/self/exe", append(argv, strconv.Itoa(s.Pid())), sealed.OneProcessor(os.Environ()))
	maskSignals(0)
}

// forgetProgram gives back the pages of our own program that coming up has touched. Those that are needed come back from the page cache.
func forgetProgram() {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) { // proc_pid_maps(5)
		words := strings.Fields(line)
		if len(words) < 6 || strings.Contains(words[1], "w") || !strings.HasPrefix(words[5], "/") {
			continue
		}
		from, to, _ := strings.Cut(words[0], "-")
		begin, err := strconv.ParseUint(from, 16, 64)
		end, endErr := strconv.ParseUint(to, 16, 64)
		if err == nil && endErr == nil {
			unix.RawSyscall(unix.SYS_MADVISE, uintptr(begin), uintptr(end-begin), unix.MADV_DONTNEED)
		}
	}
}

// maskSignals is rt_sigprocmask(2) for this thread.
func maskSignals(set uint64) {
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&set)), 0, 8, 0, 0)
}
