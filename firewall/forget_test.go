package firewall

import (
	"bytes"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"glassbox/test/need"
)

// TestForget: a client that goes on sending from one socket reaches the container that has the port now, once the kernel was told to
// forget, and connections of others go on.
func TestForget(t *testing.T) {
	need.SecondKernel(t)
	w := newTown(t)
	for _, n := range []string{"a", "b"} {
		w.containers[n].serve(t, n, 53)
	}
	w.other.serve(t, "other", 5353)
	client := w.other.connected(t, "10.9.0.1:5353")
	passing := w.containers["c"].connected(t, "10.9.0.2:5353") // through the host, to the same port elsewhere
	if got := client(); got != "a 10.9.0.2" {
		t.Fatal(got)
	}
	passing()
	now := publish("udp", "0.0.0.0:5353", "172.30.0.3:53", "glassbox0")
	var b Batch
	b.Publish(now)
	w.host.do(t, b.Request("", "").Do)
	if got := client(); got != "a 10.9.0.2" {
		t.Fatalf("%s: what is tracked was expected to go on", got)
	}
	requests := Forget([]Port{now, publish("tcp", "0.0.0.0:1", "172.30.0.3:1", "glassbox0")})
	if len(requests) != 1 {
		t.Fatalf("%d requests", len(requests))
	}
	w.host.do(t, requests[0].Do)
	if got := client(); got != "b 10.9.0.2" {
		t.Errorf("after %s: %s", requests[0].Call, got)
	}
	if !w.host.tracks(t, "10.9.0.2") {
		t.Error("a stranger's connection was forgotten, too")
	}
	w.host.do(t, requests[0].Do)
}

// connected is a client with one socket, which asks as often as it is called.
func (s *space) connected(t *testing.T, to string) func() string {
	t.Helper()
	var c net.Conn
	s.do(t, func() (err error) { c, err = net.Dial("udp", to); return })
	t.Cleanup(func() { c.Close() })
	return func() string {
		c.SetDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, 100)
		if _, err := c.Write([]byte("?")); err != nil {
			return err.Error()
		}
		n, err := c.Read(b)
		if err != nil {
			return err.Error()
		}
		return string(b[:n])
	}
}

// tracks reports whether the kernel knows a connection to an address.
func (s *space) tracks(t *testing.T, to string) (found bool) {
	t.Helper()
	s.do(t, func() error {
		w, err := dial()
		if err != nil {
			return err
		}
		defer w.Close()
		all, err := w.connections(unix.AF_INET)
		for _, a := range all {
			found = found || bytes.Equal(a.attribute(ctOriginal, ctAddresses, ctTo4), bytesOf(to))
		}
		return err
	})
	return found
}
