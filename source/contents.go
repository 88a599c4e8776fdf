package source

import (
	"bytes"
	"context"

	"golang.org/x/sys/unix"
)

// contents writes a file; longer stretches of zeros become holes.
type contents struct {
	ctx  context.Context
	fd   int
	name string
	at   int64
	hole bool
}

var zeros [64 << 10]byte

func (c *contents) take(b []byte) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	c.hole = len(b) >= len(zeros) && empty(b)
	if !c.hole {
		if err := writeAll(c.fd, b, c.at); err != nil {
			return named("write", "/"+c.name, err)
		}
	}
	c.at += int64(len(b))
	return nil
}

func (c *contents) end() error {
	if !c.hole {
		return nil
	}
	return named("ftruncate", "/"+c.name, unix.Ftruncate(c.fd, c.at))
}

func empty(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeros))
		if !bytes.Equal(b[:n], zeros[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

func writeAll(fd int, b []byte, at int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, at)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b, at = b[n:], at+int64(n)
	}
	return nil
}
