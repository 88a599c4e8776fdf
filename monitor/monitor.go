package monitor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"glassbox/cgroups"
	"glassbox/logfile"
	"glassbox/program"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

var (
	errNoTerminal = errors.New("the process has no terminal")
	errNotRunning = errors.New("the container is not running")
)

// monitor is the process that stays with one container.
//
// Its life: created (the container waits at its gate) -> running -> over, or, by a restart policy, running once more (restart.go). It
// is also over when the start fails, or when the first client goes away before the start. Being over means: the end is recorded, socket and FIFOs are
// removed, the lock is free. After that it only tells the end to those who wait, and leaves.
type monitor struct {
	dir     string
	config  Config
	word    [2]uint64 // inode and time of the monitor.json that was last read
	spec    *specs.Spec
	env     []string // of its process, from the first client
	starter starter
	c       container     // nil after a renewal, until it is needed
	group   cgroups.Group // of the container
	state   State
	before  []byte          // the state file as it was found
	lock    int             // descriptor, -1: not held
	grown   bool            // work was done that leaves traces in memory: renew
	garbage int             // estimated, beside that
	log     *logfile.Writer // nil: none is kept
	health  health
	started bool
	over    bool
	done    bool
	net     int           // descriptor of the container's own network namespace, -1: none
	pause   time.Duration // before the last start by the restart policy
	again   time.Time     // when that starts the container again; zero: it does not wait for that
	cleaned bool          // the cleanup command is started, or a client has cleaned up
	sweeps  bool          // a client has cleaned up but for the directories, which are ours to delete
	links   []string      // and interfaces

	listener  *listener
	children  *children
	stepped   []*steppedExec
	processes []*process // the container's first process is the first
	peers     []*peer
	first     *peer // the client that started us; nil when it is gone

	sources   []source
	polls     []unix.PollFd
	scratch   []byte
	busyAt    time.Time // something happened last, since memory was given back
	busySince time.Time // something happened first
	tidiedAt  time.Time
}

func newMonitor(dir string, s starter) *monitor {
	m := &monitor{dir: dir, starter: s, lock: -1, net: -1}
	m.health.m = m
	return m
}

// Run is `glassrun monitor DIR`. With --adopt it takes over a container whose monitor was killed, with --resume FD it
// is the same monitor renewed. Descriptor 3 is a socket to the first client, but for --resume.
func Run(args []string) error { return run(args, realStarter{}) }

func run(args []string, s starter) error {
	var how string
	if len(args) > 0 && strings.HasPrefix(args[0], "--") {
		how, args = args[0], args[1:]
	}
	if how == "--resume" && len(args) == 2 {
		return continued(args[0], args[1], s)
	}
	if len(args) > 1 || how != "" && how != "--adopt" {
		return errors.New("monitor: want [--adopt] and the container's state directory")
	}
	m := newMonitor("", s)
	if len(args) == 1 {
		m.dir = args[0]
	}
	if err := m.settleIn(); err != nil {
		return err
	}
	if told, err := m.awaitWord(); err != nil || !told {
		return err
	}
	begin := m.create
	if how == "--adopt" {
		begin = m.adopt
	}
	if err := begin(); err != nil {
		m.first.refuse(err)
		m.withdraw()
		return err
	}
	m.grown = true
	if how == "--adopt" {
		m.born(m.main().pid)
	}
	m.first.reply(reply{Pid: m.main().pid})
	return m.stay()
}

func continued(fd, dir string, s starter) error {
	n, err := strconv.Atoi(fd)
	if err != nil {
		return fmt.Errorf("monitor: --resume: %w", err)
	}
	m := newMonitor(dir, s)
	if err := m.resume(n); err != nil {
		return err
	}
	return m.stay()
}

// stay is the monitor's life; after it, it sweeps up if somebody asked.
func (m *monitor) stay() error {
	err := m.loop()
	for _, name := range m.links {
		err = errors.Join(err, deleteLink(name))
	}
	if !m.sweeps {
		return err
	}
	return errors.Join(err, store.Place{Dir: filepath.Dir(m.config.StateFile), Run: m.dir}.Sweep())
}

func (m *monitor) main() *process { return m.processes[0] }

func (m *monitor) writeState() error { return store.Write(m.config.StateFile, m.state) }

// start opens the gate.
func (m *monitor) start() error {
	switch {
	case m.started:
		return errors.New("the container is already started")
	case m.over || m.main().ended:
		return errors.New("the container's process ended before it was started")
	}
	err := m.pass()
	if err != nil {
		m.fail(err)
	}
	return err
}

