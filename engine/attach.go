package engine

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"glassbox/monitor"

	"github.com/moby/term"
	"golang.org/x/sys/unix"
)

// Streams are the caller's ends for attach and exec.
type Streams struct {
	In  io.Reader // nil: no input
	Out io.Writer
	Err io.Writer // not used with a terminal
	// DetachKeys is the decoded sequence (moby/term.ToBytes) that ends the attachment; empty: none.
	DetachKeys []byte
	// Resize delivers the terminal's size at once and whenever it changes.
	Resize <-chan Size
	// Signals are passed on to the process.
	Signals <-chan os.Signal
	// Gate is called when the container's process exists and waits, before its program runs; an error ends the start. May be nil.
	Gate func(pid int) error
}

// Size is a terminal's size in characters.
type Size struct{ Rows, Cols uint16 }

// Attachment is a connection to a container's or an exec's output and input.
type Attachment interface {
	// Run copies until the process has ended and its output is drained, the detach keys are typed (ErrDetached), or ctx ends.
	Run(ctx context.Context) (exitCode int, err error)
	Close() error
}

// ErrDetached is returned by Attachment.Run when the detach keys were typed.
var ErrDetached = errors.New("read escape sequence")

// StartAttached is Start with an attachment made before the process runs, so that no output is missed. What is to be
// done after the container's end is the caller's, with Cleanup after Run; should the caller die, its monitor has that done.
func (c *Containers) StartAttached(ctx context.Context, id string, s Streams) (Attachment, error) {
	a := &attachment{containers: c, streams: s}
	client, r, err := c.start(ctx, id, func(r *record, client *monitor.Client) error {
		if err := c.atGate(r, s.Gate); err != nil {
			return err
		}
		return a.connect(r, client)
	})
	if err != nil {
		return nil, errors.Join(err, a.hangUp())
	}
	if client == nil { // it runs already
		return c.Attach(ctx, id, s)
	}
	a.tellSize(a.size)
	if r.tidies() {
		c.promise(r.ID, client)
	}
	return a, nil
}

// atGate lets somebody look at the process that waits.
func (c *Containers) atGate(r *record, look func(pid int) error) error {
	if look == nil {
		return nil
	}
	s, err := c.state(r)
	if err != nil {
		return err
	}
	return look(s.Pid)
}

// Attach connects to a running container.
func (c *Containers) Attach(ctx context.Context, id string, s Streams) (Attachment, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, err
	}
	now, err := c.state(r)
	switch {
	case err != nil:
		return nil, err
	case now.Paused:
		return nil, conflict("container %s is paused, unpause the container before attach", id)
	case !now.Running:
		return nil, notRunning(r.ID)
	case now.Restarting:
		return nil, conflict("container %s is restarting, wait until the container is running", id)
	}
	a := &attachment{containers: c, streams: s}
	if _, err := c.reach(ctx, r, func(client *monitor.Client) error { return a.connect(r, client) }); err != nil {
		return nil, err
	}
	c.tell(r, "attach")
	a.tellSize(a.size)
	return a, nil
}

// attachment joins the caller's streams with a process of a container.
type attachment struct {
	containers *Containers
	record     *record
	streams    Streams
	client     *monitor.Client
	exec       string // empty: the container's first process
	ends       bool   // the process's input ends with ours
	size       Size   // that its terminal got first; zero: none

	mu     sync.Mutex
	stream *monitor.Stream // another one after the monitor was replaced
}

func (a *attachment) current() *monitor.Stream {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stream
}

func (a *attachment) join(s *monitor.Stream) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stream = s
}

// Write sends input. When the monitor has died, it waits a little for the next one.
func (a *attachment) Write(b []byte) (int, error) {
	sent := 0
	for s := a.current(); ; {
		n, err := s.Write(b[sent:])
		sent += n
		if !errors.Is(err, monitor.ErrDead) || sent == len(b) {
			return sent, err
		}
		next := a.successor(s)
		if next == s {
			return sent, err
		}
		s = next
	}
}

func (a *attachment) successor(s *monitor.Stream) *monitor.Stream {
	for range 300 {
		if next := a.current(); next != s {
			return next
		}
		time.Sleep(10 * time.Millisecond)
	}
	return s
}

func (a *attachment) connect(r *record, client *monitor.Client) error {
	a.record, a.client, a.ends = r, client, r.Config.StdinOnce
	s := a.streams
	stream, err := client.Attach(monitor.AttachSpec{
		Stdin: s.In != nil, Stdout: s.Out != nil, Stderr: s.Err != nil && !r.Config.Tty, Patient: true,
	})
	if err != nil {
		return err
	}
	a.join(stream)
	return a.firstSize()
}

