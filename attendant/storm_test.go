package attendant

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// askFor asks by UDP and returns the addresses of the answer.
func (r *room) askFor(c *net.UDPConn, name string) (all []netip.Addr) {
	r.t.Helper()
	b := make([]byte, largest)
	c.Write(query(uint16(rand.Uint32()), name, typeA))
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, err := c.Read(b)
	if err != nil {
		r.t.Fatal(err)
	}
	return addressesIn(r.t, b[:n])
}

// addressesIn reads an answer with somebody else's parser.
func addressesIn(t testing.TB, message []byte) (all []netip.Addr) {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(message); err != nil {
		t.Fatalf("%v: %x", err, message)
	}
	for _, a := range m.Answers {
		switch b := a.Body.(type) {
		case *dnsmessage.AResource:
			all = append(all, netip.AddrFrom4(b.A))
		case *dnsmessage.AAAAResource:
			all = append(all, netip.AddrFrom16(b.AAAA))
		}
	}
	return all
}

// A name that is changed is changed for the next question, whatever else happens at the same time.
func TestStorm(t *testing.T) {
	r := newRoom(t)
	z := r.zone("front")
	r.start()
	c := r.dial()
	stop := make(chan struct{})
	var others sync.WaitGroup
	defer others.Wait()
	defer close(stop)
	others.Go(func() { // containers that come and go
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
			}
			id := fmt.Sprint("other", i%20)
			if i/20%2 == 0 {
				os.MkdirAll(z.dir, 0o700)
				os.WriteFile(z.dir+"/"+id+".tmp", []byte(`{"ID":"`+id+`","Names":["`+id+`"],"Addresses":["10.9.9.9"]}`), 0o600)
				os.Rename(z.dir+"/"+id+".tmp", z.dir+"/"+id+".json")
			} else {
				os.Remove(z.dir + "/" + id + ".json")
			}
		}
	})
	var want netip.Addr
	for i := range 1000 {
		switch {
		case i%250 == 249: // the network is removed
			if err := os.Rename(z.dir, fmt.Sprint(z.dir, i)); err != nil {
				t.Fatal(err)
			}
			want = netip.Addr{}
		case i%7 == 3 && want.IsValid():
			z.remove("a")
			want = netip.Addr{}
		default:
			want = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
			z.host("a", "web", want.String())
		}
		got := r.askFor(c, "web")
		if want.IsValid() && (len(got) != 1 || got[0] != want) || !want.IsValid() && len(got) != 0 {
			t.Fatalf("round %d: %v, want %v", i, got, want)
		}
	}
}

// Networks that are connected and disconnected while the container runs.
func TestUpdate(t *testing.T) {
	r := newRoom(t)
	front, back := r.zone("front"), r.zone("back")
	front.host("a", "web", "10.0.0.2")
	back.host("b", "db", "10.0.1.2")
	both := r.config.Names.Zones
	r.start()
	c := r.dial()
	for i := range 200 {
		r.config.Names = &Names{Zones: both[:1+i%2]}
		if err := Update(r.dir, r.config); err != nil {
			t.Fatal(err)
		}
		if got := len(r.askFor(c, "db")); got != i%2 {
			t.Fatalf("round %d: %d addresses", i, got)
		}
	}
}

// Several containers behind one alias are answered in turn.
func TestTurn(t *testing.T) {
	r := newRoom(t)
	z := r.zone("front")
	for i := range 3 {
		z.host(fmt.Sprint("host", i), "web", fmt.Sprintf("10.0.0.%d", i+1))
	}
	z.host("twice", "web", "10.0.0.1") // an address is said once
	r.start()
	c := r.dial()
	first := map[netip.Addr]int{}
	for range 30 {
		got := r.askFor(c, "web")
		if len(got) != 3 {
			t.Fatal(got)
		}
		first[got[0]]++
	}
	for a, n := range first {
		if n != 10 {
			t.Errorf("%v came first %d times of 30", a, n)
		}
	}
}

