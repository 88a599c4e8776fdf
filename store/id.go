package store

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// IDLength is the number of hexadecimal digits of a full id.
const IDLength = 64

// NewID returns 64 random hexadecimal digits, never such that the short form is a decimal number: Docker avoids
// those too, since a container's default hostname must not be all digits.
func NewID() string {
	var b [IDLength / 2]byte
	for {
		// getrandom(2) of up to 256 bytes is never short and, after boot, never fails: crypto/rand would only add weight.
		if n, err := unix.Getrandom(b[:], 0); err != nil || n != len(b) {
			continue
		}
		id := hex.EncodeToString(b[:])
		if strings.ContainsAny(id[:12], "abcdef") {
			return id
		}
	}
}

// ErrAmbiguous is the error for a prefix that several ids share.
var ErrAmbiguous = errors.New("multiple IDs found with provided prefix")

// IDs returns the ids of all containers, in no order. Half-made ones are among them.
func (r Root) IDs() ([]string, error) { return ids(r.containers()) }

// RunIDs returns the ids of the containers that have a state directory: those that were started since the machine was.
func (r Root) RunIDs() ([]string, error) { return ids(filepath.Join(r.Run, "containers")) }

// NetworkRunIDs returns the ids of the networks of which something was raised since the machine was started.
func (r Root) NetworkRunIDs() ([]string, error) { return ids(filepath.Join(r.Run, "networks")) }

func ids(dir string) ([]string, error) {
	all, err := names(dir)
	kept := all[:0]
	for _, n := range all {
		if len(n) == IDLength && hexadecimal(n) {
			kept = append(kept, n)
		}
	}
	return kept, err
}

// Find returns the full id for what a user types: full id, name, or unique prefix of an id, in this order as Docker
// does. The error is fs.ErrNotExist or ErrAmbiguous.
func (r Root) Find(ref string) (string, error) {
	if len(ref) == IDLength && hexadecimal(ref) {
		if _, err := os.Lstat(r.Container(ref).Dir); err == nil {
			return ref, nil
		}
	}
	owner, err := r.Names().Owner(strings.TrimPrefix(ref, "/"))
	if err == nil {
		return owner, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return r.prefix(ref)
}

func (r Root) prefix(ref string) (string, error) {
	if ref == "" || !hexadecimal(ref) {
		return "", fs.ErrNotExist
	}
	ids, err := r.IDs()
	if err != nil {
		return "", err
	}
	found := ""
	for _, id := range ids {
		if !strings.HasPrefix(id, ref) {
			continue
		}
		if found != "" {
			return "", ErrAmbiguous
		}
		found = id
	}
	if found == "" {
		return "", fs.ErrNotExist
	}
	return found, nil
}

func hexadecimal(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
