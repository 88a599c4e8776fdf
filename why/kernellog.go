package why

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// kernelLog reads the ring buffer of the kernel's messages (/dev/kmsg, Documentation/ABI/testing/dev-kmsg): those between two times that
// wanted says yes to. It takes CAP_SYSLOG, or kernel.dmesg_restrict at 0; what is older than the buffer is gone.
func kernelLog(from, to time.Time, wanted func(line string) bool) ([]string, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	booted, err := bootTime()
	if err != nil {
		return nil, err
	}
	var found []string
	record := make([]byte, 8<<10)
	for {
		n, err := unix.Read(fd, record)
		switch {
		case errors.Is(err, unix.EPIPE): // overwritten while we read: the next one is there
			continue
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || n <= 0: // EAGAIN: that was the last
			return found, nil
		}
		at, line := message(record[:n])
		when := booted.Add(at)
		if when.Before(from.Add(-time.Second)) || when.After(to.Add(2*time.Second)) || !wanted(line) {
			continue
		}
		found = append(found, line)
	}
}

// message takes a record apart: priority, number, microseconds since the clock began, flags; text.
func message(record []byte) (time.Duration, string) {
	head, text, _ := bytes.Cut(record, []byte{';'})
	text, _, _ = bytes.Cut(text, []byte{'\n'})
	f := strings.Split(string(head), ",")
	if len(f) < 3 {
		return 0, string(text)
	}
	us, _ := strconv.ParseInt(f[2], 10, 64)
	return time.Duration(us) * time.Microsecond, string(text)
}

// bootTime is when the clock of the kernel's log, which stands still while the machine sleeps, was 0.
func bootTime() (time.Time, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return time.Time{}, err
	}
	return time.Now().Add(-time.Duration(t.Nano())), nil
}
