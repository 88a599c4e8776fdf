package progress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// held is output that waits for its turn: in memory at first, and in a file without a name when it becomes much, since a RUN may write
// gigabytes while another stage is shown.
type held struct {
	memory bytes.Buffer
	file   *os.File
}

const heldInMemory = 256 << 10

func (h *held) Write(p []byte) (int, error) {
	if h.file == nil && h.memory.Len()+len(p) <= heldInMemory {
		return h.memory.Write(p)
	}
	if h.file == nil {
		if err := h.spill(); err != nil {
			return 0, err
		}
	}
	return h.file.Write(p)
}

// spill goes on in a file, which loses its name at once: not every file system that may be /tmp has O_TMPFILE.
func (h *held) spill() error {
	f, err := os.CreateTemp("", "glassbox-output-")
	if err != nil {
		return fmt.Errorf("holding back output: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return errors.Join(err, f.Close())
	}
	h.file = f
	_, err = f.Write(h.memory.Bytes())
	h.memory = bytes.Buffer{}
	return err
}

// release writes out what was held, and holds nothing afterwards.
func (h *held) release(w io.Writer) error {
	if h.file == nil {
		_, err := h.memory.WriteTo(w)
		return err
	}
	defer h.drop()
	if _, err := h.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(w, h.file)
	return err
}

// drop forgets what was held.
func (h *held) drop() {
	h.memory = bytes.Buffer{}
	if h.file != nil {
		_ = h.file.Close() // it has no name, and nobody reads it any more
		h.file = nil
	}
}
