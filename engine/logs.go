package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// LogOptions is `logs`; Tail -1 means all.
type LogOptions struct {
	Follow       bool
	Tail         int
	Timestamps   bool
	Details      bool
	Since, Until time.Time
}

// logEntry is one line of Docker's json-file log.
type logEntry struct {
	Log    string    `json:"log"`
	Stream string    `json:"stream"`
	Time   time.Time `json:"time"`
}

// Logs prints what a container has written, and with Follow what it goes on to write until it ends.
func (c *Containers) Logs(ctx context.Context, id string, o LogOptions, stdout, stderr io.Writer) error {
	r, err := c.load(id)
	if err != nil {
		return err
	}
	if r.HostConfig.LogConfig.Type == "none" {
		return invalid("configured logging driver does not support reading")
	}
	f, err := os.Open(r.place.Log())
	if errors.Is(err, fs.ErrNotExist) && !o.Follow {
		return nil // it has never been started
	}
	if errors.Is(err, fs.ErrNotExist) {
		f, err = c.firstLog(ctx, r)
	}
	if err != nil || f == nil {
		return err
	}
	defer f.Close()
	if o.Tail >= 0 {
		if err := seekTail(f, o.Tail); err != nil {
			return err
		}
	}
	p := &logPrinter{LogOptions: o, stdout: stdout, stderr: stderr, tty: r.Config.Tty}
	if !o.Follow {
		_, err := p.drain(f)
		return err
	}
	return c.follow(ctx, r, f, p)
}

// firstLog waits for a created container to be started.
func (c *Containers) firstLog(ctx context.Context, r *record) (*os.File, error) {
	for {
		f, err := os.Open(r.place.Log())
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		if _, err := c.read(r.ID); err != nil {
			return nil, nil // removed
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// seekTail puts the file's offset before its last n lines, reading backwards.
func seekTail(f *os.File, n int) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || n == 0 {
		return err
	}
	var chunk [64 << 10]byte
	lines := -1 // the newline that ends the last line starts none
	for at := end; at > 0; {
		size := min(at, int64(len(chunk)))
		at -= size
		if _, err := f.ReadAt(chunk[:size], at); err != nil {
			return err
		}
		for i := size - 1; i >= 0; i-- {
			if chunk[i] != '\n' {
				lines = max(lines, 0) // a last line that is being written counts
				continue
			}
			if lines++; lines == n {
				_, err := f.Seek(at+i+1, io.SeekStart)
				return err
			}
		}
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// logPrinter sorts entries out and prints them.
type logPrinter struct {
	LogOptions
	stdout, stderr io.Writer
	tty            bool
	rest           []byte // of a line that is not complete yet
}

var errUntil = errors.New("the end of the period is reached")

// drain prints what the file has from its offset on.
func (p *logPrinter) drain(f *os.File) (any bool, err error) {
	in := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := in.ReadBytes('\n')
		if len(p.rest) > 0 {
			line, p.rest = append(p.rest, line...), nil
		}
		if errors.Is(err, io.EOF) {
			p.rest = line
			return any, nil
		}
		if err != nil {
			return any, err
		}
		any = true
		if err := p.print(line); err != nil {
			if errors.Is(err, errUntil) && !p.Follow {
				return any, nil
			}
			return any, err
		}
	}
}

func (p *logPrinter) print(line []byte) error {
	var e logEntry
	if err := json.Unmarshal(line, &e); err != nil {
		return nil // cut off by a crash: the next line is whole again
	}
	if !p.Since.IsZero() && e.Time.Before(p.Since) {
		return nil
	}
	if !p.Until.IsZero() && e.Time.After(p.Until) {
		return errUntil
	}
	var b bytes.Buffer
	if p.Timestamps {
		b.WriteString(e.Time.UTC().Format("2006-01-02T15:04:05.000000000Z07:00") + " ")
	}
	if p.Details {
		b.WriteByte(' ') // where Docker prints labels that --log-opt has chosen
	}
	b.WriteString(e.Log)
	w := p.stdout
	if e.Stream == "stderr" && !p.tty {
		w = p.stderr
	}
	if w == nil {
		return nil
	}
	_, err := w.Write(b.Bytes())
	return err
}

// follow prints until the container has ended and everything is printed. inotify(7) says when there is more.
func (c *Containers) follow(ctx context.Context, r *record, f *os.File, p *logPrinter) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return os.NewSyscallError("inotify_init1", err)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, r.place.Log(), unix.IN_MODIFY|unix.IN_CLOSE_WRITE|unix.IN_ATTRIB|unix.IN_DELETE_SELF); err != nil {
		return fmt.Errorf("watching %s: %w", r.place.Log(), err)
	}
	for {
		// Asked before reading: what was written before the end is then surely read.
		s, err := c.state(r)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return err
		}
		if _, err := p.drain(f); errors.Is(err, errUntil) {
			return nil
		} else if err != nil {
			return err
		}
		if !s.Running {
			return nil
		}
		if !p.Until.IsZero() && time.Now().After(p.Until) {
			return nil
		}
		if err := more(ctx, fd); err != nil {
			return err
		}
	}
}

// more waits a while for the file to change. ctx is looked at ten times a second: a poll(2) cannot be called off.
func more(ctx context.Context, fd int) error {
	for range 5 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		}
		if n > 0 {
			var events [4096]byte
			unix.Read(fd, events[:])
			return nil
		}
	}
	return nil
}
