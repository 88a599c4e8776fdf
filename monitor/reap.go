package monitor

import (
	"errors"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reap takes the exit status of a process that has ended.
func (m *monitor) reap(p *process) {
	if p.ended {
		return
	}
	var end exit
	if p.child == nil {
		var known bool
		if end, known = m.adoptedExit(p); !known {
			return
		}
	} else {
		status, err := p.child.Wait()
		if err != nil {
			complain(err)
			end.code = Unobserved
			m.state.Error = "exit status not observed: " + err.Error()
		} else {
			end = exitOf(status)
		}
	}
	p.end(end.code)
	if p == m.main() {
		m.state.Signal = int(end.signal)
		m.mainEnded()
	}
}

// mainEnded: what else the container held goes before its end is told, so that it can be started again at once.
func (m *monitor) mainEnded() {
	m.state.FinishedAt = time.Now().UTC()
	m.state.Last = Last{Pid: m.state.Pid, Counts: m.group.Counts()} // the group is new with each start: any count is of this one
	m.state.Pid, m.state.PidStart = 0, 0
	m.health.end()
	m.state.OOMKilled = m.state.Last.Counts.OOMKills > 0
	if err := m.demolish(); err != nil {
		complain(err)
	}
}

// demolish is the runtime's Destroy, or, after a renewal, what that means for a container whose process is reaped.
func (m *monitor) demolish() error {
	if m.c != nil {
		return m.c.Destroy()
	}
	return m.raze()
}

// raze removes the group, with whoever is left in it.
func (m *monitor) raze() error {
	if m.group.Path == "" {
		return nil
	}
	if err := m.group.Kill(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return m.group.Remove()
}

// reapAll looks at every dead child before it takes one (WNOWAIT): those that the runtime started are its to wait for, the others
// are orphans that nobody else will. See waitid(2).
func (m *monitor) reapAll() {
	for {
		pid := deadChild()
		if pid == 0 {
			return
		}
		if p := m.byPid(pid); p != nil {
			m.reap(p)
		} else if len(m.stepped) > 0 {
			return // it may be a stepped exec's, which waits for it
		} else {
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
}

func (m *monitor) byPid(pid int) *process {
	for _, p := range m.processes {
		if p.pid == pid && p.child != nil && !p.ended {
			return p
		}
	}
	return nil
}

// deadChild returns the pid of a child that waits to be reaped, or 0.
func deadChild() int {
	// siginfo_t of a dead child: three ints, padding on 64 bits, then si_pid. x/sys keeps the field private.
	var info struct {
		signo, errno, code, _ int32
		pid                   int32
		_                     [108]byte
	}
	for {
		err := unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == nil {
			return int(info.pid)
		}
		if err != unix.EINTR {
			return 0 // ECHILD
		}
	}
}
