package logfile

import (
	"fmt"
	"math"
	"os"
	"time"

	"glassbox/store"

	"golang.org/x/sys/unix"
)

// full is how much is encoded before it is written.
const full = 64 << 10

// Writer appends to a log and begins new files. It makes raw calls only: an os.File would cost a process that stays with a container
// Go's machinery for it.
//
// When it cannot be written (a full disk) the container goes on. What is lost is said once by Complain and, when the disk has room
// again, in the log itself, at the place where it is missing.
type Writer struct {
	Config
	Kept
	Complain func(error)                                       // tells what nobody waits for
	Start    func(fd int, path string, newest time.Time) error // starts a process that calls Compress

	format format
	piece  piece  // what is being added, here so that it costs no memory of its own
	buf    []byte // encoded entries, not yet written
	now    int64  // time of what is being written
	ticked int64  // the newest time that was given to an entry
	newest int64  // time of the newest entry that was added
	due    int64  // the size at which a new file is begun
	waits  bool   // it is due, and must wait
}

// Kept is what the next writer of the same file goes on with.
type Kept struct {
	FD    int
	Size  int64 // of the file up to the last whole entry
	Lost  int64 // bytes of entries that could not be written since the last one that could
	Cause string
	Told  bool
}

// Create opens the log for writing, behind what it has already.
func Create(c Config) (*Writer, error) {
	fd, size, err := openCurrent(c.File)
	if err != nil {
		return nil, err
	}
	w := Resume(c, Kept{FD: fd, Size: size})
	var last [1]byte
	if n, err := unix.Pread(fd, last[:], size-1); err == nil && n == 1 {
		w.buf = append(w.buf, w.format.mend(last[0])...)
	}
	return w, nil
}

// Resume is the writer that another one was, in the same process.
func Resume(c Config, k Kept) *Writer {
	return &Writer{Config: c, Kept: k, format: c.format(), due: c.limit()}
}

func (c Config) limit() int64 {
	if c.MaxSize > 0 {
		return c.MaxSize
	}
	return math.MaxInt64
}

func openCurrent(path string) (fd int, size int64, err error) {
	fd, err = unix.Open(path, unix.O_RDWR|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC, 0o640)
	if err != nil {
		return -1, 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return fd, st.Size, nil
}

// tick is the time of the next entry: no two have the same, so that --since can name each, and the files have an order.
func (w *Writer) tick() int64 {
	if w.now > w.ticked || w.ticked-w.now > int64(time.Second) { // or somebody has put the clock back
		w.ticked = w.now
	} else {
		w.ticked++
	}
	return w.ticked
}

// add adds an entry; it is in the file after Flush, or earlier.
func (w *Writer) add(p *piece) {
	if w.Size+int64(len(w.buf)) >= w.due {
		w.turn()
	}
	if w.waits && w.Spare > 0 && w.Size+int64(len(w.buf)) > w.MaxSize+w.Spare {
		w.Lost, w.Cause = w.Lost+int64(len(p.text)), "the log was too slow"
		return
	}
	w.buf = w.format.encode(w.buf, p)
	w.newest = max(w.newest, p.nanos)
	if len(w.buf) >= full { // short lines grow by a factor of forty
		w.Flush()
	}
}

// Flush writes what add added, behind a note of what is missing before it. A write that came only half through is cut off again, so that
// the file holds whole entries.
func (w *Writer) Flush() {
	if len(w.buf) == 0 {
		return
	}
	err := w.noteLoss()
	if err == nil {
		err = store.WriteAll(w.FD, w.buf)
	}
	if err != nil {
		w.cut()
		w.lose(err)
	} else {
		w.Size += int64(len(w.buf))
	}
	w.buf = w.buf[:0]
}

// cut takes off what is behind the last whole entry, unless the file is shorter by now: somebody has emptied it.
func (w *Writer) cut() {
	var st unix.Stat_t
	if unix.Fstat(w.FD, &st) == nil && st.Size < w.Size {
		w.Size = st.Size
	}
	unix.Ftruncate(w.FD, w.Size)
}

func (w *Writer) lose(err error) {
	w.Lost += int64(len(w.buf))
	w.Cause = err.Error()
	if !w.Told {
		w.Told = true
		w.Complain(fmt.Errorf("writing the log: %w: the container goes on, its output is lost until there is room again", err))
	}
}

// noteLoss leaves a note in the log where entries are missing. Where there is no room for it, there is none for what comes next either,
// though that may be shorter.
func (w *Writer) noteLoss() error {
	if w.Lost == 0 {
		return nil
	}
	text := fmt.Sprintf("glassbox: %d bytes of the log are missing here: %v", w.Lost, w.Cause)
	note := w.format.encode(nil, &piece{stream: "stderr", text: []byte(text), ends: true, nanos: w.tick()})
	if err := store.WriteAll(w.FD, note); err != nil {
		return err
	}
	w.Size += int64(len(note))
	w.Lost = 0
	return nil
}

// Close ends the writing. What Lines has begun and not ended is not part of the log.
func (w *Writer) Close() {
	w.Flush()
	unix.Close(w.FD)
}
