package monitor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"glassbox/program"
	"glassbox/store"

	"golang.org/x/sys/unix"
)

const (
	behindAt = 256 << 10        // so much unsent, the container is held back
	patience = 10 * time.Second // for a client that reads nothing, unless it is a patient one
	longLine = 4 << 20          // longest request
)

// peer is one connected client, as the monitor sees it.
type peer struct {
	m      *monitor
	fd     int // -1: gone
	in     []byte
	out    []byte
	sent   int       // of out
	moved  time.Time // when out was begun, or the client last read of it
	hangup bool      // its end is closed; what it sent is not all taken yet

	waits  *process // its end is to be told in a reply
	stream *process // frames of this process come and go
	wants  AttachSpec
	last   bool      // nothing more is to be sent
	cleans bool      // has promised to clean up
	run    *ExecSpec // what it wants to be started
	busy   bool      // an exec that it steps through talks to it
}

func (p *peer) unsent() int { return len(p.out) - p.sent }

// interest: input is not taken while the process does not read its own.
func (p *peer) interest() (int, int16) {
	var events int16
	if p.busy {
		return -1, 0
	}
	if !p.paused() {
		events |= unix.POLLIN
	} else if p.hangup {
		return -1, 0 // poll(2) would report POLLHUP again and again
	}
	if p.unsent() > 0 {
		events |= unix.POLLOUT
	}
	return p.fd, events
}

func (p *peer) paused() bool {
	return p.stream != nil && p.wants.Stdin && p.stream.in != nil && p.stream.in.full()
}

func (p *peer) ready(revents int16) {
	if revents&unix.POLLOUT != 0 {
		p.flush()
	}
	if revents&(unix.POLLHUP|unix.POLLERR) != 0 {
		p.hangup = true
	}
	if p.fd >= 0 && !p.paused() && revents&^unix.POLLOUT != 0 {
		p.receive()
	}
}

func (p *peer) receive() {
	b := p.m.buffer()
	n, err := p.read(b)
	if err == unix.EAGAIN || err == unix.EINTR {
		return
	}
	if n <= 0 {
		p.drop()
		return
	}
	p.in = append(p.in, b[:n]...)
	p.understand()
}

// read takes files too from a client that cleans up. They stay open, as whatever number they get, until the monitor ends: nobody waits
// for that, as somebody would for a client that closes them.
func (p *peer) read(b []byte) (int, error) {
	if !p.cleans {
		return unix.Read(p.fd, b)
	}
	var rights [64]byte // of a few descriptors
	n, _, _, _, err := unix.Recvmsg(p.fd, b, rights[:], unix.MSG_CMSG_CLOEXEC)
	return n, err
}

// understand serves the requests and frames that have come whole.
func (p *peer) understand() {
	rest := p.in
	for p.fd >= 0 {
		taken := p.one(rest)
		if taken == 0 {
			break
		}
		rest = rest[taken:]
	}
	p.in = append(p.in[:0], rest...)
	if len(p.in) > longLine {
		p.drop()
	}
	if len(p.in) == 0 {
		p.in = nil
	}
}

// one serves the first request or frame in b and returns its length, 0 when it is not complete.
func (p *peer) one(b []byte) int {
	if p.stream != nil {
		return p.frame(b)
	}
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return 0
	}
	var r request
	if err := store.Decode(b[:i], &r); err != nil {
		p.refuse(fmt.Errorf("reading a request: %w", err))
	} else {
		p.serve(r)
	}
	return i + 1
}

func (p *peer) frame(b []byte) int {
	if len(b) < headerSize {
		return 0
	}
	n := binary.BigEndian.Uint32(b[4:])
	if n > largest || b[0] != Stdin && b[0] != Control {
		p.drop()
		return 0
	}
	end := headerSize + int(n)
	if len(b) < end {
		return 0
	}
	if b[0] == Stdin {
		p.feed(b[headerSize:end])
	} else {
		p.steer(b[headerSize:end])
	}
	return end
}

// feed passes standard input on; an empty frame is its end.
func (p *peer) feed(b []byte) {
	if len(b) == 0 {
		p.endInput()
	} else if in := p.stream.in; in != nil && p.wants.Stdin {
		in.write(b)
	}
}

// endInput: the container's own input outlives a client, unless Config.StdinOnce.
func (p *peer) endInput() {
	if p.stream == nil || p.stream.in == nil || !p.wants.Stdin {
		return
	}
	if p.stream.id != "" || p.m.config.StdinOnce {
		p.stream.in.end()
	}
}

func (p *peer) steer(b []byte) {
	var c control
	if store.Decode(b, &c) == nil && c.Resize != nil {
		p.stream.resize(*c.Resize) // too late for a process that is gone
	}
}

func (p *peer) serve(r request) {
	p.m.garbage += perRequest
	switch r.Do {
	case "start":
		err := p.m.start()
		p.answer(err)
		if err == nil {
			p.m.account()
		}
	case "attach":
		p.attach(r.Attach)
	case "exec":
		p.exec(r.Run)
	case "resize":
		p.answer(p.m.on(r.Exec, func(q *process) error { return q.resize(r.size()) }))
	case "signal":
		p.answer(p.m.on(r.Exec, func(q *process) error { return q.signal(unix.Signal(r.Signal)) }))
	case "wait":
		if err := p.m.on(r.Exec, func(q *process) error { p.waits = q; return nil }); err != nil {
			p.refuse(err)
		} else if p.waits.over && !(p.waits == p.m.main() && p.m.waiting()) {
			p.tell(p.waits)
		}
	case "state":
		p.reply(reply{State: &p.m.state})
	case "frozen":
		p.m.health.look()
		p.reply(reply{})
	case "cleanup":
		p.cleans = true
		p.reply(reply{})
	case "cleaned":
		if p.cleans = false; p.m.over || !p.m.started { // else only the promise is taken back
			p.m.cleaned, p.m.links = true, r.Links
		}
		p.reply(reply{})
	case "cancel":
		p.m.cancel()
		p.reply(reply{})
	case "sweep":
		p.m.cleaned, p.m.sweeps, p.m.links = true, true, r.Links
		p.reply(reply{})
	default:
		p.refuse(fmt.Errorf("unknown request %q", r.Do))
	}
}

