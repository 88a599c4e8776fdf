package monitor

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spawn starts a monitor that is told its directory later, by For: coming up takes it as long as the engine takes to
// draw a container.
func Spawn(glassrun string) (*Client, error) {
	return launch(glassrun, "", "glassrun", "monitor")
}

// Adopt starts a monitor for a container whose monitor was killed. Create waits until it has taken over.
func Adopt(glassrun, dir string) (*Client, error) {
	return launch(glassrun, dir, "glassrun", "monitor", "--adopt", dir)
}

func launch(glassrun, dir string, argv ...string) (*Client, error) {
	exe, err := Seal(glassrun)
	if err != nil {
		return nil, err
	}
	defer exe.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	said := logSize(dir)
	err = spawn(exe, dir, pair[1], argv)
	unix.Close(pair[1])
	if err != nil {
		unix.Close(pair[0])
		return nil, err
	}
	c, err := newConn(pair[0])
	if err != nil {
		return nil, err
	}
	return &Client{dir: dir, said: said, conn: c}, nil
}

// spawn execs the sealed program in a session of its own. What it inherits is only what stands here, the environment included
// (for the cleanup command).
func spawn(exe *os.File, dir string, socket int, argv []string) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	log := null
	if dir != "" {
		if log, err = openOwnLog(dir); err != nil {
			return err
		}
		defer log.Close()
	}
	// The child moves descriptors of its own to the numbers that follow the highest of its files: the program must lie above those.
	fd, err := unix.FcntlInt(exe.Fd(), unix.F_DUPFD_CLOEXEC, max(3, int(null.Fd()), int(log.Fd()), socket)+16)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	defer unix.Close(fd)
	path := "/proc/self/fd/" + strconv.Itoa(fd)
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Dir:   "/",
		Env:   oneProcessor(os.Environ()),
		Files: []uintptr{null.Fd(), null.Fd(), log.Fd(), uintptr(socket)},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return &os.PathError{Op: "exec", Path: exe.Name(), Err: err}
	}
	go reapMonitor(pid)
	return nil
}

// openOwnLog opens what the monitor itself has to say; what the container says is elsewhere.
func openOwnLog(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, "monitor.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// oneProcessor tells the Go runtime before it starts that the monitor needs one processor only: each further one costs 10 KiB of
// memory, and hosts have many. The monitor takes the variable out again.
func oneProcessor(env []string) []string {
	env = slices.DeleteFunc(env, func(s string) bool { return strings.HasPrefix(s, "GOMAXPROCS=") })
	return append(env, "GOMAXPROCS=1")
}

// reapMonitor keeps a monitor that ends before us from staying a zombie. One that outlives us is init's.
func reapMonitor(pid int) {
	for {
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
			return
		}
	}
}
