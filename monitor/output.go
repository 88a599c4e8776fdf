package monitor

import (
	"time"

	"glassbox/logfile"

	"golang.org/x/sys/unix"
)

// output is one stream that a process writes: the reading end of a FIFO or pipe, or the terminal.
type output struct {
	p    *process
	kind byte           // Stdout or Stderr
	fd   int            // -1: at its end
	log  *logfile.Lines // nil: it is not kept
	wide bool           // the pipe was made wider
	said *said          // of a health check
}

// interest is none while a client or the log is behind, so that the process feels a full pipe. When it has ended, what is
// left in the pipe is taken at once: it is not much, and the end must be told.
func (o *output) interest() (int, int16) {
	if !o.p.ended && (o.p.m.behind(o) || o.log != nil && o.p.m.log.Waits()) {
		return -1, 0
	}
	return o.fd, unix.POLLIN
}

func (o *output) ready(int16) { o.read() }

// read takes what there is, once; it reports whether more may be there.
func (o *output) read() bool {
	if o.fd < 0 {
		return false
	}
	b := o.p.m.buffer()
	n, err := unix.Read(o.fd, b)
	switch {
	case err == unix.EINTR:
		return true
	case err == unix.EAGAIN:
		return false
	case n <= 0: // EIO: nobody has the terminal open any more
		o.close()
		return false
	}
	if n == len(b) && !o.wide {
		o.widen()
	}
	o.pass(b[:n])
	return true
}

// wideSize is a pipe's size for a process that fills the usual one, 64 KiB: it and we take turns less often then, which counts where others
// want the processor, too.
const wideSize = 256 << 10

// widen fails for a terminal, and where pipes have no room left (pipe-user-pages-soft in pipe(7)): then all stays as it is.
func (o *output) widen() {
	o.wide = true
	unix.FcntlInt(uintptr(o.fd), unix.F_SETPIPE_SZ, wideSize)
}

func (o *output) pass(b []byte) {
	o.p.m.garbage += len(b) // as much as the buffers on its way have grown by, at most
	if o.log != nil {
		o.log.Write(b, time.Now())
	}
	if o.said != nil {
		o.said.write(b)
	}
	for _, peer := range o.p.m.peers {
		if peer.listens(o) {
			peer.send(o.kind, b)
		}
	}
}

func (o *output) close() {
	if o.fd < 0 {
		return
	}
	unix.Close(o.fd)
	o.fd = -1
	if o.log != nil {
		o.log.End()
	}
}

// last takes what is there when the end of the stream is not waited for any longer. One pipe holds at most
// /proc/sys/fs/pipe-max-size, so a process that goes on writing cannot hold us here.
func (o *output) last() {
	for taken := 0; taken < 1<<20 && o.read(); taken += largest {
	}
	o.close()
}
