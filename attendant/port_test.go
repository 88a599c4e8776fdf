package attendant

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// echo is a TCP server that returns what it gets, and says so when that has ended.
func echo(t testing.TB, at string) string {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
				io.WriteString(c, "end")
			}()
		}
	}()
	return l.Addr().String()
}

// publish starts an attendant with one port.
func publish(t testing.TB, proto, listen, to string) *room {
	t.Helper()
	r := newRoom(t)
	r.config.Ports = []Port{{proto, addrPort(listen), addrPort(to)}}
	return r.start()
}

func (r *room) connect() *net.TCPConn {
	r.t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(r.config.Ports[0].Listen))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// Both ways, between the families, with the end of one direction passed on while the other goes on.
func TestTCP(t *testing.T) {
	for _, c := range [][2]string{{"127.0.0.1:0", "127.0.0.1:0"}, {"[::1]:0", "127.0.0.1:0"}, {"127.0.0.1:0", "[::1]:0"}} {
		r := publish(t, "tcp", c[0], echo(t, c[1]))
		conn := r.connect()
		sent := make([]byte, 3<<20)
		for i := range sent {
			sent[i] = byte(rand.Uint32())
		}
		go func() {
			conn.Write(sent)
			conn.CloseWrite()
		}()
		got, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, append(sent, "end"...)) {
			t.Errorf("%v: %d bytes came back, %x", c, len(got), sha256.Sum256(got))
		}
	}
}

// A container that refuses is refused to the client: at once, if later than by the kernel.
func TestRefused(t *testing.T) {
	r := publish(t, "tcp", "127.0.0.1:0", freePort(t))
	c := r.connect()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%d, %v", n, err)
	}
}

// When one side is gone so is the other.
func TestGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := publish(t, "tcp", "127.0.0.1:0", l.Addr().String())
	idle := socketsOf(t, r.pid())
	for _, clientFirst := range []bool{true, false} {
		client := r.connect()
		container, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		first, second := net.Conn(client), container
		if !clientFirst {
			first, second = second, first
		}
		first.Write([]byte("x"))
		second.SetDeadline(time.Now().Add(2 * time.Second))
		if _, err := io.ReadFull(second, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		first.Close()
		if _, err := second.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("client first: %v: %v", clientFirst, err)
		}
		second.Close()
	}
	until(t, "the end of the connections", func() bool { return socketsOf(t, r.pid()) == idle })
}

// socketsOf counts them; pipes of splice(2) are kept a while.
func socketsOf(t testing.TB, pid int) (n int) {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if to, _ := os.Readlink(l); strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// More connections than there are places: those that wait are served when others end.
func TestConnectionStorm(t *testing.T) {
	r := publish(t, "tcp", "127.0.0.1:0", echo(t, "127.0.0.1:0"))
	pid := r.pid()
	idle := socketsOf(t, pid)
	var all sync.WaitGroup
	errs := make(chan error, 1000)
	for range 300 {
		all.Go(func() {
			for range 7 {
				if err := r.once(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	most := 0
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
			most = max(most, descriptorsOf(t, pid))
		}
	}
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	t.Logf("at most %d descriptors for 300 clients", most)
	until(t, "the end of the connections", func() bool { return socketsOf(t, pid) == idle })
}

// once connects, says something and hears it.
func (r *room) once() error {
	c, err := net.Dial("tcp", r.config.Ports[0].Listen.String())
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(c, "hello")
	c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(c)
	if err == nil && string(got) != "helloend" {
		err = fmt.Errorf("it said %q", got)
	}
	return err
}

// udpEcho returns what it gets, with a word before it.
func udpEcho(t testing.TB, at string) string {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addrPort(at)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, largest)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			c.WriteToUDPAddrPort(append([]byte("heard "), b[:n]...), from)
		}
	}()
	return c.LocalAddr().String()
}

// Each client gets its own answers, from the address to which it sent.
func TestUDP(t *testing.T) {
	for _, c := range []struct{ listen, to, ask string }{
		{"0.0.0.0:0", "127.0.0.1:0", "127.0.0.1"},
		{"0.0.0.0:0", "127.0.0.1:0", "127.0.0.77"},
		{"[::]:0", "127.0.0.1:0", "::1"},
		{"127.0.0.1:0", "[::1]:0", "127.0.0.1"},
	} {
		r := publish(t, "udp", c.listen, udpEcho(t, c.to))
		to := netip.AddrPortFrom(netip.MustParseAddr(c.ask), r.config.Ports[0].Listen.Port())
		var clients []*net.UDPConn
		for i := range 20 {
			client, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to)) // connected: it hears nobody else
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			clients = append(clients, client)
			fmt.Fprintf(client, "client %d", i)
		}
		for i, client := range clients {
			client.SetDeadline(time.Now().Add(2 * time.Second))
			b := make([]byte, 100)
			n, err := client.Read(b)
			if want := fmt.Sprintf("heard client %d", i); string(b[:n]) != want {
				t.Errorf("%v: %q (%v), want %q", c, b[:n], err, want)
			}
		}
		big := bytes.Repeat([]byte{7}, 60_000)
		clients[0].Write(big)
		b := make([]byte, largest)
		if n, err := clients[0].Read(b); n != len("heard ")+len(big) {
			t.Errorf("a big datagram came back with %d bytes (%v)", n, err)
		}
	}
}

