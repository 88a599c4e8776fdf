package monitor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"glassbox/program"
	"glassbox/store"

	"golang.org/x/sys/unix"
)

// ErrDead says that no monitor is with the container, or that it went away before it answered: what there is to know
// is in the state file, and a container that is still alive can be adopted.
var ErrDead = errors.New("the container has no monitor")

// ErrUnheard is an ErrDead before which the monitor had not taken the request: whoever asks the next one does not ask twice. A
// stream socket tells (unix(7)): closed with unread data in it, ECONNRESET; otherwise end-of-file.
var ErrUnheard = fmt.Errorf("%w: the request was not heard", ErrDead)

// Client is a connection to a monitor. Its methods can be called from several goroutines; what lasts (Attach, Exec, Wait)
// has a connection of its own.
type Client struct {
	dir  string
	env  []string // of the process, beside what config.json says
	ask  Asker    // answers before each call of a start with Config.Step
	said int64    // size of monitor.log before this monitor could write to it
	mu   sync.Mutex
	conn *conn

	born      bool  // heard of the process
	stillborn error // or of why there is none
}

// Dial connects to the monitor of the container whose state directory is dir. ErrDead: there is none.
func Dial(dir string) (*Client, error) {
	c, err := dial(dir)
	if err != nil {
		return nil, err
	}
	return &Client{dir: dir, conn: c}, nil
}

// Close ends the connection. Before Start, on a client of Spawn, it undoes the launch. Closing twice is no error.
func (c *Client) Close() error { return c.conn.close() }

// For tells a client of Spawn which container's state directory its monitor shall be with.
func (c *Client) For(dir string) { c.dir, c.said = dir, logSize(dir) }

// With gives the container's process variables that are to be in no file.
func (c *Client) With(env []string) { c.env = env }

// Asks has the stops of a start with Config.Step answered.
func (c *Client) Asks(ask Asker) { c.ask = ask }

// Born waits until the container's process exists, in its namespaces, and returns its pid. It must be the first call after Spawn and For,
// or Adopt; Create, which does it itself where nobody has, must be the next.
func (c *Client) Born() (pid int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	word, err := firstWord{c.dir, c.env}.encode()
	if err != nil {
		return 0, err
	}
	c.conn.Write(word) //nolint:errcheck // a monitor that died already is heard of below
	pid, c.stillborn = c.hearOfStart()
	c.born = true
	return pid, c.stillborn
}

