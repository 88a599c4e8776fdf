package source

import (
	"archive/tar"
	"bytes"
	"os"

	"glassbox/image"

	"golang.org/x/sys/unix"
)

// magics are how what is compressed begins: gzip, bzip2, xz, zstd.
var magics = [][]byte{{0x1f, 0x8b, 0x08}, []byte("BZh"), {0xfd, '7', 'z', 'X', 'Z', 0}, {0x28, 0xb5, 0x2f, 0xfd}}

func packed(head []byte) bool {
	for _, magic := range magics {
		if bytes.HasPrefix(head, magic) {
			return true
		}
	}
	return false
}

// isArchive reports whether a file is an archive that ADD unpacks: one that begins with an entry, once it is decompressed.
func isArchive(held int) (bool, error) {
	fd, err := unix.Open(descriptor(held), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	plain, err := image.Decompress(f)
	if err != nil {
		return false, nil
	}
	defer plain.Close()
	_, err = tar.NewReader(plain).Next()
	return err == nil, nil
}
