package image

import "io"

// Decompress undoes whatever an archive is packed with.
func Decompress(r io.Reader) (io.ReadCloser, error) {
	plain, packed, err := Plain(r)
	if err != nil || !packed {
		return plain, err
	}
	z, _, err := decompress(plain)
	return z, err
}