// on calls f with the process that a request is about.
func (m *monitor) on(id string, f func(*process) error) error {
	p, err := m.process(id)
	if err != nil {
		return err
	}
	return f(p)
}

func (p *peer) attach(spec *AttachSpec) {
	if spec == nil {
		p.refuse(errors.New("attach to what? the request says no streams"))
		return
	}
	if err := p.m.runs(); err != nil {
		p.refuse(err)
		return
	}
	p.reply(reply{Pid: p.m.main().pid})
	p.stream, p.wants = p.m.main(), *spec
	p.wants.Stdin = spec.Stdin && p.m.config.OpenStdin
}

func (p *peer) exec(spec *ExecSpec) {
	if spec == nil {
		p.refuse(errors.New("exec of what? the request names no process"))
		return
	}
	p.run = spec
	if spec.Step {
		if err := p.m.execStepped(p, spec); err != nil {
			p.refuse(err)
		}
		return
	}
	q, account, err := p.m.exec(spec)
	if err != nil {
		p.refuse(err)
		return
	}
	p.follow(q, account)
}

// follow tells of the process that was started, and passes its streams on.
func (p *peer) follow(q *process, account []program.Account) {
	p.reply(reply{ID: q.id, Pid: q.pid, Account: account})
	if !p.run.Detach {
		p.stream = q
		p.wants = AttachSpec{Stdin: p.run.Stdin, Stdout: true, Stderr: true, Patient: true}
	}
	p.run = nil
}

func (p *peer) listens(o *output) bool {
	return p.stream == o.p && (o.kind == Stdout && p.wants.Stdout || o.kind == Stderr && p.wants.Stderr)
}

// behind says whether a client of this output has much to read yet.
func (m *monitor) behind(o *output) bool {
	for _, p := range m.peers {
		if p.listens(o) && p.unsent() >= behindAt {
			return true
		}
	}
	return false
}

// tell tells a process's end to a client that follows it.
func (p *peer) tell(q *process) {
	if p.waits == q {
		p.waits = nil
		p.reply(reply{Exit: &q.code})
	}
	if p.stream == q {
		p.last = true
		p.write(exitFrame(q.code))
	}
}

func (p *peer) send(kind byte, b []byte) {
	p.begin()
	p.out = appendFrame(p.out, kind, b)
	p.flush()
}

func (p *peer) answer(err error) {
	if err != nil {
		p.refuse(err)
		return
	}
	p.reply(reply{})
}

func (p *peer) refuse(err error) { p.reply(reply{Error: wireError(err)}) }

func (p *peer) reply(r reply) {
	b, err := r.encode()
	if err != nil {
		b, _ = reply{Error: &Error{Text: "encoding the reply: " + err.Error()}}.encode()
	}
	p.write(append(b, '\n'))
}

func (p *peer) write(b []byte) {
	p.begin()
	p.out = append(p.out, b...)
	p.flush()
}

func (p *peer) begin() {
	if p.unsent() == 0 {
		p.moved = time.Now()
	}
}

// flush sends what the client takes without waiting.
func (p *peer) flush() {
	for p.fd >= 0 && p.unsent() > 0 {
		n, err := unix.SendmsgN(p.fd, p.out[p.sent:], nil, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			p.compact()
			return
		}
		if err != nil {
			p.hangup = true
			break
		}
		p.sent += n
		p.moved = time.Now()
	}
	p.out, p.sent = p.out[:0], 0
	if cap(p.out) > largest {
		p.m.garbage += cap(p.out)
		p.out = nil
	}
}

// compact keeps what is sent from piling up in front of what is not.
func (p *peer) compact() {
	if p.sent >= largest {
		p.out = p.out[:copy(p.out, p.out[p.sent:])]
		p.sent = 0
	}
}

// giveUpAt is when a client that does not read is cut off; zero: never.
func (p *peer) giveUpAt() time.Time {
	if p.unsent() == 0 || p.wants.Patient {
		return time.Time{}
	}
	return p.moved.Add(patience)
}

func (p *peer) settle(now time.Time) {
	if at := p.giveUpAt(); !at.IsZero() && !now.Before(at) {
		p.drop()
	}
	if p.last && p.unsent() == 0 {
		p.drop()
	}
}

// pending says whether the monitor must stay for this client.
func (p *peer) pending() bool { return p.fd >= 0 && p.unsent() > 0 }

// drop ends the connection, and what hangs on it.
func (p *peer) drop() {
	if p.fd < 0 {
		return
	}
	unix.Close(p.fd)
	p.fd, p.out, p.sent = -1, nil, 0
	p.endInput()
	if p == p.m.first {
		p.m.first = nil
		switch {
		case p.m.over:
		case !p.m.started:
			p.m.abandon()
		case p.m.config.Tied:
			p.m.cut()
		}
	}
}

// sweep forgets clients that are gone, and does what they promised to do.
func (m *monitor) sweep() {
	kept := m.peers[:0]
	broken := false
	for _, p := range m.peers {
		if p.fd >= 0 {
			kept = append(kept, p)
		} else if p.cleans {
			broken = true
		}
	}
	clear(m.peers[len(kept):])
	m.peers = kept
	if broken && m.over && !m.claimed() {
		m.cleanup()
	}
}
