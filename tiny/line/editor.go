// Package line reads lines from a terminal with editing, history and completion, as the prompt of a shell needs them.
//
// It takes one byte at a time from the terminal: what a user has typed ahead belongs to the command that the line starts, and a
// byte once read cannot be given back. A paste is drawn when its bytes have all been taken, so that a megabyte is no trouble.
package line

import (
	"errors"
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"glassbox/tiny/signals"
)

// ErrInterrupted is what Ctrl-C gives instead of a line.
var ErrInterrupted = errors.New("interrupted")

// Editor is one terminal's.
type Editor struct {
	In, Out  int
	History  []string
	Complete func(text string) (start int, candidates []string) // of the text before the cursor, in bytes; may be nil
	Event    func() int                                         // a descriptor whose readability means OnEvent; -1 is none
	OnEvent  func() (stop bool)                                 // runs with the terminal as commands have it

	prompt   string
	width    int
	text     []rune
	at       int // the cursor
	row      int // the screen row, counted from the prompt's, on which the cursor was left
	yank     []rune
	past     int // which line of the history is shown; len(History) is the new one
	draft    []rune
	out      []byte
	stale    bool // the screen shows an older text
	extended bool // it shows the text but the cursor row is not reckoned yet
	watching bool
	bell     int // readable after a resize
	search   *search
}

// Read shows the prompt and gives the line that ends with Enter. io.EOF means Ctrl-D on an empty line or a terminal that is gone.
func (e *Editor) Read(prompt string) (string, error) {
	cooked, err := unix.IoctlGetTermios(e.In, unix.TCGETS)
	if err != nil {
		return "", err
	}
	if !e.watching {
		e.watch()
	}
	e.raw(cooked)
	defer unix.IoctlSetTermios(e.In, unix.TCSETSW, cooked)
	e.begin(prompt)
	for {
		ready, event := e.wait()
		if event && e.OnEvent != nil {
			unix.IoctlSetTermios(e.In, unix.TCSETSW, cooked)
			if e.OnEvent() {
				e.leave()
				return "", ErrInterrupted
			}
			e.raw(cooked)
			e.row, e.stale = 0, true
		}
		if !ready {
			e.draw()
			continue
		}
		line, done, err := e.take()
		if done || err != nil {
			return line, err
		}
	}
}

func (e *Editor) raw(cooked *unix.Termios) {
	raw := *cooked
	// ICRNL stays: what is typed ahead for the command must have the line ends that it will look for.
	raw.Iflag &^= unix.BRKINT | unix.ISTRIP | unix.IXON
	raw.Oflag |= unix.OPOST | unix.ONLCR
	raw.Lflag &^= unix.ECHO | unix.ICANON | unix.IEXTEN | unix.ISIG
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	unix.IoctlSetTermios(e.In, unix.TCSETSW, &raw) // not TCSETSF: it would drop what was typed ahead
}

func (e *Editor) begin(prompt string) {
	e.prompt, e.text, e.at, e.row = prompt, nil, 0, 0
	e.past, e.draft, e.search = len(e.History), nil, nil
	e.measure()
	e.out = append(e.out[:0], prompt...)
	e.flush()
}

func (e *Editor) measure() {
	e.width = 80
	if size, err := unix.IoctlGetWinsize(e.Out, unix.TIOCGWINSZ); err == nil && size.Col > 0 {
		e.width = int(size.Col)
	}
}

// watch turns SIGWINCH into a readable descriptor.
func (e *Editor) watch() {
	e.watching, e.bell = true, -1
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return
	}
	if e.bell, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 20); err != nil {
		e.bell = -1
	}
	unix.Close(fd)
	resized := make(chan os.Signal, 1)
	signals.Catch(resized, unix.SIGWINCH)
	go func() {
		for range resized {
			unix.Write(e.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		}
	}()
}

// wait sleeps until there is input, an event or a new size.
func (e *Editor) wait() (ready, event bool) {
	e.flush()
	set := []unix.PollFd{{Fd: int32(e.In), Events: unix.POLLIN}, {Fd: -1, Events: unix.POLLIN}, {Fd: int32(e.bell), Events: unix.POLLIN}}
	if e.Event != nil {
		set[1].Fd = int32(e.Event())
	}
	if _, err := unix.Poll(set, -1); err != nil {
		return false, false
	}
	if set[2].Revents != 0 {
		var buf [8]byte
		unix.Read(e.bell, buf[:])
		e.resize()
	}
	return set[0].Revents != 0, set[1].Revents != 0
}

// take reads all the bytes that are there, or up to the end of the line.
func (e *Editor) take() (line string, done bool, err error) {
	count, err := unix.IoctlGetInt(e.In, unix.TIOCINQ)
	if err != nil || count < 1 {
		count = 1
	}
	for ; count > 0; count-- {
		r, size, err := e.rune()
		if err != nil {
			e.leave()
			return "", true, io.EOF
		}
		count -= size - 1
		if done, err := e.key(r); done || err != nil {
			return string(e.text), true, err
		}
	}
	e.draw()
	return "", false, nil
}

func (e *Editor) byte() (byte, error) {
	var buf [1]byte
	for {
		n, err := unix.Read(e.In, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			unix.Poll([]unix.PollFd{{Fd: int32(e.In), Events: unix.POLLIN}}, -1)
			continue
		}
		if n <= 0 {
			return 0, io.EOF
		}
		return buf[0], nil
	}
}

func (e *Editor) rune() (rune, int, error) {
	b, err := e.byte()
	if err != nil || b < utf8.RuneSelf {
		return rune(b), 1, err
	}
	buf := []byte{b}
	for !utf8.FullRune(buf) && len(buf) < utf8.UTFMax {
		if b, err = e.byte(); err != nil {
			return 0, len(buf), err
		}
		buf = append(buf, b)
	}
	r, _ := utf8.DecodeRune(buf)
	return r, len(buf), nil
}

func (e *Editor) flush() {
	for len(e.out) > 0 {
		n, err := unix.Write(e.Out, e.out)
		if err == unix.EAGAIN {
			unix.Poll([]unix.PollFd{{Fd: int32(e.Out), Events: unix.POLLOUT}}, -1)
		} else if err != nil && err != unix.EINTR {
			break
		}
		e.out = e.out[max(n, 0):]
	}
	e.out = e.out[:0]
}
