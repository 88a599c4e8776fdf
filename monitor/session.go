package monitor

import (
	"strconv"

	"glassbox/runtime"

	"golang.org/x/sys/unix"
)

// killSession kills an exec with all that it has started: everybody in the container who is in its session, or descends from somebody who is.
// It looks until nobody is found any more, since who is not dead yet may fork.
func (m *monitor) killSession(p *process) {
	p.signal(unix.SIGSTOP) //nolint:errcheck // it may be gone, but its number is its own until it is reaped
	for range 10 {
		if m.killMembers(p.pid) == 0 {
			break
		}
	}
	unix.Kill(-p.pid, unix.SIGKILL) //nolint:errcheck // the same
}

// killMembers kills whom it finds, but for the leader, whose number keeps the session's name from being given again.
func (m *monitor) killMembers(leader int) (killed int) {
	pids, _ := m.group.Procs()
	members := map[int]bool{leader: true}
	for grown := true; grown; {
		grown = false
		for _, pid := range pids {
			if !members[pid] && belongs(pid, leader, members) {
				members[pid], grown = true, true
			}
		}
	}
	for pid := range members {
		if pid != leader && unix.Kill(pid, unix.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}

// belongs reads parent and session of proc_pid_stat(5), fields 4 and 6.
func belongs(pid, leader int, members map[int]bool) bool {
	fields, err := runtime.Stat(pid)
	if err != nil || fields[0][0] == 'Z' {
		return false
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	session, _ := strconv.Atoi(string(fields[3]))
	return session == leader || members[parent]
}
