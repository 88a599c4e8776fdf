package source

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	chmod "github.com/tonistiigi/dchapes-mode"
	"golang.org/x/sys/unix"
)

// mode is what --chmod asks for; a nil one changes nothing.
type mode struct {
	bits    uint32
	change  chmod.Set
	changes bool // not bits, but change
}

func parseMode(text string) (*mode, error) {
	if text == "" {
		return nil, nil
	}
	wrong := fmt.Errorf("invalid chmod parameter: '%v'. it should be octal string and between 0 and 07777", text)
	if bits, err := strconv.ParseUint(text, 8, 32); err == nil {
		if bits > 0o7777 {
			return nil, wrong
		}
		return &mode{bits: uint32(bits)}, nil
	}
	set, err := chmod.ParseWithUmask(text, 0)
	var number *strconv.NumError
	if errors.As(err, &number) {
		return nil, wrong
	}
	return &mode{change: set, changes: true}, err
}

// of is the mode of a file that had another.
func (m *mode) of(old uint32) uint32 {
	switch {
	case m == nil:
		return old & 0o7777
	case !m.changes:
		return m.bits
	}
	return bits(m.change.Apply(fileMode(old)))
}

// wayMode is the mode of a directory that is on the way and was not there.
const wayMode = 0o755

// made is that mode where --chmod gives one; set-id bits are not for it, as in BuildKit.
func (m *mode) made() uint32 {
	if m == nil || m.changes {
		return wayMode
	}
	return m.bits & 0o777
}

var special = map[uint32]os.FileMode{unix.S_ISUID: os.ModeSetuid, unix.S_ISGID: os.ModeSetgid, unix.S_ISVTX: os.ModeSticky}

// fileMode is a mode as Go has it. That something is a directory matters to "X", chmod(1).
func fileMode(old uint32) os.FileMode {
	m := os.FileMode(old & 0o777)
	if old&unix.S_IFMT == unix.S_IFDIR {
		m |= os.ModeDir
	}
	for bit, meaning := range special {
		if old&bit != 0 {
			m |= meaning
		}
	}
	return m
}

func bits(m os.FileMode) uint32 {
	b := uint32(m.Perm())
	for bit, meaning := range special {
		if m&meaning != 0 {
			b |= bit
		}
	}
	return b
}
