package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"glassbox/cgroups"
	"glassbox/logfile"
	"glassbox/program"
	"glassbox/runtime"
	"glassbox/sealed"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Starting a container or an exec leaves traces in memory that no garbage collector gives back: types that encoding/json has seen,
// half-used pages, stacks of threads. They are more than all that a waiting monitor needs. So when it has become
// idle after such work it executes itself again and continues, as the same process: the container remains its child, and
// descriptors, locks and connections stay. Whoever connects meanwhile, for about a millisecond, waits in the socket's queue.
//
//	glassrun monitor --resume FD DIR     FD: a memfd with kept as JSON

// kept is what the monitor takes along. Numbers are descriptors, -1: none.
type kept struct {
	Config   Config
	State    State
	Started  bool
	Adopted  bool // the container's process is not our child
	Pid      int
	Pidfd    int
	Group    string
	Lock     int
	Listener int
	Net      int
	Waiting  bool          // for the next start by the restart policy
	Left     time.Duration // of that
	Pause    time.Duration
	Console  int
	Input    int
	Outputs  []keptOutput
	Log      logfile.Kept
	Due      time.Time // of the next health check
	Peers    []keptPeer
}

type keptOutput struct {
	Kind  byte
	FD    int
	Begun logfile.Rest
}

type keptPeer struct {
	FD                             int
	Attached, Waits, Cleans, First bool
	Wants                          AttachSpec
}

// mayRenew says whether there is nothing on its way that could not be taken along.
func (m *monitor) mayRenew() bool {
	if !m.started || m.over || len(m.processes) > 1 || len(m.stepped) > 0 || m.main().ended && !m.waiting() {
		return false
	}
	if in := m.main().in; in != nil && (len(in.waiting) > 0 || in.ended && in.fd >= 0) {
		return false
	}
	for _, p := range m.peers {
		if p.unsent() > 0 || len(p.in) > 0 || p.last || p.hangup {
			return false
		}
	}
	return true
}

// renew executes the monitor again. It comes back only with an error, and then nothing has changed.
func (m *monitor) renew() error {
	if err := m.keepRules(); err != nil {
		return err
	}
	b, err := json.Marshal(m.keep())
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("monitor", 0)
	if err != nil {
		return os.NewSyscallError("memfd_create", err)
	}
	defer unix.Close(fd)
	if err := store.WriteAll(fd, b); err != nil {
		return os.NewSyscallError("write", err)
	}
	inheritable(m.descriptors(), true)
	defer inheritable(m.descriptors(), false)
	// Until handlers are there again these signals must not end us. (The Go runtime respects that for these two; a SIGTERM in that
	// millisecond kills the monitor, and the container is adopted.)
	signal.Ignore(unix.SIGHUP, unix.SIGINT)
	defer catchEnding()
	argv := []string{os.Args[0], "monitor", "--resume", strconv.Itoa(fd), m.dir}
	return os.NewSyscallError("execve", syscall.Exec("/proc/self/exe", argv, sealed.OneProcessor(os.Environ())))
}

func inheritable(fds []int, yes bool) {
	flag := unix.FD_CLOEXEC
	if yes {
		flag = 0
	}
	for _, fd := range fds {
		unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag)
	}
}

func (m *monitor) keep() kept {
	p := m.main()
	k := kept{Config: m.config, State: m.state, Started: m.started, Adopted: p.child == nil, Pid: p.pid, Pidfd: p.pidfd, Group: m.group.Path,
		Lock: m.lock, Listener: m.listener.fd, Net: m.net, Waiting: m.waiting(), Left: time.Until(m.again), Pause: m.pause,
		Console: p.console, Input: -1, Log: logfile.Kept{FD: -1}, Due: m.health.due}
	if p.in != nil {
		k.Input = p.in.fd
	}
	for _, o := range p.outputs {
		out := keptOutput{Kind: o.kind, FD: o.fd}
		if o.log != nil {
			out.Begun = o.log.Rest
		}
		k.Outputs = append(k.Outputs, out)
	}
	if m.log != nil {
		k.Log = m.log.Kept
	}
	for _, c := range m.peers {
		k.Peers = append(k.Peers, keptPeer{c.fd, c.stream == p, c.waits == p, c.cleans, c == m.first, c.wants})
	}
	return k
}

// descriptors are those that keep names.
func (m *monitor) descriptors() []int {
	k := m.keep()
	fds := []int{k.Pidfd, k.Lock, k.Listener, k.Net, k.Console, k.Input, k.Log.FD}
	for _, o := range k.Outputs {
		fds = append(fds, o.FD)
	}
	for _, c := range k.Peers {
		fds = append(fds, c.FD)
	}
	return fds
}

