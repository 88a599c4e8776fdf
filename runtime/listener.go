package runtime

import (
	"encoding/json"
	"fmt"
	"time"

	"glassbox/confine"
	"glassbox/program"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// gateNotify is where a process waits whose filter asks somebody about calls (SCMP_ACT_NOTIFY): the filter is in force, and nobody has the
// descriptor yet by which the kernel's questions are answered.
const gateNotify = "notify"

// notice is how that somebody gets the descriptor. It is compiled with the program, and told the rest when that runs.
type notice struct {
	filter  *confine.Filter
	slot    program.Slot     // where the process has the descriptor
	state   specs.State      // of the container
	process *program.Process // that waits
	request []program.Request
	fd      int // our copy
}

// listen compiles the gate into b, and the phase behind it.
func (n *notice) listen(b *phases) func(program.Slot) {
	return func(s program.Slot) {
		n.slot = s
		b.Gate(gateNotify, "wait until whoever is to be asked about calls has the descriptor to answer by")
		n.request = []program.Request{
			{
				Call: "pidfd_getfd(<pidfd>, <listener>, 0)", From: "linux.seccomp", Gives: "<listener>", Do: n.fetch,
				Why: "take the descriptor from the process",
			}, {
				Call: fmt.Sprintf("connect(<socket>, {sa_family=AF_UNIX, sun_path=%q}, %d)", n.filter.Listener, len(n.filter.Listener)+3),
				From: "linux.seccomp.listenerPath", Why: "reach whoever answers; the descriptor and whose it is follow in one message", Do: n.hand,
			},
		}
		b.next("notify", "Whoever decides about the process's calls gets the descriptor to answer by.").Host = n.request
		b.Call(unix.SYS_CLOSE, s).Tolerate(unix.EPERM, unix.ENOSYS).
			Why("done with it: when whoever answers dies, the kernel shall know that nobody is left, and answer ENOSYS")
	}
}

func (n *notice) fetch() (err error) {
	n.fd, err = unix.PidfdGetfd(int(n.process.Pidfd.Fd()), int(n.process.Slot(n.slot)), 0)
	return err
}

// hand sends the descriptor: one message, one connection (config-linux.md, the container process state).
func (n *notice) hand() error {
	defer unix.Close(n.fd)
	text, err := json.Marshal(specs.ContainerProcessState{
		Version: specs.Version, Fds: []string{specs.SeccompFdName}, Pid: n.process.Pid, Metadata: n.filter.Metadata, State: n.state,
	})
	if err != nil {
		return err
	}
	s, err := store.Connect(n.filter.Listener, patience)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	if err := store.Pass(s, text, n.fd); err != nil {
		return fmt.Errorf("sending to %s: %w", n.filter.Listener, err)
	}
	return nil
}

// patience is how long a socket may be busy.
const patience = 10 * time.Second

// answered lets a process that waits at gateNotify go on, up to execve, after whoever is asked was served.
func answered(p *program.Process, serve func() error) error {
	waits, err := p.Until(gateNotify)
	if err != nil || !waits {
		return err
	}
	if err := serve(); err != nil {
		return err
	}
	if err := p.Pass(); err != nil {
		return err
	}
	return p.Finish()
}

// notify serves whoever is asked about the calls of the container's first process.
func (c *Container) notify() error {
	if c.plan == nil { // somebody else made it: only its program says who that is
		if err := c.process.Recall(); err != nil {
			return err
		}
	}
	n := c.plan.notice
	n.process, n.state = c.process, c.state(specs.StateCreated)
	return program.Carry(n.request, func(r program.Request, err error) { c.noteIn("notify", r, err) }, &c.undo)
}

// notify serves whoever is asked about the calls of a further process.
func (e *Process) notify(n *notice, state specs.State, note func(program.Request, error)) error {
	n.process, n.state = e.process, state
	return program.Carry(n.request, note, new([]func() error))
}

// state is what is told of the container.
func (c *Container) state(status specs.ContainerState) specs.State {
	s := c.known
	s.Version, s.Status, s.Pid, s.Annotations = specs.Version, status, c.Pid, c.rules.Annotations
	return s
}
