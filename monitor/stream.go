package monitor

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"glassbox/program"
)

// Stream is the client's end of an attachment or exec. One goroutine may read (Copy) while others write; Close ends both
// and detaches: the process goes on.
type Stream struct {
	ID      string // of the exec; empty: the container's first process
	Pid     int
	Account []program.Account // of an exec with Explain

	conn *conn
	mu   sync.Mutex // one frame at a time
}

// Write sends standard input. It waits while the process does not read.
func (s *Stream) Write(b []byte) (int, error) {
	for done := 0; done < len(b); {
		n := min(len(b)-done, 32<<10)
		if err := s.send(Stdin, b[done:done+n]); err != nil {
			return done, err
		}
		done += n
	}
	return len(b), nil
}

// CloseWrite says that standard input has ended.
func (s *Stream) CloseWrite() error { return s.send(Stdin, nil) }

// Resize sets the terminal's size. It waits behind standard input that the process has not read; Client.Resize does not.
func (s *Stream) Resize(size Size) error {
	b, err := json.Marshal(control{Resize: &size})
	if err != nil {
		return err
	}
	return s.send(Control, b)
}

func (s *Stream) send(kind byte, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.conn.Write(appendFrame(nil, kind, b))
	return gone(err)
}

// Copy passes the output on until the process has ended, and returns its exit code. ErrDead: the monitor died or has cut us off.
// A writer that fails ends the copying with its error.
func (s *Stream) Copy(stdout, stderr io.Writer) (code int, err error) {
	var header [headerSize]byte
	for {
		if _, err := io.ReadFull(s.conn.r, header[:]); err != nil {
			return 0, gone(err)
		}
		n := int64(binary.BigEndian.Uint32(header[4:]))
		switch header[0] {
		case Stdout:
			err = pass(stdout, s.conn.r, n)
		case Stderr:
			err = pass(stderr, s.conn.r, n)
		case Control:
			return s.end(n)
		default:
			err = fmt.Errorf("the monitor sent a frame of unknown kind %d", header[0])
		}
		if err != nil {
			return 0, err
		}
	}
}

func pass(w io.Writer, r io.Reader, n int64) error {
	if w == nil {
		w = io.Discard
	}
	out := &written{Writer: w}
	_, err := io.CopyN(out, r, n)
	if out.err != nil {
		return out.err
	}
	return gone(err)
}

// written remembers a failure to write: a broken pipe on the caller's side is not the monitor's death.
type written struct {
	io.Writer
	err error
}

func (o *written) Write(b []byte) (n int, err error) {
	n, o.err = o.Writer.Write(b)
	return n, o.err
}

func (s *Stream) end(n int64) (int, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.conn.r, b); err != nil {
		return 0, gone(err)
	}
	var c control
	if err := json.Unmarshal(b, &c); err != nil {
		return 0, fmt.Errorf("reading the monitor's last frame: %w", err)
	}
	if c.Exit == nil {
		return 0, fmt.Errorf("the monitor's last frame tells no exit code: %s", b)
	}
	return *c.Exit, nil
}

// Close detaches. Closing twice is no error.
func (s *Stream) Close() error { return s.conn.close() }