// Create waits until the container's process is at its gate `created` and returns its pid. On a client of Adopt it waits
// until the container is taken over.
func (c *Client) Create() (pid int, err error) {
	if !c.born {
		c.Born() //nolint:errcheck // it is kept
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stillborn != nil {
		return 0, c.stillborn
	}
	return c.hearOfStart()
}

func (c *Client) hearOfStart() (pid int, err error) {
	r, err := c.conn.converse(c.ask)
	if errors.Is(err, ErrDead) {
		err = fmt.Errorf("starting the container's monitor: %w%s", err, lastWords(c.dir, c.said))
	}
	return r.Pid, err
}

// lastWords is what a monitor that died without an answer wrote to its log, up to the first empty line: after that the Go runtime lists
// goroutines.
func lastWords(dir string, from int64) string {
	b, err := os.ReadFile(filepath.Join(dir, "monitor.log"))
	if err != nil || int64(len(b)) <= from {
		return ""
	}
	words, _, _ := strings.Cut(string(b[from:]), "\n\n")
	return "; it said: " + strings.TrimSpace(words[:min(len(words), 2000)])
}

func logSize(dir string) int64 {
	info, err := os.Stat(filepath.Join(dir, "monitor.log"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// Start opens the gate and returns when execve has happened. The error of a failed step is a *program.Failure.
func (c *Client) Start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.conn.say(request{Do: "start"}); err != nil {
		return err
	}
	_, err := c.conn.converse(c.ask)
	return err
}

// Resize sets the size of the terminal of the container's first process, or of an exec. It can be called before Start.
func (c *Client) Resize(exec string, s Size) error {
	_, err := c.call(request{Do: "resize", Exec: exec, Size: &s})
	return err
}

// Signal sends a signal to the container's first process, or to an exec.
func (c *Client) Signal(exec string, sig unix.Signal) error {
	_, err := c.call(request{Do: "signal", Exec: exec, Signal: int(sig)})
	return err
}

// Frozen says that the container was frozen or thawed, which its health checks have to heed. A monitor that is busy starting something in the
// frozen container cannot answer; it finds out by itself.
func (c *Client) Frozen() error {
	c.conn.SetDeadline(time.Now().Add(time.Second)) //nolint:errcheck // it is a socket
	_, err := c.call(request{Do: "frozen"})
	return err
}

// Cancel ends the waiting for a restart; where the container does not wait for one, nothing changes.
func (c *Client) Cancel() error {
	_, err := c.call(request{Do: "cancel"})
	return err
}

// State is what the monitor knows.
func (c *Client) State() (State, error) {
	r, err := c.call(request{Do: "state"})
	if err != nil {
		return State{}, err
	}
	return *r.State, nil
}

// TakeCleanup promises that this client does what Config.Cleanup would, when the container has ended. If its
// connection drops before it said Cleaned, the monitor runs the command after all.
func (c *Client) TakeCleanup() error {
	_, err := c.call(request{Do: "cleanup"})
	return err
}

// Rest is what a client leaves to the monitor of its cleanup, because it takes time and nobody has to wait for it.
type Rest struct {
	Files []*os.File // to be closed
	Links []string   // interfaces to be deleted
}

// Cleaned says that the promise is kept but for the rest.
func (c *Client) Cleaned(r Rest) error { return c.leave("cleaned", r) }

// Sweep says that the promise is kept but for the deletion of the directories, which takes longer than all the rest and for which nobody
// has to wait. A monitor that dies over it leaves remains, as a killed command does; the next command deletes them.
func (c *Client) Sweep(r Rest) error { return c.leave("sweep", r) }

func (c *Client) leave(do string, rest Rest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := request{Do: do, Links: rest.Links}
	if len(rest.Files) == 0 {
		_, err := c.conn.call(r)
		return err
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := c.conn.hand(append(line, '\n'), rest.Files); err != nil {
		return unheard(err)
	}
	_, err = c.conn.hear()
	return err
}

// Wait returns the exit code of the container's first process, or of an exec, when it has ended and its output is drained. By then the
// state file tells the same and the monitor's lock is free. ErrDead: the monitor was gone already, or died.
func (c *Client) Wait(ctx context.Context, exec string) (int, error) {
	conn, err := dial(c.dir)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	r, err := conn.call(request{Do: "wait", Exec: exec})
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil {
		return 0, err
	}
	return *r.Exit, nil
}

// Attach joins the streams of the container's first process, before Start or later.
func (c *Client) Attach(spec AttachSpec) (*Stream, error) {
	return open(c.dir, request{Do: "attach", Attach: &spec}, nil)
}

// Exec starts a further process and returns when execve has happened. The stream has no frames when spec.Detach is set; close it
// all the same. With spec.Step ask answers before each call.
func (c *Client) Exec(spec ExecSpec, ask Asker) (*Stream, error) {
	return open(c.dir, request{Do: "exec", Run: &spec}, ask)
}

func (c *Client) call(r request) (reply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.call(r)
}

func open(dir string, r request, ask Asker) (*Stream, error) {
	conn, err := dial(dir)
	if err != nil {
		return nil, err
	}
	var a reply
	if err = conn.say(r); err == nil {
		a, err = conn.converse(ask)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &Stream{ID: a.ID, Pid: a.Pid, Account: a.Account, conn: conn}, nil
}

// AccountOf is what had been asked of the kernel before an error that came over the connection.
func AccountOf(err error) []program.Account {
	var e *Error
	if errors.As(err, &e) {
		return e.Account
	}
	return nil
}

// conn is one connection; requests on it are answered in order.
type conn struct {
	*os.File
	r *bufio.Reader
}

// newConn makes reads and writes wait in the Go runtime, so that Close ends them.
func newConn(fd int) (*conn, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(fd), "monitor")
	return &conn{f, bufio.NewReaderSize(f, 32<<10)}, nil
}

func (c *conn) close() error {
	if err := c.File.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// dial connects. The lock decides whether there is a monitor; it is held a moment before the socket exists and
// a moment after it is gone.
func dial(dir string) (*conn, error) {
	deadline := time.Now().Add(5 * time.Second)
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		fd, err := connect(dir)
		if err == nil {
			return newConn(fd)
		}
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ECONNREFUSED) {
			return nil, err
		}
		held, lockErr := store.Held(filepath.Join(dir, "lock"))
		if lockErr != nil {
			return nil, lockErr
		}
		if !held {
			return nil, ErrDead
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the monitor holds its lock but does not listen: %w", err)
		}
		time.Sleep(pause)
	}
}

func connect(dir string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	err = store.AtAddress(filepath.Join(dir, "sock"), func(a *unix.SockaddrUnix) error { return unix.Connect(fd, a) })
	if err != nil {
		unix.Close(fd)
		return -1, &os.PathError{Op: "connect", Path: filepath.Join(dir, "sock"), Err: err}
	}
	return fd, nil
}

func (c *conn) call(r request) (reply, error) {
	if err := c.say(r); err != nil {
		return reply{}, err
	}
	return c.hear()
}

func (c *conn) say(r request) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = c.Write(append(b, '\n'))
	return unheard(err)
}

// hand sends a line together with open files: unix(7), SCM_RIGHTS.
func (c *conn) hand(line []byte, files []*os.File) error {
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	waited := raw.Write(func(fd uintptr) bool {
		err = unix.Sendmsg(int(fd), line, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
		return err != unix.EAGAIN
	})
	return errors.Join(waited, err)
}

func (c *conn) hear() (reply, error) {
	var r reply
	line, err := c.r.ReadBytes('\n')
	if errors.Is(err, unix.ECONNRESET) {
		return r, ErrUnheard
	}
	if err != nil {
		return r, gone(err)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("reading the monitor's reply: %w", err)
	}
	if r.Error != nil {
		return r, r.Error
	}
	return r, nil
}

func unheard(err error) error {
	if err != nil && gone(err) == ErrDead {
		return ErrUnheard
	}
	return err
}

// gone makes ErrDead of what a socket says when the other end is closed.
func gone(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		return ErrDead
	}
	return err
}
