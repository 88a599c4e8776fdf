package monitor

import (
	"os"
	"path/filepath"

	"glassbox/sealed"

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
	exe, err := sealed.Open(glassrun)
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

// spawn starts the sealed program. What it has to say before it knows its directory is not kept.
func spawn(exe *os.File, dir string, socket int, argv []string) error {
	path := os.DevNull
	if dir != "" {
		path = logPath(dir)
	}
	log, err := sealed.Log(path)
	if err != nil {
		return err
	}
	defer log.Close()
	return sealed.Start(exe, argv, log, socket)
}

// logPath is what the monitor itself has to say; what the container says is elsewhere.
func logPath(dir string) string { return filepath.Join(dir, "monitor.log") }
