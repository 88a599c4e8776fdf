package image

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"runtime"

	"github.com/klauspost/compress/flate"
)

// gzipper packs a stream on all processors: each block is deflated by itself and ends on a byte (a sync flush), so that the blocks in
// their order are one deflate stream. What comes out follows from what goes in, however many processors there are: a layer packed
// twice is the same blob.
type gzipper struct {
	to     io.Writer
	crc    uint32
	size   uint32 // modulo 2^32, as gzip (RFC 1952) wants it
	begun  bool
	block  *packing
	going  []*packing // oldest first
	spare  []*packing
	failed error
}

const (
	packBlock = 512 << 10 // a smaller one packs worse: nothing is remembered from block to block
	packLevel = 1
)

// packing is one block on its way.
type packing struct {
	plain []byte
	to    bytes.Buffer
	flate *flate.Writer
	done  chan error
}

func newGzipper(to io.Writer) *gzipper { return &gzipper{to: to} }

func (g *gzipper) Write(p []byte) (n int, err error) {
	for len(p) > 0 && g.failed == nil {
		if g.block == nil {
			g.block = g.free()
		}
		room := min(len(p), packBlock-len(g.block.plain))
		g.block.plain = append(g.block.plain, p[:room]...)
		p, n = p[room:], n+room
		if len(g.block.plain) == packBlock {
			g.start()
		}
	}
	return n, g.failed
}

// free is a block that nobody works on. As many are on their way as there are processors, and one more is being filled.
func (g *gzipper) free() *packing {
	if len(g.spare) == 0 && len(g.going) < runtime.GOMAXPROCS(0) {
		return &packing{plain: make([]byte, 0, packBlock), done: make(chan error, 1)}
	}
	if len(g.spare) == 0 {
		g.end()
	}
	b := g.spare[len(g.spare)-1]
	g.spare = g.spare[:len(g.spare)-1]
	return b
}

func (g *gzipper) start() {
	b := g.block
	g.block = nil
	g.crc = crc32.Update(g.crc, crc32.IEEETable, b.plain)
	g.size += uint32(len(b.plain))
	g.going = append(g.going, b)
	go func() { b.done <- b.pack() }()
}

func (b *packing) pack() (err error) {
	b.to.Reset()
	if b.flate == nil {
		if b.flate, err = flate.NewWriter(&b.to, packLevel); err != nil {
			return err
		}
	} else {
		b.flate.Reset(&b.to)
	}
	if _, err = b.flate.Write(b.plain); err == nil {
		err = b.flate.Flush()
	}
	return err
}

// end passes the oldest block on.
func (g *gzipper) end() {
	b := g.going[0]
	g.going = g.going[1:]
	err := <-b.done
	if err == nil && g.failed == nil {
		err = g.send(b.to.Bytes())
	}
	if g.failed == nil {
		g.failed = err
	}
	b.plain = b.plain[:0]
	g.spare = append(g.spare, b)
}

func (g *gzipper) send(p []byte) error {
	if !g.begun {
		g.begun = true
		// No name and no time: the same content is the same blob. 4 tells that the fastest way was used, 255 that no system counts.
		if _, err := g.to.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255}); err != nil {
			return err
		}
	}
	_, err := g.to.Write(p)
	return err
}

// Close writes what is left: the last block, an empty final one, and the check that ends a gzip stream.
func (g *gzipper) Close() error {
	if g.block != nil {
		g.start()
	}
	for len(g.going) > 0 {
		g.end()
	}
	if g.failed != nil {
		return g.failed
	}
	tail := []byte{3, 0}
	tail = binary.LittleEndian.AppendUint32(tail, g.crc)
	return g.send(binary.LittleEndian.AppendUint32(tail, g.size))
}
