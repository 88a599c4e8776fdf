package monitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"glassbox/program"
	"glassbox/store"

	"golang.org/x/sys/unix"
)

// asking asks a client before each call of a start or exec. It waits for the answer on the client's connection, which nobody else reads
// meanwhile.
type asking struct {
	fd    int // of the client
	other int // readable when there is nothing to be started any more: the pidfd of the container's first process, of an exec; -1: none
}

// answer asks. A client that goes away ends the start, and so does the end of the process that waits for the answer.
func (a asking) answer(s program.Stop) (program.Answer, error) {
	line, err := json.Marshal(reply{Stop: &s})
	if err == nil {
		err = a.say(append(line, '\n'))
	}
	if err != nil {
		return program.Go, err
	}
	pidfd := -1
	if s.Pidfd != nil {
		pidfd = int(s.Pidfd.Fd())
	}
	var r request
	if line, err = a.hear(pidfd); err == nil {
		err = store.Decode(line, &r)
	}
	switch {
	case err != nil:
		return program.Go, err
	case r.Do == "go":
		return program.Go, nil
	case r.Do == "skip":
		return program.Skip, nil
	case r.Do == "quit":
		return program.Go, errors.New(r.Text)
	}
	return program.Go, fmt.Errorf("%q is no answer", r.Do)
}

func (a asking) say(line []byte) error {
	for len(line) > 0 {
		n, err := unix.SendmsgN(a.fd, line, nil, nil, unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			line = line[n:]
		case unix.EAGAIN:
			unix.Poll([]unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLOUT}}, -1) //nolint:errcheck // sending tells
		case unix.EINTR:
		default:
			return errAskedNobody
		}
	}
	return nil
}

var errAskedNobody = errors.New("whoever stepped through it has gone")

// hear waits for a line.
func (a asking) hear(pidfd int) ([]byte, error) {
	var line []byte
	for !bytes.HasSuffix(line, []byte{'\n'}) {
		polls := []unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLIN}, {Fd: int32(pidfd), Events: unix.POLLIN}, {Fd: int32(a.other), Events: unix.POLLIN}}
		if _, err := unix.Poll(polls, -1); err != nil && err != unix.EINTR {
			return nil, os.NewSyscallError("poll", err)
		}
		switch {
		case polls[0].Revents != 0:
			var b [4096]byte
			n, err := unix.Read(a.fd, b[:])
			if err == unix.EAGAIN || err == unix.EINTR {
				continue
			}
			if err != nil || n == 0 {
				return nil, errAskedNobody
			}
			line = append(line, b[:n]...)
		case polls[1].Revents != 0:
			return nil, program.ErrEnded
		case polls[2].Revents != 0:
			return nil, errNotRunning
		}
	}
	return line, nil
}