// resume is the other side of renew.
func (m *monitor) resume(fd int) error {
	os.Unsetenv("GOMAXPROCS") // see sealed.OneProcessor
	k, err := readKept(fd)
	if err != nil {
		return err
	}
	m.config, m.state, m.started, m.health.due = k.Config, k.State, k.Started, k.Due
	m.group = cgroups.Group{Path: k.Group}
	m.lock, m.listener, m.net, m.pause = k.Lock, &listener{m, k.Listener}, k.Net, k.Pause
	if k.Waiting {
		m.again = time.Now().Add(k.Left)
	}
	if k.Log.FD >= 0 {
		m.log = m.logger(logfile.Resume(m.config.Log, k.Log))
	}
	m.processes = []*process{m.revive(k)}
	for _, c := range k.Peers {
		m.peers = append(m.peers, m.welcome(c))
	}
	inheritable(m.descriptors(), false)
	if m.children, err = watchChildren(m); err != nil {
		return err
	}
	m.reapAll() // who died while nobody caught SIGCHLD
	return nil
}

func readKept(fd int) (k kept, err error) {
	defer unix.Close(fd)
	b := make([]byte, 0, 4096)
	for {
		n, err := unix.Pread(fd, b[len(b):cap(b)], int64(len(b)))
		if err != nil {
			return k, fmt.Errorf("reading what the monitor kept: %w", err)
		}
		b = b[:len(b)+n]
		if n == 0 {
			return k, store.Decode(b, &k)
		}
		b = append(b, make([]byte, len(b))...)[:len(b)]
	}
}

func (m *monitor) revive(k kept) *process {
	p := &process{m: m, pid: k.Pid, pidfd: k.Pidfd, console: k.Console}
	if k.Waiting {
		p.ended, p.over, p.code = true, true, k.State.ExitCode
		return p
	}
	if !k.Adopted {
		p.child = ownChild{pid: k.Pid}
	}
	if k.Input >= 0 {
		p.in = &input{fd: k.Input, tty: k.Console >= 0}
	}
	for _, o := range k.Outputs {
		out := &output{p: p, kind: o.Kind, fd: o.FD, log: m.lines(streamName(o.Kind), p)}
		if out.log != nil {
			out.log.Rest = o.Begun
		}
		p.outputs = append(p.outputs, out)
	}
	return p
}

func streamName(kind byte) string {
	if kind == Stderr {
		return "stderr"
	}
	return "stdout"
}

func (m *monitor) welcome(c keptPeer) *peer {
	p := &peer{m: m, fd: c.FD, wants: c.Wants, cleans: c.Cleans, moved: time.Now()}
	if c.Attached {
		p.stream = m.main()
	}
	if c.Waits {
		p.waits = m.main()
	}
	if c.First {
		m.first = p
	}
	return p
}

// runtime is the runtime's handle on the container. After a renewal it is made when an exec needs it.
func (m *monitor) runtime() (container, error) {
	if m.c != nil {
		return m.c, nil
	}
	rules, err := m.rules()
	if err != nil {
		return nil, err
	}
	m.c, err = m.starter.adopt(rules, m.main().pid, runtime.Options{Dir: m.dir, Group: m.group, State: m.known()})
	m.grown = true
	return m.c, err
}

// fileRules is where the container's rules are kept, so that an exec after a renewal need not read config.json and compile its filter. Before
// the first renewal there is none.
const fileRules = "rules.json"

func (m *monitor) keepRules() error {
	if m.spec == nil || m.c == nil {
		return nil
	}
	r := m.c.Rules()
	if r.Process != nil {
		p := *r.Process
		p.Env = nil // no other process gets it, and some of it is to be in no file
		r.Process = &p
	}
	return store.Write(m.path(fileRules), r)
}

// rules is what the container demands of further processes.
func (m *monitor) rules() (r runtime.Rules, err error) {
	if m.c != nil {
		return m.c.Rules(), nil
	}
	if m.spec == nil {
		if err = m.read(fileRules, &r); !errors.Is(err, os.ErrNotExist) {
			return r, err
		}
		if err := m.readSpec(); err != nil {
			return r, err
		}
	}
	return runtime.RulesOf(m.spec)
}

// known is the container as those know it who are told of it.
func (m *monitor) known() specs.State {
	return specs.State{ID: filepath.Base(m.dir), Bundle: m.dir}
}

// ownChild is a child whose runtime handle did not survive a renewal.
type ownChild struct{ pid int }

func (c ownChild) pids() (int, *os.File)      { return c.pid, nil }
func (c ownChild) Console() *os.File          { return nil }
func (c ownChild) Account() []program.Account { return nil }

func (c ownChild) Wait() (status syscall.WaitStatus, err error) {
	for {
		_, err = syscall.Wait4(c.pid, &status, 0, nil)
		if err != syscall.EINTR {
			return status, os.NewSyscallError("wait4", err)
		}
	}
}
