package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Corrupt is the error for a document that is not JSON, most likely cut in half by a power failure or a full disk.
type Corrupt struct {
	Path  string // where it was
	Aside string // where it is now; empty when it could not be moved
	Cause error
}

func (e *Corrupt) Error() string {
	if e.Aside == "" {
		return fmt.Sprintf("%s is damaged: %v", e.Path, e.Cause)
	}
	return fmt.Sprintf("%s is damaged (%v) and was set aside as %s", e.Path, e.Cause, filepath.Base(e.Aside))
}

func (e *Corrupt) Unwrap() error { return e.Cause }

// Read decodes a document. A damaged one is renamed to *.corrupt and reported as *Corrupt, so that it is
// seen once and stands in nobody's way afterwards.
func Read(path string, v any) error {
	data, err := ReadFile(path)
	if errors.Is(err, unix.EISDIR) {
		return setAside(path, err)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return setAside(path, err)
	}
	return nil
}

func setAside(path string, cause error) error {
	c := &Corrupt{Path: path, Cause: cause, Aside: path + ".corrupt"}
	if err := os.Rename(path, c.Aside); err != nil {
		c.Aside = ""
	}
	return c
}

// Write encodes v without its zero values and puts it in the place of the document, at once: a reader sees
// the old one or the new one.
func Write(path string, v any) error {
	var b bytes.Buffer
	if err := compact(&b, v); err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	b.WriteByte('\n')
	return Replace(path, b.Bytes(), 0o600)
}

// Put is Write for a document that nobody reads yet: without the rename.
func Put(path string, v any) error {
	var b bytes.Buffer
	if err := compact(&b, v); err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	b.WriteByte('\n')
	return WriteFile(path, b.Bytes(), 0o600)
}

var serial atomic.Uint32

// Replace puts data in the place of the file, at once. After an error nothing is left behind.
func Replace(path string, data []byte, mode fs.FileMode) error {
	temp := path + ".new" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(int(serial.Add(1)))
	err := WriteFile(temp, data, mode)
	if err == nil {
		err = rename(temp, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), discard(temp))
	}
	return nil
}

// rename is os.Rename without its look at what is replaced.
func rename(from, to string) error {
	if err := unix.Rename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func discard(temp string) error {
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