// wide needs the privilege to make a socket's buffer bigger than net.core.rmem_max: else the kernel drops most of what comes at once.
func wide(t testing.TB) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, burst); err != nil {
		t.Skipf("needs root outside of user namespaces: SO_RCVBUFFORCE: %v", err)
	}
}

// Ten thousand questions at once, of a client that reads no answer before it has asked them all.
func TestTenThousandAtOnce(t *testing.T) {
	wide(t)
	r := newRoom(t)
	r.zone("front").host("a", "web", "10.0.0.2")
	r.start()
	c := r.dial()
	widen(c)
	var answered sync.WaitGroup
	count := 0
	answered.Go(func() {
		b := make([]byte, 512)
		for count < 10_000 {
			c.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := c.Read(b); err != nil {
				return
			}
			count++
		}
	})
	m := query(7, "web", typeA)
	for range 10_000 {
		c.Write(m)
	}
	answered.Wait()
	t.Logf("%d of 10000 were answered", count)
	if count < 9_000 {
		t.Error("too few")
	}
}

// Whatever comes, the next question is answered.
func TestGarbage(t *testing.T) {
	r := newRoom(t)
	r.zone("front").host("a", "web", "10.0.0.2")
	r.start()
	c := r.dial()
	good := query(7, "web", typeA)
	for i := range 5_000 {
		b := make([]byte, rand.IntN(600))
		for j := range b {
			b[j] = byte(rand.Uint32())
		}
		if i%2 == 0 {
			b = append([]byte(nil), good[:rand.IntN(len(good)+1)]...)
			if len(b) > 0 {
				b[rand.IntN(len(b))] = byte(rand.Uint32())
			}
		}
		c.Write(b)
	}
	for range 20 {
		l, err := net.Dial("tcp", r.server.String())
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, rand.IntN(3000))
		for j := range b {
			b[j] = byte(rand.Uint32())
		}
		l.Write(b)
		l.Close()
	}
	if got := r.short("web", "A"); got != "10.0.0.2" {
		t.Error(got)
	}
	if got := r.short("web", "A", "+tcp"); got != "10.0.0.2" {
		t.Error(got)
	}
}

// Clients that connect and say nothing, or half of something, lose their places to those who ask.
func TestStalledClients(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.zone("front").host("a", "web", "10.0.0.2")
	r.start()
	for i := range mostClients + 50 {
		c, err := net.Dial("tcp", r.server.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			c.Write([]byte{255, 255, 0})
		}
	}
	if got := r.short("web", "A", "+tcp", "+time=12"); got != "10.0.0.2" {
		t.Error(got)
	}
}

// An answer that is too long for the client comes cut, and whole over TCP.
func TestTruncated(t *testing.T) {
	r := newRoom(t)
	z := r.zone("front")
	for i := range 100 {
		z.host(fmt.Sprint("host", i), "web", fmt.Sprintf("10.0.0.%d", i+1), fmt.Sprintf("fd00::%x", i+1))
	}
	r.start()
	for args, want := range map[[2]string]int{{"A", "+noedns"}: 30, {"A", "+bufsize=1232"}: 75, {"A", "+bufsize=4096"}: 100, {"A", "+tcp"}: 100,
		{"AAAA", "+noedns"}: 17, {"AAAA", "+tcp"}: 100} {
		got := r.dig("web", args[0], args[1], "+ignore")
		if n := strings.Count(got, "IN\t"+args[0]+"\t"); n != want {
			t.Errorf("%v: %d addresses, want %d", args, n, want)
		}
		if cut := strings.Count(got, "qr tc rd ra") == 1; cut != (want < 100) {
			t.Errorf("%v: cut: %v\n%s", args, cut, got[:300])
		}
	}
	if got := strings.Count(r.dig("web", "A", "+noedns"), "IN\tA\t"); got != 100 {
		t.Errorf("dig, which goes on by TCP, got %d", got)
	}
}
