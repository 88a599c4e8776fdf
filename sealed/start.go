package sealed

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Log opens what a process that stays has to say: its standard error.
func Log(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// Start execs the sealed program in a session of its own, with files as its descriptors from 3 on. What it inherits is only what
// stands here, the environment included (for cleanup commands).
func Start(exe *os.File, argv []string, log *os.File, files ...int) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	all := []uintptr{null.Fd(), null.Fd(), log.Fd()}
	for _, fd := range files {
		all = append(all, uintptr(fd))
	}
	// The child moves descriptors of its own to the numbers that follow the highest of its files: the program must lie above those.
	fd, err := unix.FcntlInt(exe.Fd(), unix.F_DUPFD_CLOEXEC, int(slices.Max(all))+len(all)+16)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	defer unix.Close(fd)
	pid, err := syscall.ForkExec("/proc/self/fd/"+strconv.Itoa(fd), argv, &syscall.ProcAttr{
		Dir:   "/",
		Env:   OneProcessor(os.Environ()),
		Files: all,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return &os.PathError{Op: "exec", Path: exe.Name(), Err: err}
	}
	go reap(pid)
	return nil
}

// OneProcessor tells the Go runtime before it starts that a process which mostly waits needs one processor only: each further one
// costs 10 KiB of memory, and hosts have many. The process takes the variable out again.
func OneProcessor(env []string) []string {
	env = slices.DeleteFunc(env, func(s string) bool { return strings.HasPrefix(s, "GOMAXPROCS=") })
	return append(env, "GOMAXPROCS=1")
}

// reap keeps a process that ends before us from staying a zombie. One that outlives us is init's.
func reap(pid int) {
	for {
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
			return
		}
	}
}

// CloseInherited closes what was inherited above the descriptor last: what the engine's caller left open, such as the pipe of a
// shell's $(...), must not stay open as long as the container lives. Only descriptors without FD_CLOEXEC have come through an
// execve(2); the others are ours, or the Go runtime's own.
func CloseInherited(last int) error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= last {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
	return nil
}
