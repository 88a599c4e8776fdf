package image

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"fmt"
	"io"
	"os/exec"

	"github.com/klauspost/compress/zstd"
)

// compression names how a layer's blob is packed, told by its first bytes: media types in the wild are not reliable.
type compression string

const (
	plain     compression = "tar"
	gzipped   compression = "tar+gzip"
	zstandard compression = "tar+zstd"
)

// mediaType is the layer's media type in an OCI manifest.
func (c compression) mediaType() string { return "application/vnd.oci.image.layer.v1." + string(c) }

// decompress looks at the first bytes of r and returns the stream inside it. Closing the result does not close r.
func decompress(r io.Reader) (io.ReadCloser, compression, error) {
	b := bufio.NewReaderSize(r, ringSize)
	head, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, plain, err
	}
	switch packedAs(head) {
	case gzipped:
		return io.NopCloser(newGunzip(b)), gzipped, nil
	case zstandard:
		// A window above 128 MiB is beyond what the zstd tool accepts without --long; it would be memory taken by an attacker.
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, zstandard, err
		}
		return z.IOReadCloser(), zstandard, nil
	}
	return io.NopCloser(b), plain, nil
}

// packedAs tells how a blob is packed by its first four bytes.
func packedAs(head []byte) compression {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzipped
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), isSkippable(head):
		return zstandard
	}
	return plain
}

// isSkippable tells a zstd skippable frame (RFC 8878, 3.1.2), with which seekable layers (zstd:chunked) may begin.
func isSkippable(head []byte) bool {
	return len(head) == 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18})
}

// Plain undoes whatever an archive is packed with, bzip2 and xz (by the program xz, as Docker) included; kept tells that the
// stream is passed on as it came, in a form that a layer may have.
func Plain(r io.Reader) (layer io.ReadCloser, kept bool, err error) {
	b := bufio.NewReaderSize(r, ringSize)
	head, err := b.Peek(6)
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("BZh")):
		return io.NopCloser(bzip2.NewReader(b)), false, nil
	case bytes.Equal(head, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		x, err := newXZ(b)
		return x, false, err
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}), bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return io.NopCloser(b), true, nil
	}
	return io.NopCloser(b), false, nil
}

// xz is a running xz(1).
type xz struct {
	io.ReadCloser
	cmd    *exec.Cmd
	errors bytes.Buffer
}

func newXZ(r io.Reader) (*xz, error) {
	x := &xz{cmd: exec.Command("xz", "-d", "-c", "-q")}
	x.cmd.Stdin, x.cmd.Stderr = r, &x.errors
	out, err := x.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	x.ReadCloser = out
	return x, x.cmd.Start()
}

// Read ends as the program does.
func (x *xz) Read(p []byte) (int, error) {
	n, err := x.ReadCloser.Read(p)
	if err == io.EOF && x.cmd.ProcessState == nil {
		if failed := x.cmd.Wait(); failed != nil {
			err = fmt.Errorf("%w: %s", failed, bytes.TrimSpace(x.errors.Bytes()))
		}
	}
	return n, err
}

// Close ends the program, which then has nobody to write for.
func (x *xz) Close() error {
	err := x.ReadCloser.Close()
	if x.cmd.ProcessState == nil {
		_ = x.cmd.Process.Kill()
		_ = x.cmd.Wait()
		return err
	}
	return nil
}
