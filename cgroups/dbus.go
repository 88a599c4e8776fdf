package cgroups

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// One D-Bus call is all that we ask of systemd, so this is no D-Bus library: it speaks to systemd's own socket, where
// there is no bus in between and no Hello (D-Bus specification: "Authentication Protocol", "Message Protocol").

// systemdSocket is open to root alone; systemctl uses it too.
const systemdSocket = "/run/systemd/private"

// startTransientUnit asks for a scope that holds pid.
func startTransientUnit(unit, slice string, pid int) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	limit := unix.Timeval{Sec: int64(patience.Seconds())}
	for _, which := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, which, &limit); err != nil {
			return err
		}
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: systemdSocket}); err != nil {
		return fmt.Errorf("connecting to %s: %w", systemdSocket, err)
	}
	return (&bus{fd: fd}).call(transientUnit(unit, slice, uint32(pid)))
}

type bus struct{ fd int }

// call authenticates as our user, sends one method call and reads until its answer.
func (b *bus) call(message []byte) error {
	uid := hex.EncodeToString([]byte(strconv.Itoa(os.Geteuid())))
	if err := b.send([]byte("\x00AUTH EXTERNAL " + uid + "\r\n")); err != nil {
		return err
	}
	var line []byte
	for !strings.HasSuffix(string(line), "\r\n") {
		c, err := b.receive(1)
		if err != nil {
			return err
		}
		line = append(line, c...)
	}
	if !strings.HasPrefix(string(line), "OK ") {
		return fmt.Errorf("systemd refused to authenticate us: %q", line)
	}
	if err := b.send(append([]byte("BEGIN\r\n"), message...)); err != nil {
		return err
	}
	for {
		done, err := b.answer()
		if done || err != nil {
			return err
		}
	}
}

// answer reads one message: a method return (2) or an error (3) ends the call, signals (4) are passed over.
func (b *bus) answer() (done bool, err error) {
	head, err := b.receive(16)
	if err != nil {
		return false, err
	}
	if head[0] != 'l' {
		return false, fmt.Errorf("systemd answered in byte order %q", head[0])
	}
	body, fields := binary.LittleEndian.Uint32(head[4:]), binary.LittleEndian.Uint32(head[12:])
	if body > 1<<20 || fields > 1<<20 {
		return false, fmt.Errorf("systemd answered with %d bytes", uint64(body)+uint64(fields))
	}
	rest, err := b.receive(int(align(fields, 8) + body))
	if err != nil {
		return false, err
	}
	switch head[1] {
	case 2:
		return true, nil
	case 3:
		return true, busError(rest[align(fields, 8):])
	}
	return false, nil
}

// busError takes the text out of an error's body, whose first value is a string.
func busError(body []byte) error {
	if len(body) > 4 {
		if n := binary.LittleEndian.Uint32(body); int(n) <= len(body)-4 {
			return fmt.Errorf("systemd: %s", body[4:4+n])
		}
	}
	return fmt.Errorf("systemd refused without a reason")
}

func (b *bus) send(data []byte) error {
	for len(data) > 0 {
		n, err := unix.SendmsgN(b.fd, data, nil, nil, unix.MSG_NOSIGNAL)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("writing to systemd: %w", err)
		}
		data = data[max(n, 0):]
	}
	return nil
}

func (b *bus) receive(n int) ([]byte, error) {
	data := make([]byte, n)
	for at := 0; at < n; {
		got, err := unix.Read(b.fd, data[at:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, fmt.Errorf("reading from systemd: %w", err)
		case got == 0:
			return nil, fmt.Errorf("reading from systemd: it closed the connection")
		default:
			at += got
		}
	}
	return data, nil
}

// transientUnit is the message StartTransientUnit(name s, mode s, properties a(sv), aux a(sa(sv))).
func transientUnit(unit, slice string, pid uint32) []byte {
	var body wire
	body.str(unit)
	body.str("fail") // a unit of that name must not exist
	body.array(8, func() {
		body.property("Description", "s", func() { body.str(scopeDescription(unit)) })
		body.property("Slice", "s", func() { body.str(slice) })
		body.property("Delegate", "b", func() { body.u32(1) })
		body.property("DefaultDependencies", "b", func() { body.u32(0) })
		body.property("TasksMax", "t", func() { body.u64(Unlimited) })
		body.property("CollectMode", "s", func() { body.str("inactive-or-failed") })
		body.property("PIDs", "au", func() { body.array(4, func() { body.u32(pid) }) })
	})
	body.array(8, func() {})

	var m wire
	m = append(m, 'l', 1, 0, 1) // little endian, method call, no flags, protocol 1
	m.u32(uint32(len(body)))
	m.u32(1) // serial
	m.array(8, func() {
		m.field(1, "o", "/org/freedesktop/systemd1")
		m.field(2, "s", "org.freedesktop.systemd1.Manager")
		m.field(3, "s", "StartTransientUnit")
		m.field(6, "s", "org.freedesktop.systemd1")
		m.align(8)
		m = append(m, 8)
		m.sig("g")
		m.sig("ssa(sv)a(sa(sv))")
	})
	m.align(8)
	return append(m, body...)
}

// wire is a D-Bus message being written: every value stands at a multiple of its size.
type wire []byte

func align(n, to uint32) uint32 { return (n + to - 1) / to * to }

func (w *wire) align(to int) {
	for len(*w)%to != 0 {
		*w = append(*w, 0)
	}
}

func (w *wire) u32(n uint32) {
	w.align(4)
	*w = binary.LittleEndian.AppendUint32(*w, n)
}

func (w *wire) u64(n uint64) {
	w.align(8)
	*w = binary.LittleEndian.AppendUint64(*w, n)
}

func (w *wire) str(s string) {
	w.u32(uint32(len(s)))
	*w = append(append(*w, s...), 0)
}

func (w *wire) sig(s string) {
	*w = append(*w, byte(len(s)))
	*w = append(append(*w, s...), 0)
}

// array writes the length of what follows; the padding before the first element does not count.
func (w *wire) array(alignment int, elements func()) {
	w.u32(0)
	at := len(*w) - 4
	w.align(alignment)
	start := len(*w)
	elements()
	binary.LittleEndian.PutUint32((*w)[at:], uint32(len(*w)-start))
}

func (w *wire) property(name, signature string, value func()) {
	w.align(8)
	w.str(name)
	w.sig(signature)
	value()
}

func (w *wire) field(code byte, signature, value string) {
	w.align(8)
	*w = append(*w, code)
	w.sig(signature)
	w.str(value)
}
