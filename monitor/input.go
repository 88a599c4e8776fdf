package monitor

import "golang.org/x/sys/unix"

// input is what a process reads as its standard input: the writing end of a FIFO or pipe, or the terminal.
type input struct {
	fd      int // -1: closed, what comes is thrown away
	tty     bool
	waiting []byte // taken from clients, not yet written
	ended   bool   // close when everything is written
}

// full tells that no more should be taken from clients for now.
func (in *input) full() bool { return len(in.waiting) >= largest }

func (in *input) write(b []byte) {
	if in.fd < 0 || in.ended {
		return
	}
	in.waiting = append(in.waiting, b...)
	in.flush()
}

// end closes the input when what was taken has been written. A terminal has no end: a program in it reads end-of-file when
// ^D is typed.
func (in *input) end() {
	if !in.tty {
		in.ended = true
		in.flush()
	}
}

// flush writes what fits without waiting. A process that has closed its input (EPIPE), or gone (EIO), gets nothing more.
func (in *input) flush() {
	sent := 0
	for in.fd >= 0 && sent < len(in.waiting) {
		n, err := unix.Write(in.fd, in.waiting[sent:])
		if err == unix.EAGAIN {
			break
		}
		if err != nil && err != unix.EINTR {
			in.close()
		}
		sent += max(n, 0)
	}
	in.waiting = in.waiting[:copy(in.waiting, in.waiting[min(sent, len(in.waiting)):])]
	if len(in.waiting) == 0 {
		in.waiting = nil
		if in.ended {
			in.close()
		}
	}
}

func (in *input) close() {
	if in.fd >= 0 {
		unix.Close(in.fd)
	}
	in.fd, in.waiting = -1, nil
}

func (in *input) interest() (int, int16) {
	if len(in.waiting) == 0 {
		return -1, 0
	}
	return in.fd, unix.POLLOUT
}

func (in *input) ready(int16) { in.flush() }
