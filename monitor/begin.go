package monitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"glassbox/program"
	"glassbox/rootfs"
	"glassbox/runtime"
	"glassbox/sealed"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// settleIn makes this process fit to stay for long, whoever started it.
func (m *monitor) settleIn() error {
	unix.Umask(0o022)
	os.Unsetenv("GOMAXPROCS") // see sealed.OneProcessor
	if err := unix.Chdir("/"); err != nil {
		return os.NewSyscallError("chdir", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(3, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return errors.New("descriptor 3 is not a socket: a monitor is started by glassbox, not by hand")
	}
	unix.CloseOnExec(3)
	if err := sealed.CloseInherited(3); err != nil {
		return err
	}
	m.first = &peer{m: m, fd: 3}
	m.peers = []*peer{m.first}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl(PR_SET_CHILD_SUBREAPER)", err)
	}
	return nil
}

// awaitWord waits until the engine, which starts us early, has completed the directory and names it. An engine that goes
// away before has changed its mind: there is nothing to do, and nothing to undo.
func (m *monitor) awaitWord() (told bool, err error) {
	var line []byte
	for !bytes.HasSuffix(line, []byte{'\n'}) {
		var b [512]byte
		n, err := unix.Read(3, b[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return false, os.NewSyscallError("read", err)
		}
		line = append(line, b[:n]...)
	}
	word, err := decodeWord(line)
	if err != nil {
		return false, err
	}
	if m.env = word.Env; m.dir == "" {
		m.dir = word.Dir
		if err := m.complainHere(); err != nil {
			return false, err
		}
	}
	return true, os.NewSyscallError("fcntl", unix.SetNonblock(3, true))
}

// addEnv gives the process what the first client has told of its environment, in place of what has the same name.
func (m *monitor) addEnv(p *specs.Process) {
	for _, v := range m.env {
		name, _, _ := strings.Cut(v, "=")
		p.Env = slices.DeleteFunc(p.Env, func(had string) bool { return strings.HasPrefix(had, name+"=") })
	}
	p.Env = append(p.Env, m.env...)
}

// firstWord is what a client of Spawn says first: the directory, or as JSON more than that. A path begins otherwise than JSON does.
type firstWord struct {
	Dir string
	Env []string // of the process, beside what config.json says: what is to be in no file
}

func (w firstWord) encode() ([]byte, error) {
	if len(w.Env) == 0 {
		return []byte(w.Dir + "\n"), nil
	}
	line, err := json.Marshal(w)
	return append(line, '\n'), err
}

func decodeWord(line []byte) (w firstWord, err error) {
	if line[0] == '{' {
		return w, store.Decode(line, &w)
	}
	w.Dir = string(line[:len(line)-1])
	return w, nil
}

// complainHere makes the directory's monitor.log our standard error.
func (m *monitor) complainHere() error {
	fd, err := unix.Open(m.path("monitor.log"), unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: m.path("monitor.log"), Err: err}
	}
	defer unix.Close(fd)
	return os.NewSyscallError("dup3", unix.Dup3(fd, 2, 0))
}

// open takes the lock and reads what the engine wrote.
func (m *monitor) open(patience time.Duration) error {
	lock, err := store.Seize(m.path("lock"), patience)
	if err != nil {
		return err
	}
	m.lock = lock
	m.replaced()
	if err := m.read("monitor.json", &m.config); err != nil {
		return err
	}
	if err := m.readSpec(); err != nil {
		return err
	}
	if err := m.openLog(); err != nil {
		return err
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
	m.addEnv(m.spec.Process)
	return nil
}

func (m *monitor) path(name string) string { return m.dir + "/" + name }

func (m *monitor) read(name string, v any) error {
	b, err := os.ReadFile(m.path(name))
	if err != nil {
		return err
	}
	if err := store.Decode(b, v); err != nil {
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
	if err := m.listen(); err != nil {
		return err
	}
	p := &process{m: m, pidfd: -1, console: -1}
	var ask func(program.Stop) (program.Answer, error)
	if m.config.Step {
		ask = asking{m.first.fd, -1}.answer
	}
	if err := m.bear(p, m.born, ask); err != nil {
		return err
	}
	m.processes = []*process{p}
	return m.record(p)
}

// bear makes the container and its process, which waits at its gate. Before each call ask is asked, if there is somebody.
func (m *monitor) bear(p *process, born func(pid int), ask func(program.Stop) (program.Answer, error)) error {
	layers, err := m.layers()
	if err != nil {
		return err
	}
	o := runtime.Options{Dir: m.dir, Layers: layers, Explain: m.config.Explain, Without: m.config.Without, Step: ask, Born: born, State: m.known()}
	if err := m.connect(p, &o); err != nil {
		return err
	}
	m.c, err = m.starter.create(m.spec, o)
	closeAll(o.Stdin, o.Stdout, o.Stderr)
	if err != nil {
		p.close()
		return err
	}
	m.group = m.c.Group()
	err = m.hold(p, m.c)
	if err == nil {
		err = m.holdNetwork(p.pid)
	}
	if err != nil {
		return errors.Join(err, m.destroy())
	}
	return nil
}

// born tells the engine of the process, so that it can plug its network in while the file tree is made.
func (m *monitor) born(pid int) { m.first.reply(reply{Pid: pid}) }

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
	s, err := Identify(p.pid)
	if err != nil {
		return errors.Join(err, m.destroy())
	}
	var last State
	store.Decode(m.before, &last) //nolint:errcheck // there may be none
	s.Status, s.MonitorPid, s.FinishedAt = Created, os.Getpid(), last.FinishedAt
	m.state = s
	if err := m.writeState(); err != nil {
		return errors.Join(err, m.destroy())
	}
	return nil
}
