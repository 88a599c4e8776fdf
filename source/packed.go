package source

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"golang.org/x/sys/unix"
)

// packing is a way in which archives are compressed, told by how it begins.
type packing struct {
	magic []byte
	open  func(io.Reader) (io.ReadCloser, error)
}

// widest is the most that a zstd stream may want to have in memory: what zstd(1) itself decompresses without being asked to.
const widest = 128 << 20

var packings = []packing{
	{[]byte{0x1f, 0x8b, 0x08}, func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }},
	{[]byte("BZh"), func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(bzip2.NewReader(r)), nil }},
	{[]byte{0xfd, '7', 'z', 'X', 'Z', 0}, func(r io.Reader) (io.ReadCloser, error) {
		z, err := xz.ReaderConfig{DictCap: 64 << 20}.NewReader(r)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(z), nil
	}},
	{[]byte{0x28, 0xb5, 0x2f, 0xfd}, func(r io.Reader) (io.ReadCloser, error) {
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(widest))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}},
}

// packed tells how something that begins so is compressed.
func packed(head []byte) *packing {
	for i, p := range packings {
		if bytes.HasPrefix(head, p.magic) {
			return &packings[i]
		}
	}
	return nil
}

// unpacked undoes whatever compression there is.
func unpacked(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(10)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if p := packed(head); p != nil {
		return p.open(b)
	}
	return io.NopCloser(b), nil
}

// isArchive reports whether a file is an archive that ADD unpacks: one that begins with an entry, once it is decompressed.
func isArchive(held int) (bool, error) {
	fd, err := unix.Open(descriptor(held), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	plain, err := unpacked(f)
	if err != nil {
		return false, nil
	}
	defer plain.Close()
	_, err = tar.NewReader(plain).Next()
	return err == nil, nil
}
