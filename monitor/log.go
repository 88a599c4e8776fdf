package monitor

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"glassbox/logfile"
	"glassbox/sealed"
)

// openLog opens the container's log, if it has one.
func (m *monitor) openLog() error {
	if !m.config.Log.Keeps() {
		return nil
	}
	w, err := logfile.Create(m.config.Log)
	if err == nil {
		m.log = m.logger(w)
	}
	return err
}

func (m *monitor) logger(w *logfile.Writer) *logfile.Writer {
	w.Complain = complain
	w.Start = func(fd int, path string, newest time.Time) error {
		m.garbage += perRequest
		return compressor(fd, path, newest)
	}
	return w
}

// compressor starts a process that compresses a log file, while the container writes the next one. It would take the monitor a megabyte
// and, for as long, its attention. Nobody waits for it: reapAll takes its exit status.
//
//	glassrun compress PATH SECONDS NANOSECONDS     the time of the file's newest entry; the file itself is descriptor 0
func compressor(fd int, path string, newest time.Time) error {
	argv := []string{os.Args[0], "compress", path, strconv.FormatInt(newest.Unix(), 10), strconv.Itoa(newest.Nanosecond())}
	_, err := syscall.ForkExec("/proc/self/exe", argv, &syscall.ProcAttr{
		Dir: "/", Env: sealed.OneProcessor(os.Environ()), Files: []uintptr{uintptr(fd), 2, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	return os.NewSyscallError("execve", err)
}

// Compress is that process.
func Compress(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("compress: want a path and a time in seconds and nanoseconds, not %q", args)
	}
	seconds, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return err
	}
	nanoseconds, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return err
	}
	return logfile.Compress(os.Stdin, args[0], time.Unix(seconds, nanoseconds))
}

// lines is the log of one stream; an exec's output is not logged.
func (m *monitor) lines(stream string, p *process) *logfile.Lines {
	if m.log == nil || p.id != "" {
		return nil
	}
	return m.log.Stream(stream, logfile.Rest{})
}
