package monitor

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Whatever a client sends, the monitor survives it.
func FuzzPeer(f *testing.F) {
	f.Add([]byte(`{"Do":"state"}`+"\n"), false)
	f.Add([]byte(`{"Do":"attach","Attach":{"Stdin":true}}`+"\n\x00\x00\x00\x00\x00\x00\x00\x02hi"), false)
	f.Add([]byte(`{"Do":"attach"}`+"\n"), false)
	f.Add([]byte(`{"Do":"exec"}`+"\n"+`{"Do":"resize"}`+"\n"+`{"Do":"signal","Exec":"x"}`+"\n"), false)
	f.Add([]byte(`{"Do":"wait"}`+"\n"+`{"Do":"cleanup"}`+"\n"+`{"Do":"cleaned"}`+"\n"), false)
	f.Add(appendFrame(nil, Control, []byte(`{"Resize":{"Rows":1,"Cols":2}}`)), true)
	f.Add(appendFrame(appendFrame(nil, Stdin, []byte("hi")), Stdin, nil), true)
	f.Add([]byte("\x03\x00\x00\x00\xff\xff\xff\xff"), true)
	f.Fuzz(func(t *testing.T, sent []byte, attached bool) {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pair[0])
		m := &monitor{started: true}
		first := &process{m: m, pidfd: -1, console: -1, ended: true, in: &input{fd: -1}}
		m.processes = []*process{first}
		p := &peer{m: m, fd: pair[1]}
		if attached {
			p.stream, p.wants = first, both
		}
		p.in = sent
		p.understand()
		p.drop()
		m.sweep()
		if len(p.in) > len(sent) {
			t.Errorf("%d bytes are kept of %d", len(p.in), len(sent))
		}
	})
}