// firstSize gives the terminal its size before the process can look at it.
func (a *attachment) firstSize() error {
	select {
	case a.size = <-a.streams.Resize:
		return a.client.Resize(a.exec, monitor.Size(a.size))
	default:
		return nil
	}
}

// tellSize tells that the container's terminal has this size; Docker does not tell of those of execs.
func (a *attachment) tellSize(s Size) {
	if a.exec == "" && s != (Size{}) {
		a.containers.tell(a.record, "resize", "height", strconv.Itoa(int(s.Rows)), "width", strconv.Itoa(int(s.Cols)))
	}
}

func (a *attachment) Run(ctx context.Context) (int, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go a.pass(ctx)
	if a.streams.In != nil {
		go a.typing(stop)
	}
	for {
		stream := a.current()
		defer context.AfterFunc(ctx, func() { stream.Close() })()
		code, err := stream.Copy(a.streams.Out, a.streams.Err)
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if !errors.Is(err, monitor.ErrDead) {
			return code, err
		}
		if code, over, err := a.reconnect(); over || err != nil {
			return code, err
		}
	}
}

// reconnect finds a container again whose monitor died under us: the next one has adopted it, or it has ended.
func (a *attachment) reconnect() (code int, over bool, err error) {
	if a.exec != "" {
		return 0, true, errors.New("the container's monitor was killed, and with it the way to this process; it goes on running")
	}
	s, err := a.containers.state(a.record)
	if err != nil || !s.Running {
		return s.ExitCode, true, err
	}
	_, err = a.containers.reach(context.Background(), a.record, func(client *monitor.Client) error { return a.connect(a.record, client) })
	if Is(err, Conflict) { // it has ended now
		s, err = a.containers.state(a.record)
		return s.ExitCode, true, err
	}
	return 0, false, err
}

// typing passes the input on, and looks for the detach keys.
func (a *attachment) typing(stop context.CancelCauseFunc) {
	in := a.streams.In
	if len(a.streams.DetachKeys) > 0 {
		in = term.NewEscapeProxy(in, a.streams.DetachKeys)
	}
	_, err := io.Copy(a, in)
	var escape term.EscapeError
	if errors.As(err, &escape) {
		stop(ErrDetached)
		return
	}
	if a.ends {
		a.current().CloseWrite() // a process that has ended needs no end of input
	}
}

// pass hands on sizes and signals. A process that has just ended takes neither, and that is no error.
func (a *attachment) pass(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case size := <-a.streams.Resize:
			if a.client.Resize(a.exec, monitor.Size(size)) == nil {
				a.tellSize(size)
			}
		case s, open := <-a.streams.Signals:
			if !open {
				a.streams.Signals = nil
				continue
			}
			if number, ok := s.(syscall.Signal); ok && number != unix.SIGCHLD && number != unix.SIGPIPE && number != unix.SIGURG {
				a.signal(number)
			}
		}
	}
}

// signal is one of the user's. What it means for the container's restarts is noted first; who cannot note it passes it on all the same.
func (a *attachment) signal(sig syscall.Signal) {
	if a.exec == "" {
		if err := a.record.intend(a.record.ends(sig)); err != nil {
			a.containers.warn(err.Error())
		}
		s, _ := a.containers.state(a.record)
		a.containers.tellSignal(a.record, s.Pid, sig)
	}
	a.client.Signal(a.exec, sig)
}

// Close detaches. A promise to clean up is kept by its own connection.
func (a *attachment) Close() error { return a.hangUp() }

func (a *attachment) hangUp() error {
	var err error
	if stream := a.current(); stream != nil {
		err = stream.Close()
	}
	if a.client != nil && !a.containers.promised(a.client) {
		err = errors.Join(unlessClosed(err), unlessClosed(a.client.Close()))
	}
	return unlessClosed(err)
}

// unlessClosed: what ends twice has ended.
func unlessClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// Resize sets the size of the container's terminal.
func (c *Containers) Resize(id string, s Size) error {
	r, err := c.load(id)
	if err != nil {
		return err
	}
	client, err := c.reach(context.Background(), r, func(client *monitor.Client) error { return client.Resize("", monitor.Size(s)) })
	if err != nil {
		return err
	}
	return client.Close()
}
