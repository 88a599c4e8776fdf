package monitor

import (
	"fmt"
	"os"
	"syscall"
)

// claimed says whether a client has promised to clean up and is still there.
func (m *monitor) claimed() bool {
	for _, p := range m.peers {
		if p.cleans {
			return !m.cleaned
		}
	}
	return false
}

// cleanup runs the command line that the engine gave: the monitor's last act. The state is written and the lock is
// free by now. It is not waited for; it is a session of its own, and init reaps it.
func (m *monitor) cleanup() {
	if m.cleaned || len(m.config.Cleanup) == 0 {
		return
	}
	m.cleaned = true
	if _, err := spawnCommand(m.config.Cleanup); err != nil {
		complain(err)
	}
}

// spawnCommand starts a command line of the engine's, whose complaints go where ours go.
func spawnCommand(argv []string) (pid int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	pid, err = syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
		Dir:   "/",
		Env:   os.Environ(),
		Files: []uintptr{null.Fd(), null.Fd(), 2},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		err = fmt.Errorf("running the command %q: %w", argv, err)
	}
	return pid, err
}
