package monitor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// When the container's first process has ended, its restart policy says whether it is started again: after a pause, by the same monitor, on
// the network that it had, since the monitor holds its network namespace.
//
//	running --ends--> restarting --pause is over--> running
//	                      |
//	                      +--cancelled, or the start fails--> exited
//
// A network namespace belongs to a user namespace, and a container with one of its own gets a new one at each start. So it gets a new network
// namespace, too, into which Config.Replug plugs what the last one had.

// Docker's pauses: the first, the longest, and how long a container must run for the next to be as short as the first again.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = time.Minute
	steadyAfter  = 10 * time.Second
)

// reread takes what the engine may have replaced since.
func (m *monitor) reread() {
	if !m.replaced() {
		return
	}
	var c Config
	if err := m.read("monitor.json", &c); err != nil {
		complain(err)
		return
	}
	m.config.Restart, m.config.Actor, m.config.Events = c.Restart, c.Actor, c.Events
	m.config.Arriving, m.config.Parting = c.Arriving, c.Parting
}

// replaced says whether monitor.json is another file than when this was last asked.
func (m *monitor) replaced() bool {
	var s unix.Stat_t
	if err := unix.Stat(m.path("monitor.json"), &s); err != nil {
		return true // whoever reads it says why
	}
	word := [2]uint64{s.Ino, uint64(s.Ctim.Nano())}
	same := word == m.word
	m.word = word
	return !same
}

// intent is what users have had in mind with the signals that they sent: Config.Stopped.
func (m *monitor) intent() (stopped, cancelled bool) {
	b, err := os.ReadFile(m.config.Stopped)
	return err == nil && string(b) != Shutdown, len(b) > 0
}

// restarts decides, and sets the pause as moby's restartmanager does.
func (m *monitor) restarts() bool {
	stopped, cancelled := m.intent()
	if cancelled {
		return false
	}
	if m.state.FinishedAt.Sub(m.state.StartedAt) >= steadyAfter {
		m.pause = 0
	}
	m.pause = min(max(2*m.pause, firstPause), longestPause)
	return m.config.Restart.Wants(m.state.ExitCode, m.state.Restarts, stopped)
}

// ended is called when the first process has ended and its output is drained.
func (m *monitor) ended(code int) {
	m.state.Status, m.state.ExitCode = Exited, code
	m.reread()
	again := m.restarts()
	if again {
		m.state.Status = Restarting
		m.state.Restarts++
	}
	m.keepState()
	m.tellEnd()
	if !again {
		m.giveWay()
		return
	}
	m.retire()
	m.again = time.Now().Add(m.pause)
}

func (m *monitor) waiting() bool { return !m.again.IsZero() }

// retire lets go of the process that has ended. Its record stays, for those who wait for the next end.
func (m *monitor) retire() {
	p := m.main()
	p.release()
	*p = process{m: m, pidfd: -1, console: -1, ended: true, over: true, code: p.code}
	m.c, m.grown = nil, true
}

// cancel ends the waiting.
func (m *monitor) cancel() {
	if m.waiting() {
		m.stayDown()
	}
}

// stayDown: the container is not started again.
func (m *monitor) stayDown() {
	m.again = time.Time{}
	m.state.Status, m.state.Pid, m.state.PidStart = Exited, 0, 0
	m.finish()
	for _, peer := range m.peers {
		peer.tell(m.main())
	}
}

// startAgain is the end of the waiting. A start that fails is the last one, as in Docker.
func (m *monitor) startAgain() {
	m.again = time.Time{}
	if _, cancelled := m.intent(); cancelled {
		m.stayDown()
		return
	}
	m.grown = true
	before := m.state
	if err := m.bearAgain(); err != nil {
		p := m.main()
		p.close()
		*p = process{m: m, pidfd: -1, console: -1, ended: true, over: true, code: before.ExitCode}
		m.state = before
		m.state.Error = "starting it again: " + err.Error()
		m.stayDown()
	}
}

func (m *monitor) bearAgain() error {
	if err := m.readSpec(); err != nil {
		return err
	}
	if err := m.rejoin(); err != nil {
		return err
	}
	p := m.main()
	*p = process{m: m, pidfd: -1, console: -1}
	if err := m.bear(p, nil, nil); err != nil {
		return err
	}
	s, err := Identify(p.pid)
	if err == nil {
		m.state.Pid, m.state.PidStart = s.Pid, s.PidStart
		err = m.writeState() // a process that nobody would find must not run
	}
	if err == nil {
		err = m.replug(p.pid)
	}
	if err != nil {
		return errors.Join(err, m.destroy())
	}
	if err := m.pass(); err != nil {
		return err
	}
	m.account()
	return nil
}

// replug is short, and the container waits: so does the monitor.
func (m *monitor) replug(pid int) error {
	if len(m.config.Replug) == 0 {
		return nil
	}
	argv := append(slices.Clone(m.config.Replug), strconv.Itoa(pid))
	command, err := spawnCommand(argv)
	if err != nil {
		return err
	}
	if status, err := (ownChild{pid: command}).Wait(); err != nil || status != 0 {
		return errors.Join(fmt.Errorf("plugging the network in: exit code %d of %q, see monitor.log", status.ExitStatus(), argv), err)
	}
	return nil
}

// holdNetwork takes hold of the container's own network namespace, and with it of all that is plugged in, for the next start.
func (m *monitor) holdNetwork(pid int) error {
	if m.net >= 0 || !m.ownsNetwork() {
		return nil
	}
	fd, err := openFile("/proc/"+strconv.Itoa(pid)+"/ns/net", unix.O_RDONLY)
	if err == nil {
		m.net = fd
	}
	return err
}

// ownsNetwork: the network namespace was made for the container, and can be joined by its next process.
func (m *monitor) ownsNetwork() (owns bool) {
	if m.spec.Linux == nil {
		return false
	}
	for _, n := range m.spec.Linux.Namespaces {
		switch n.Type {
		case specs.UserNamespace:
			return false
		case specs.NetworkNamespace:
			owns = n.Path == ""
		}
	}
	return owns
}

// rejoin changes the spec for a further start: the network namespace is the one that is held; others', which are joined, are those
// that they have now.
func (m *monitor) rejoin() error {
	if m.spec.Linux == nil {
		return nil
	}
	for i := range m.spec.Linux.Namespaces {
		n := &m.spec.Linux.Namespaces[i]
		if donor, joined := m.config.Donors[string(n.Type)]; joined {
			s, err := ReadState(donor)
			if err == nil && (s.Status != Running || !s.Alive()) {
				err = fmt.Errorf("cannot join the %s namespace of a container that is %s", n.Type, s.Status)
			}
			if err != nil {
				return err
			}
			n.Path = "/proc/" + strconv.Itoa(s.Pid) + "/ns/" + namespaceFiles[n.Type]
		} else if n.Type == specs.NetworkNamespace && m.net >= 0 {
			n.Path = "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(m.net)
		}
	}
	return nil
}

// namespaceFiles are the names below /proc/PID/ns of what a container may share with another one.
var namespaceFiles = map[specs.LinuxNamespaceType]string{
	specs.NetworkNamespace: "net", specs.PIDNamespace: "pid", specs.IPCNamespace: "ipc",
}

// runs: attach and exec need a process.
func (m *monitor) runs() error {
	switch {
	case m.over:
		return errNotRunning
	case m.waiting():
		return fmt.Errorf("Container %s is restarting, wait until the container is running", m.config.ID) //nolint:staticcheck // Docker's words
	}
	return nil
}
