package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"glassbox/engine"

	"github.com/moby/term"
	"golang.org/x/sys/unix"
)

// rawTerminal is the user's terminal while its keys go to a container.
type rawTerminal struct {
	fd    uintptr
	state *term.State
	guard *guard
	once  sync.Once
}

// makeRaw puts stdin into raw mode; on nothing but a terminal it does nothing, as with NORAW set. The guard is started
// first: from then on the terminal comes back however this process ends.
func makeRaw(stdin io.Reader) (*rawTerminal, error) {
	fd, is := term.GetFdInfo(stdin)
	if !is || os.Getenv("NORAW") != "" {
		return &rawTerminal{}, nil
	}
	mode, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("reading the terminal's mode: %w", err)
	}
	g, err := startGuard(stdin.(*os.File), mode)
	if err != nil {
		return nil, fmt.Errorf("starting the terminal's guard: %w", err)
	}
	state, err := term.SetRawTerminal(fd)
	if err != nil {
		_ = g.pipe.Close() // the guard finds the mode as it was
		return nil, fmt.Errorf("unable to set IO streams as raw terminal: %w", err)
	}
	r := &rawTerminal{fd: fd, state: state, guard: g}
	raw, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
	if err == nil {
		err = g.watch(raw)
	}
	if err != nil {
		r.restore()
		return nil, fmt.Errorf("telling the terminal's guard: %w", err)
	}
	return r, nil
}

// restore may be called any number of times.
func (r *rawTerminal) restore() {
	r.once.Do(func() {
		if r.state == nil {
			return
		}
		if term.RestoreTerminal(r.fd, r.state) == nil {
			r.guard.dismiss()
		}
	})
}

// wiring says which of our ends a process is connected to.
type wiring struct {
	stdin, stdout, stderr bool
	tty                   bool
	signals               bool   // pass signals on
	keys                  string // --detach-keys
	exec                  bool   // Docker's daemon has another word for them there
	redraw                bool   // make a full-screen program paint again, as attach does
}

// connect makes the streams; done stops catching signals.
func (c *call) connect(w wiring) (s engine.Streams, done func(), err error) {
	if w.stdin {
		s.In = c.stdin
	}
	if w.stdout {
		s.Out = c.stdout
	}
	if w.stderr {
		s.Err = c.stderr
	}
	if s.DetachKeys, err = c.detachKeys(w); err != nil {
		return s, nil, err
	}
	if !w.tty {
		s.DetachKeys = nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	if w.tty && isTerminal(c.stdout) {
		s.Resize = resizes(ctx, c.stdout, w.redraw)
	}
	if w.signals {
		s.Signals, c.catching = passedSignals(ctx)
	}
	return s, cancel, nil
}

// theirs: from here on signals are the container's, and end nothing of ours. None that follows the first word of the container is missed.
func (c *call) theirs(ctx context.Context, w wiring) context.Context {
	if !w.signals {
		return ctx
	}
	<-c.catching
	return context.WithoutCancel(ctx)
}

// detachKeys: the flag, else Docker's config file, else ctrl-p ctrl-q.
func (c *call) detachKeys(w wiring) ([]byte, error) {
	keys := w.keys
	if keys == "" {
		keys = c.configFile().DetachKeys
	}
	if keys == "" {
		keys = "ctrl-p,ctrl-q"
	}
	b, err := term.ToBytes(keys)
	if err != nil {
		return nil, engineFailure(fmt.Errorf("Invalid %s keys (%s) provided", map[bool]string{true: "escape", false: "detach"}[w.exec], keys))
	}
	return b, nil
}

// checkTTY: a container's terminal cannot be driven from a pipe.
func (c *call) checkTTY(stdin, tty bool) error {
	if stdin && tty && !isTerminal(c.stdin) {
		return plainFailure("the input device is not a TTY")
	}
	return nil
}

// passedSignals catches every signal and lets through those meant for the process: not those about our own
// children, broken pipes, Go's scheduler (SIGURG), or the window, which has its own way.
//
// Go takes several thread switches to catch one signal, and as many to let it go: two milliseconds for all. So the usual ones are
// caught while the container is made, the others when it has lived a moment, and none is let go of: what follows is
// the end of the program.
func passedSignals(ctx context.Context) (signals <-chan os.Signal, catching <-chan struct{}) {
	caught, passed, begun := make(chan os.Signal, 128), make(chan os.Signal), make(chan struct{})
	go func() {
		// SIGPIPE among them: caught, a broken pipe is an error of write(2); else it would end us without a word
		signal.Notify(caught, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)
		close(begun)
		moment := time.After(20 * time.Millisecond)
		for {
			select {
			case <-ctx.Done():
				return
			case <-moment:
				signal.Notify(caught)
			case sig := <-caught:
				switch sig {
				case syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGURG, syscall.SIGWINCH:
					continue
				}
				select {
				case passed <- sig:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return passed, begun
}

// resizes delivers the size of the terminal out at once and after each SIGWINCH. With redraw a wrong size goes first:
// a program that paints the screen does so again only when the size changes.
func resizes(ctx context.Context, out io.Writer, redraw bool) <-chan engine.Size {
	sizes, changed := make(chan engine.Size, 2), make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	if size, ok := windowSize(out); ok {
		if redraw {
			sizes <- engine.Size{Rows: size.Rows + 1, Cols: size.Cols + 1}
		}
		sizes <- size
	}
	go func() {
		defer signal.Stop(changed)
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			if size, ok := windowSize(out); ok {
				select {
				case sizes <- size:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return sizes
}

// follow copies until the process has ended or the keys were typed, in raw mode where the process has a terminal.
func (c *call) follow(ctx context.Context, a engine.Attachment, w wiring) (code int, err error) {
	if w.stdin && w.tty {
		raw, err := makeRaw(c.stdin)
		if err != nil {
			a.Close()
			return 0, plainFailure("%w", err)
		}
		defer raw.restore()
	}
	defer a.Close()
	code, err = a.Run(ctx)
	if err != nil && !errors.Is(err, engine.ErrDetached) && !errors.Is(err, context.Canceled) {
		err = engineFailure(err)
	}
	return code, err
}
