package image

import (
	"bufio"
	"bytes"
	"io"

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
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return io.NopCloser(newGunzip(b)), gzipped, nil
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), isSkippable(head):
		// A window above 128 MiB is beyond what the zstd tool accepts without --long; it would be memory taken by an attacker.
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, zstandard, err
		}
		return z.IOReadCloser(), zstandard, nil
	}
	return io.NopCloser(b), plain, nil
}

// isSkippable tells a zstd skippable frame (RFC 8878, 3.1.2), with which seekable layers (zstd:chunked) may begin.
func isSkippable(head []byte) bool {
	return len(head) == 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18})
}
