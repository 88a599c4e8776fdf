package image

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// gunzip reads gzip (RFC 1952), one stream after the other as the format allows.
type gunzip struct {
	f     *inflate
	sum   uint32
	size  uint32
	begun bool
}

var errGzip = errors.New("gzip: invalid header")

func newGunzip(r io.Reader) *gunzip { return &gunzip{f: newInflate(r)} }

func (g *gunzip) Read(p []byte) (int, error) {
	for {
		if !g.begun {
			if err := g.header(); err != nil {
				return 0, err
			}
		}
		n, err := g.f.Read(p)
		g.sum = crc32.Update(g.sum, crc32.IEEETable, p[:n])
		g.size += uint32(n)
		if err != io.EOF {
			return n, err
		}
		if err := g.trailer(); err != nil {
			return 0, err
		}
		if g.ended() {
			return 0, io.EOF
		}
	}
}

// ended tells that no further stream follows. An error of reading is left to the next read.
func (g *gunzip) ended() bool {
	if g.f.at < g.f.end {
		return false
	}
	return g.f.more() == nil && g.f.at == g.f.end
}

const (
	hasHeaderSum = 1 << 1
	hasExtra     = 1 << 2
	hasName      = 1 << 3
	hasComment   = 1 << 4
)

func (g *gunzip) header() error {
	var h [10]byte
	g.sum = 0
	if err := g.summed(h[:]); err != nil {
		return err
	}
	if h[0] != 0x1f || h[1] != 0x8b || h[2] != 8 {
		return errGzip
	}
	flags := h[3]
	if flags&hasExtra != 0 {
		if err := g.summed(h[:2]); err != nil {
			return err
		}
		if err := g.summed(make([]byte, binary.LittleEndian.Uint16(h[:]))); err != nil {
			return err
		}
	}
	for _, text := range []byte{hasName, hasComment} {
		if flags&text != 0 {
			if err := g.skipText(); err != nil {
				return err
			}
		}
	}
	if flags&hasHeaderSum != 0 {
		sum := uint16(g.sum)
		if err := g.f.raw(h[:2]); err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(h[:]) != sum {
			return errGzip
		}
	}
	g.sum, g.size, g.begun = 0, 0, true
	g.f.begin()
	return nil
}

func (g *gunzip) skipText() error {
	var b [1]byte
	for {
		if err := g.summed(b[:]); err != nil || b[0] == 0 {
			return err
		}
	}
}

// summed reads a part of the header, which may have a sum of its own.
func (g *gunzip) summed(p []byte) error {
	err := g.f.raw(p)
	g.sum = crc32.Update(g.sum, crc32.IEEETable, p)
	return err
}

func (g *gunzip) trailer() error {
	var t [8]byte
	if err := g.f.raw(t[:]); err != nil {
		return err
	}
	g.begun = false
	if binary.LittleEndian.Uint32(t[:]) != g.sum || binary.LittleEndian.Uint32(t[4:]) != g.size {
		return errors.New("gzip: invalid checksum")
	}
	return nil
}
