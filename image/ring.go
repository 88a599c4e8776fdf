package image

import (
	"io"
	"sync"
)

// ring is a pipe with a few large buffers, so that the stages of a pull (network, decompression, files) run side by
// side instead of handing over each read as io.Pipe does. One goroutine writes, one reads.
type ring struct {
	full chan []byte
	free chan []byte
	gone chan struct{} // closed when the reader has gone
	once sync.Once
	err  error // why the writer ended; set before full is closed
	rest []byte
	seen func([]byte) // called with each buffer before it is read; may be nil
	last []byte
}

const (
	ringBuffers = 6
	ringSize    = 256 << 10
)

func newRing() *ring {
	return &ring{full: make(chan []byte, ringBuffers), free: make(chan []byte, ringBuffers), gone: make(chan struct{})}
}

// buffer returns space to fill and pass to send.
func (r *ring) buffer() []byte {
	select {
	case b := <-r.free:
		return b[:ringSize]
	default:
		return make([]byte, ringSize)
	}
}

// send passes a filled buffer on. It fails when the reader has gone.
func (r *ring) send(b []byte) error {
	select {
	case r.full <- b:
		return nil
	case <-r.gone:
		return io.ErrClosedPipe
	}
}

// finish tells the reader that nothing more comes: err is what it reads at the end, nil means io.EOF.
func (r *ring) finish(err error) {
	if err == nil {
		err = io.EOF
	}
	r.err = err
	close(r.full)
}

// fill copies src to the ring up to its end.
func (r *ring) fill(src io.Reader) {
	for {
		b := r.buffer()
		n, err := readSome(src, b)
		if n > 0 {
			if r.send(b[:n]) != nil {
				r.finish(io.ErrClosedPipe)
				return
			}
		}
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			r.finish(err)
			return
		}
	}
}

// readSome fills b at least by half, so that a source that answers in small pieces does not cost a hand-over each.
func readSome(src io.Reader, b []byte) (n int, err error) {
	for n < len(b)/2 && err == nil {
		var m int
		m, err = src.Read(b[n:])
		n += m
	}
	return n, err
}

// next returns the next buffer; it stays valid until the call after.
func (r *ring) next() ([]byte, error) {
	if r.last != nil {
		select {
		case r.free <- r.last:
		default:
		}
		r.last = nil
	}
	var b []byte
	ok := false
	select {
	case b, ok = <-r.full:
	case <-r.gone:
		return nil, io.ErrClosedPipe
	}
	if !ok {
		return nil, r.err
	}
	r.last = b[:cap(b)]
	if r.seen != nil {
		r.seen(b)
	}
	return b, nil
}

func (r *ring) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		b, err := r.next()
		if err != nil {
			return 0, err
		}
		r.rest = b
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// close ends the reading, from whichever goroutine: what is still sent is refused.
func (r *ring) close() { r.once.Do(func() { close(r.gone) }) }