// pass lets the process through its gate.
func (m *monitor) pass() error {
	if err := m.c.Start(); err != nil {
		m.account()
		return err
	}
	s := &m.state
	s.Status, s.StartedAt, s.ExitCode, s.OOMKilled, s.Error = Running, time.Now().UTC(), 0, false, ""
	m.health.begin()
	if err := m.writeState(); err != nil { // a container that nobody would find again must not run
		return errors.Join(err, m.destroy())
	}
	m.started = true
	m.tellStart()
	return nil
}

// fail records a start that did not succeed; the runtime has destroyed the container.
func (m *monitor) fail(err error) {
	p := m.main()
	p.ended, p.over = true, true
	p.close()
	m.state = State{Status: Created, BootID: m.state.BootID, Error: err.Error()}
	m.finish()
}

// abandon undoes a start that the engine did not finish.
func (m *monitor) abandon() {
	p := m.main()
	p.ended, p.over = true, true
	if err := m.destroy(); err != nil {
		complain(err)
	}
	p.close()
	m.restore()
	m.leave()
	m.cleanup()
}

// cut ends a process whose client, to which it is tied, has gone. One that has ended by itself needs no signal.
func (m *monitor) cut() { m.main().signal(unix.SIGKILL) }

// destroy ends a container that has not been started.
func (m *monitor) destroy() error {
	_, pidfd := m.c.pids()
	unix.PidfdSendSignal(int(pidfd.Fd()), unix.SIGKILL, nil, 0)
	_, err := m.c.Wait()
	return errors.Join(err, m.c.Destroy())
}

// restore puts the state file back.
func (m *monitor) restore() {
	err := os.Remove(m.config.StateFile)
	if m.before != nil {
		err = store.Replace(m.config.StateFile, m.before, 0o600)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		complain(err)
	}
}

// account writes account.json when the engine wants it: after whoever waits for the start has been told of it, since it takes longer than most
// steps of it. Who asks anything after that is answered when it lies there.
func (m *monitor) account() {
	if !m.config.Explain {
		return
	}
	if err := store.Write(m.path("account.json"), m.c.Account()); err != nil {
		complain(err)
	}
}

// finished is called when a process has ended, its output is drained, and it is to be told.
func (m *monitor) finished(p *process) {
	if p == m.main() {
		m.ended(p.code)
	} else {
		m.tell("exec_die", "execID", p.id, "exitCode", strconv.Itoa(p.code))
		m.health.finished(p)
	}
	for _, peer := range m.peers {
		peer.tell(p)
	}
}

// finish records the end and gives way.
func (m *monitor) finish() {
	m.keepState()
	m.giveWay()
}

func (m *monitor) keepState() {
	if err := m.writeState(); err != nil {
		complain(err)
	}
}

// giveWay: the next command finds a dead monitor and a true state.
func (m *monitor) giveWay() {
	m.leave()
	if !m.claimed() {
		m.cleanup()
	}
}

// leave removes what the monitor put into the directory. The lock file itself stays: two monitors must never hold
// two files of that name.
func (m *monitor) leave() {
	m.over = true
	m.withdraw()
}

func (m *monitor) withdraw() {
	if m.lock < 0 {
		return
	}
	if m.listener != nil {
		m.listener.close()
		m.listener = nil
	}
	for _, name := range fifos {
		unix.Unlink(m.path(name))
	}
	if m.net >= 0 {
		unix.Close(m.net)
		m.net = -1
	}
	unix.Close(m.lock)
	m.lock = -1
}

// mayLeave ends the loop when everything is over and told.
func (m *monitor) mayLeave() {
	if !m.over || m.claimed() || len(m.processes) > 1 || len(m.stepped) > 0 {
		return
	}
	for _, p := range m.peers {
		if p.pending() {
			return
		}
	}
	m.done = true
}

// forget drops execs that are over.
func (m *monitor) forget() {
	kept := m.processes[:0]
	for i, p := range m.processes {
		if i == 0 || !p.over {
			kept = append(kept, p)
		} else {
			p.release()
			m.grown = true
		}
	}
	clear(m.processes[len(kept):])
	m.processes = kept
}

func (m *monitor) process(id string) (*process, error) {
	for _, p := range m.processes {
		if p.id == id {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no exec %s is running", id)
}

// complain writes to monitor.log: nobody else can be told.
func complain(err error) { fmt.Fprintf(os.Stderr, "glassrun: monitor: %v\n", err) }

func accountOf(c child) []program.Account {
	if c == nil {
		return nil
	}
	return c.Account()
}
