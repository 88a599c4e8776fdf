package monitor

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"glassbox/cgroups"
	"glassbox/program"
	"glassbox/rootfs"
	"glassbox/runtime"
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
// Its life: created (the container waits at its gate) -> running -> over. It is also over when the start fails, or when
// the first client goes away before the start. Being over means: the end is recorded, socket and FIFOs are
// removed, the lock is free. After that it only tells the end to those who wait, and leaves.
type monitor struct {
	dir     string
	config  Config
	spec    *specs.Spec
	starter starter
	c       container     // nil after a renewal, until it is needed
	group   cgroups.Group // of the container
	state   State
	before  []byte // the state file as it was found
	lock    int    // descriptor, -1: not held
	grown   bool   // work was done that leaves traces in memory: renew
	garbage int    // estimated, beside that
	log     *logFile
	started bool
	over    bool
	done    bool
	cleaned bool // the cleanup command is started, or a client has cleaned up

	listener  *listener
	children  *children
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
	if len(args) != 1 || how != "" && how != "--adopt" {
		return errors.New("monitor: want [--adopt] and the container's state directory")
	}
	m := &monitor{dir: args[0], starter: s, lock: -1}
	if err := m.settleIn(); err != nil {
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
	m.first.reply(reply{Pid: m.main().pid})
	return m.loop()
}

func continued(fd, dir string, s starter) error {
	n, err := strconv.Atoi(fd)
	if err != nil {
		return fmt.Errorf("monitor: --resume: %w", err)
	}
	m := &monitor{dir: dir, starter: s, lock: -1}
	if err := m.resume(n); err != nil {
		return err
	}
	return m.loop()
}

// settleIn makes this process fit to stay for long, whoever started it.
func (m *monitor) settleIn() error {
	unix.Umask(0o022)
	os.Unsetenv("GOMAXPROCS") // see Launch
	if err := unix.Chdir("/"); err != nil {
		return os.NewSyscallError("chdir", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(3, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return errors.New("descriptor 3 is not a socket: a monitor is started by glassbox, not by hand")
	}
	unix.CloseOnExec(3)
	if err := closeInherited(); err != nil {
		return err
	}
	if err := unix.SetNonblock(3, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	m.first = &peer{m: m, fd: 3}
	m.peers = []*peer{m.first}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl(PR_SET_CHILD_SUBREAPER)", err)
	}
	return nil
}

// closeInherited: what the engine's caller left open, such as the pipe of a shell's $(...), must not stay open as long as the
// container lives. Only descriptors without FD_CLOEXEC have come through an execve(2); the others are ours, or
// the Go runtime's own.
func closeInherited() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 3 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
	return nil
}

// open takes the lock and reads what the engine wrote.
func (m *monitor) open(patience time.Duration) error {
	if err := m.takeLock(patience); err != nil {
		return err
	}
	if err := m.read("monitor.json", &m.config); err != nil {
		return err
	}
	if err := m.readSpec(); err != nil {
		return err
	}
	if m.config.LogFile != "" {
		l, err := openLog(m.config.LogFile)
		if err != nil {
			return err
		}
		m.log = l
	}
	c, err := watchChildren(m)
	m.children = c
	return err
}

// readSpec reads config.json.
func (m *monitor) readSpec() error {
	m.spec = &specs.Spec{}
	if err := m.read("config.json", m.spec); err != nil {
		return err
	}
	if m.spec.Process == nil {
		return fmt.Errorf("%s: process is missing", m.path("config.json"))
	}
	return nil
}

// takeLock waits a little: a blocked flock(2) could not be given up.
func (m *monitor) takeLock(patience time.Duration) error {
	path := m.path("lock")
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	deadline := time.Now().Add(patience)
	for {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			m.lock = fd
			return nil
		}
		if err != unix.EINTR && (err != unix.EWOULDBLOCK || time.Now().After(deadline)) {
			unix.Close(fd)
			return &os.PathError{Op: "lock", Path: path, Err: err}
		}
		time.Sleep(time.Millisecond)
	}
}

func (m *monitor) path(name string) string { return m.dir + "/" + name }

func (m *monitor) read(name string, v any) error {
	b, err := os.ReadFile(m.path(name))
	if err != nil {
		return err
	}
	if err := decode(b, v); err != nil {
		return fmt.Errorf("reading %s: %w", m.path(name), err)
	}
	return nil
}

func (m *monitor) layers() (*rootfs.Layers, error) {
	var l rootfs.Layers
	err := m.read("layers.json", &l)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return &l, err
}

// create brings the container to its gate `created`.
func (m *monitor) create() error {
	if err := m.open(3 * time.Second); err != nil { // the monitor of the last start may be at its last breath
		return err
	}
	m.before, _ = os.ReadFile(m.config.StateFile)
	layers, err := m.layers()
	if err != nil {
		return err
	}
	if err := m.listen(); err != nil {
		return err
	}
	p := &process{m: m, pidfd: -1, console: -1}
	o := runtime.Options{Dir: m.dir, Layers: layers, Explain: m.config.Explain}
	if err := m.connect(p, &o); err != nil {
		return err
	}
	m.c, err = m.starter.create(m.spec, o)
	closeAll(o.Stdin, o.Stdout, o.Stderr)
	if err != nil {
		p.close()
		return err
	}
	if err := m.hold(p, m.c); err != nil {
		return errors.Join(err, m.destroy())
	}
	m.processes = []*process{p}
	m.group = m.c.Group()
	return m.record(p)
}

func (m *monitor) main() *process { return m.processes[0] }

// hold takes the runtime's handles on a new process.
func (m *monitor) hold(p *process, c child) error {
	pid, pidfd := c.pids()
	p.pid, p.pidfd, p.handle, p.child = pid, int(pidfd.Fd()), pidfd, c
	console := c.Console()
	if console == nil {
		return nil
	}
	return errors.Join(p.terminal(int(console.Fd()), m.lines("stdout", p)), console.Close())
}

// record writes the first state of this start.
func (m *monitor) record(p *process) error {
	start, _, err := processStart(p.pid)
	if err != nil {
		return errors.Join(err, m.destroy())
	}
	m.state = State{Status: Created, Pid: p.pid, PidStart: start, BootID: bootID(), MonitorPid: os.Getpid()}
	if err := m.writeState(); err != nil {
		return errors.Join(err, m.destroy())
	}
	return nil
}

func (m *monitor) writeState() error { return store.Write(m.config.StateFile, m.state) }

// start opens the gate.
func (m *monitor) start() error {
	switch {
	case m.started:
		return errors.New("the container is already started")
	case m.over || m.main().ended:
		return errors.New("the container's process ended before it was started")
	}
	err := m.c.Start()
	m.account()
	if err != nil {
		m.fail(err)
		return err
	}
	m.state.Status, m.state.StartedAt = Running, time.Now().UTC()
	if err := m.writeState(); err != nil { // a container that nobody would find again must not run
		err = errors.Join(err, m.destroy())
		m.fail(err)
		return err
	}
	m.started = true
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

// account writes account.json when the engine wants it.
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
		m.state.Status, m.state.ExitCode = Exited, p.code
		m.finish()
	}
	for _, peer := range m.peers {
		peer.tell(p)
	}
}

// finish records the end and gives way: the next command finds a dead monitor and a true state.
func (m *monitor) finish() {
	if err := m.writeState(); err != nil {
		complain(err)
	}
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
	unix.Close(m.lock)
	m.lock = -1
}

// mayLeave ends the loop when everything is over and told.
func (m *monitor) mayLeave() {
	if !m.over || m.claimed() || len(m.processes) > 1 {
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
