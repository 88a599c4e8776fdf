package archive

import (
	"bytes"

	"golang.org/x/sys/unix"
)

var zeros [64 << 10]byte

// IsHole tells a stretch of zeros that is long enough to be left out of a file.
func IsHole(b []byte) bool {
	if len(b) < len(zeros) {
		return false
	}
	for len(b) > 0 {
		n := min(len(b), len(zeros))
		if !bytes.Equal(b[:n], zeros[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

// WriteAt is pwrite(2), until all is written.
func WriteAt(fd int, b []byte, at int64) error {
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