// A session without traffic ends; one that a container never answers, too, and so does one that is refused.
func TestSessionsEnd(t *testing.T) {
	silent, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, to := range []string{udpEcho(t, "127.0.0.1:0"), silent.LocalAddr().String(), freePort(t)} {
		s := newSessions(t, to)
		for range 5 {
			client, err := net.Dial("udp", s.conn.LocalAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			client.Write([]byte("x"))
			client.Write([]byte("y"))
		}
		until(t, "the sessions", func() bool { return len(s.places) == 5 })
		time.Sleep(s.quiet / 2)
		if len(s.places) != 5 {
			t.Errorf("%s: %d of 5 sessions are left too early", to, len(s.places))
		}
		until(t, "the sessions' end", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.places) == 0 && len(s.open) == 0 })
	}
}

// newSessions is a UDP port in this process, whose sessions end soon.
func newSessions(t *testing.T, to string) *sessions {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	s := &sessions{port: Port{Proto: "udp", To: addrPort(to)}, conn: c, places: make(places, 8), tidier: &tidier{renew: func() {}}, quiet: 300 * time.Millisecond,
		open: map[netip.AddrPort]*session{}}
	l := &loop{deadline: c.SetReadDeadline, run: s.serve}
	l.start()
	t.Cleanup(func() { l.stop(); c.Close() })
	return s
}

// No more sessions than there are places.
func TestSessionsAreBounded(t *testing.T) {
	s := newSessions(t, udpEcho(t, "127.0.0.1:0"))
	for range 100 {
		client, err := net.Dial("udp", s.conn.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		client.Write([]byte("x"))
	}
	time.Sleep(20 * time.Millisecond)
	if n := len(s.places); n != cap(s.places) {
		t.Errorf("%d sessions", n)
	}
}

// An SCTP socket is held, and only that; here a TCP one stands for it.
func TestHeld(t *testing.T) {
	r := publish(t, "sctp", "127.0.0.1:0", freePort(t))
	_, err := net.Listen("tcp", r.config.Ports[0].Listen.String())
	if !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("%v, want EADDRINUSE", err)
	}
}

// The attendant executes itself again without anybody noticing: every question that comes in that moment is answered.
func TestRenewed(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.exe = glassrun(t)
	r.zone("front").host("a", "web", "10.0.0.2")
	r.config.Ports = []Port{{"tcp", addrPort("127.0.0.1:0"), addrPort(echo(t, "127.0.0.1:0"))}, {"sctp", addrPort("127.0.0.1:0"), addrPort(freePort(t))}}
	r.start()
	pid, c := r.pid(), r.dial()
	r.load(r.server, 20_000, 50_000, "web")
	program := vector(t, pid)
	broken, b := query(1, "web", typeA), make([]byte, 512)
	broken[5] = 2 // it has a wrong format, which is told, but is no work that would put the renewal off
	longest, asked := time.Duration(0), 0
	for deadline := time.Now().Add(10 * time.Second); bytes.Equal(vector(t, pid), program); asked++ {
		began := time.Now()
		c.Write(broken)
		c.SetReadDeadline(began.Add(time.Second))
		if _, err := c.Read(b); err != nil {
			t.Fatal(err)
		}
		if longest = max(longest, time.Since(began)); time.Now().After(deadline) {
			t.Fatal("it was not renewed")
		}
	}
	t.Logf("%d questions were answered, the slowest after %v", asked, longest)
	if got := r.askFor(c, "web"); len(got) != 1 {
		t.Error(got)
	}
	if err := r.once(); err != nil {
		t.Error(err)
	}
	if _, err := net.Listen("tcp", r.config.Ports[1].Listen.String()); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("the held port: %v", err)
	}
	if !r.running() || pidfd(t, pid) != fmt.Sprint(os.Getpid()) {
		t.Errorf("running: %v; it waits for process %s", r.running(), pidfd(t, pid))
	}
}

// vector is what the kernel told a program at its start, random addresses among it: another after each execve(2).
func vector(t testing.TB, pid int) []byte {
	t.Helper()
	for range 100 {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", pid))
		if err == nil {
			return data
		}
		time.Sleep(100 * time.Microsecond)
		if !errors.Is(err, unix.ESRCH) { // within an execve, while the other threads end
			t.Fatal(err)
		}
	}
	t.Fatalf("process %d is gone", pid)
	return nil
}

// BenchmarkThroughput is what passes through the attendant, and what loopback alone can.
func BenchmarkThroughput(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	r := newRoom(b)
	r.exe = glassrun(b)
	r.config.Ports = []Port{{"tcp", addrPort("[::1]:0"), addrPort(l.Addr().String())}}
	r.start()
	for name, at := range map[string]string{"attendant": r.config.Ports[0].Listen.String(), "direct": l.Addr().String()} {
		b.Run(name, func(b *testing.B) {
			c, err := net.Dial("tcp", at)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			s, err := l.Accept()
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var read sync.WaitGroup
			defer read.Wait()
			chunk := make([]byte, 1<<20)
			b.SetBytes(int64(len(chunk)))
			read.Go(func() { io.Copy(io.Discard, struct{ io.Reader }{s}) })
			before := processorTime(b, r.pid())
			for b.Loop() {
				if _, err := c.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(processorTime(b, r.pid())-before)*10e3/float64(b.N), "µs-of-attendant/MiB")
			c.Close()
		})
	}
}
