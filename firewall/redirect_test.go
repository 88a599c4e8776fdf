package firewall

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"glassbox/program"
	"glassbox/test/need"
)

// listen opens a resolver's sockets at a free port of 127.0.0.11 and answers with a word.
func (s *space) resolver(t *testing.T) (udp, tcp uint16) {
	t.Helper()
	s.do(t, func() error {
		u, err := net.ListenPacket("udp4", "127.0.0.11:0")
		if err != nil {
			return err
		}
		t.Cleanup(func() { u.Close() })
		l, err := net.Listen("tcp4", "127.0.0.11:0")
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		udp, tcp = portOf(u.LocalAddr()), portOf(l.Addr())
		go func() {
			b := make([]byte, 100)
			for {
				_, from, err := u.ReadFrom(b)
				if err != nil {
					return
				}
				u.WriteTo([]byte("resolver"), from)
			}
		}()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Write([]byte("resolver"))
				c.Close()
			}
		}()
		return nil
	})
	return udp, tcp
}

func portOf(a net.Addr) uint16 {
	_, port, _ := net.SplitHostPort(a.String())
	n, _ := strconv.Atoi(port)
	return uint16(n)
}

// TestRedirect: questions to 127.0.0.11 reach the resolver, and its answers come from port 53 (a connected socket would not hear them
// otherwise); a server of the container's own at port 53 hears all others.
func TestRedirect(t *testing.T) {
	need.SecondKernel(t)
	c := newSpace(t)
	c.run(t, "ip link add eth0 type bridge; ip addr add 172.30.0.2/16 dev eth0; ip link set eth0 up")
	udp, tcp := c.resolver(t)
	ask := func(network, to, want string) {
		t.Helper()
		got, err := c.ask(network, to)
		if word, _, _ := strings.Cut(got, " "); word != want {
			t.Errorf("%s %s: %q, not %q (%v)", network, to, got, want, err)
		}
	}
	ask("udp", "127.0.0.11:53", "")
	var r program.Request
	for _, ports := range [][2]uint16{{1, 2}, {udp, tcp}} { // a resolver that was killed, and its successor
		for _, r = range redirect(t, c.file, ports[0], ports[1]) {
			if err := r.Do(); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask("udp", "127.0.0.11:53", "resolver")
	ask("tcp", "127.0.0.11:53", "resolver")
	ask("udp", "127.0.0.1:53", "")
	c.serve(t, "own", 53)
	for _, network := range []string{"udp", "tcp"} {
		ask(network, "127.0.0.11:53", "resolver")
		ask(network, "127.0.0.1:53", "own")
		ask(network, "172.30.0.2:53", "own")
	}
	if err := r.Undo(); err != nil {
		t.Fatal(err)
	}
	ask("tcp", "127.0.0.11:53", "own")
}

func redirect(t *testing.T, ns *os.File, udp, tcp uint16) []program.Request {
	t.Helper()
	all, err := Redirect(ns, udp, tcp)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
