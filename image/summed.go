package image

import (
	"context"
	"hash"
	"io"
)

// summed writes a file and takes its digest: of much beside the writing, of little without another goroutine.
type summed struct {
	ctx  context.Context
	to   io.Writer
	sum  hash.Hash
	size int64

	buf    []byte // not written yet
	ring   *ring  // to the goroutine that takes the digest; nil: there is none
	summed chan struct{}
}

func (w *summed) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if w.buf == nil {
			w.buf = w.buffer()
		}
		m := copy(w.buf[len(w.buf):cap(w.buf)], p)
		w.buf, p = w.buf[:len(w.buf)+m], p[m:]
		if len(w.buf) == cap(w.buf) {
			if err := w.pass(); err != nil {
				return 0, err
			}
		}
	}
	return n, w.ctx.Err()
}

func (w *summed) buffer() []byte {
	if w.ring == nil {
		return make([]byte, 0, ringSize)
	}
	return w.ring.buffer()[:0]
}

// pass writes what has come together, and has it added up.
func (w *summed) pass() error {
	if w.ring == nil {
		w.ring, w.summed = newRing(), make(chan struct{})
		go w.add()
	}
	b := w.buf
	w.buf = nil
	w.size += int64(len(b))
	_, err := w.to.Write(b)
	w.ring.send(b) // refused by nobody: add reads to the end
	return err
}

func (w *summed) add() {
	defer close(w.summed)
	for {
		b, err := w.ring.next()
		if err != nil {
			return
		}
		w.sum.Write(b)
	}
}

// close writes the rest. The digest is complete after it, if there was no error.
func (w *summed) close() error {
	if w.ring != nil {
		err := w.pass()
		w.ring.finish(nil)
		<-w.summed
		return err
	}
	w.size = int64(len(w.buf))
	w.sum.Write(w.buf)
	_, err := w.to.Write(w.buf)
	return err
}
