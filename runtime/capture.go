package runtime

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// capture is what a hook writes to its standard output and standard error, for the message should it fail.
type capture struct {
	writing [2]*os.File // the hook's ends
	reading [2]int      // ours; -1 at their end
	text    [2][]byte
}

// kept is how much of each stream a message can use.
const kept = 4096

func newCapture() (*capture, error) {
	c := &capture{reading: [2]int{-1, -1}}
	for i := range c.writing {
		var pair [2]int
		if err := unix.Pipe2(pair[:], unix.O_CLOEXEC); err != nil {
			c.given()
			c.close()
			return nil, fmt.Errorf("making a pipe for a hook's output: %w", err)
		}
		c.reading[i], c.writing[i] = pair[0], os.NewFile(uintptr(pair[1]), "hook")
	}
	return c, nil
}

// given closes the hook's ends, once it has them.
func (c *capture) given() {
	for _, f := range c.writing {
		if f != nil {
			f.Close()
		}
	}
}

// follow reads until the process has ended; it reports false when that takes longer than the limit (0: none). It does not wait for the
// pipes' end: what a hook leaves running may hold them.
func (c *capture) follow(pidfd *os.File, began time.Time, limit time.Duration) bool {
	defer c.close()
	for {
		fds := []unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}, {Fd: int32(c.reading[0]), Events: unix.POLLIN}, {Fd: int32(c.reading[1]), Events: unix.POLLIN}}
		left := -1
		if limit > 0 {
			left = max(0, int((limit-time.Since(began)+time.Millisecond-1)/time.Millisecond))
		}
		n, err := unix.Poll(fds, left)
		if err != nil && err != unix.EINTR {
			return true // nothing to wait by: waiting for the process itself tells the rest
		}
		for i := range c.reading {
			if n > 0 && fds[i+1].Revents != 0 {
				c.take(i)
			}
		}
		quiet := fds[1].Revents|fds[2].Revents == 0 || c.full()
		switch {
		case n > 0 && fds[0].Revents != 0 && quiet:
			return true
		case n == 0:
			return false
		}
	}
}

// take reads once. What is beyond what is kept is read too, so that the hook need not wait.
func (c *capture) take(i int) {
	var buf [kept]byte
	n, err := unix.Read(c.reading[i], buf[:])
	if err == unix.EINTR {
		return
	}
	if n <= 0 {
		unix.Close(c.reading[i])
		c.reading[i] = -1
		return
	}
	c.text[i] = append(c.text[i], buf[:min(n, kept-len(c.text[i]))]...)
}

// full says that nothing more would be kept.
func (c *capture) full() bool { return len(c.text[0]) == kept || len(c.text[1]) == kept }

func (c *capture) close() {
	for i, fd := range c.reading {
		if fd >= 0 {
			unix.Close(fd)
			c.reading[i] = -1
		}
	}
}

// String is what was written, as runc adds it to a message.
func (c *capture) String() string {
	return fmt.Sprintf(", stdout: %s, stderr: %s", strings.TrimSpace(string(c.text[0])), strings.TrimSpace(string(c.text[1])))
}
