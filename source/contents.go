package source

import (
	"context"

	"glassbox/archive"

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

func (c *contents) take(b []byte) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	c.hole = archive.IsHole(b)
	if !c.hole {
		if err := archive.WriteAt(c.fd, b, c.at); err != nil {
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
