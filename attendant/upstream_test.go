package attendant

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"glassbox/test/need"
)

// dnsmasq starts the real dnsmasq(8) as the host's resolver and returns its address and port.
func dnsmasq(t testing.TB, records ...string) string {
	t.Helper()
	program := need.Program(t, "dnsmasq")
	at := freePort(t)
	args := append([]string{"--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=", "--user=", "--group=", "--bind-interfaces",
		"--listen-address=127.0.0.1", "--log-facility=-", "--port=" + strings.TrimPrefix(at, "127.0.0.1:")}, records...)
	c := exec.Command(program, args...)
	c.Stderr = os.Stderr
	if !testing.Verbose() {
		c.Stderr = nil
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { finish(c) })
	until(t, "dnsmasq", func() bool {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return at
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// fake is a server that does what a test wants: answer returns what is sent, one message after the other.
type fake struct {
	at    string
	asked atomic.Int32
}

func newFake(t testing.TB, at string, answer func(question []byte) [][]byte) *fake {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addrPort(at)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadBuffer(4 << 20)
	f := &fake{at: c.LocalAddr().String()}
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			f.asked.Add(1)
			for _, a := range answer(append([]byte(nil), b[:n]...)) {
				c.WriteToUDPAddrPort(a, from)
			}
		}
	}()
	return f
}

// says makes an answer of a question: its code, and an address.
func says(question []byte, code int, address string) []byte {
	q, _, _ := parse(question)
	var all []netip.Addr
	if address != "" {
		all = append(all, netip.MustParseAddr(address))
	}
	a := q.addresses(all, 0, largest)
	a[3] |= byte(code)
	return a
}

// changed returns m with the bytes at i changed.
func changed(m []byte, i int, to ...byte) []byte {
	m = append([]byte(nil), m...)
	copy(m[i:], to)
	return m
}

func TestForwardsToDnsmasq(t *testing.T) {
	var many []string
	for range 10 {
		many = append(many, strings.Repeat("x", 200))
	}
	r := newRoom(t)
	r.zone("front").host("a", "web", "10.0.0.2")
	r.forwardTo(dnsmasq(t, "--host-record=example.test,192.0.2.1,2001:db8::1", "--mx-host=example.test,mail.example.test,5", "--txt-record=long.test,"+strings.Join(many, ","),
		"--address=/nothing.test/", "--ptr-record=1.2.0.192.in-addr.arpa,example.test"))
	r.start()
	for question, want := range map[string]string{
		"web A":                 "10.0.0.2",
		"example.test A":        "192.0.2.1",
		"example.test AAAA":     "2001:db8::1",
		"example.test A +tcp":   "192.0.2.1",
		"example.test MX":       "5 mail.example.test.",
		"-x 192.0.2.1":          "example.test.",
		"web AAAA":              "",
		"example.test A +cd":    "192.0.2.1",
		"EXAMPLE.test A +norec": "192.0.2.1",
	} {
		if got := r.short(strings.Fields(question)...); got != want {
			t.Errorf("%s: %q, want %q", question, got, want)
		}
	}
	if out := r.dig("nothing.test", "A"); !strings.Contains(out, "status: NXDOMAIN") {
		t.Errorf("a name that nobody has:\n%s", out)
	}
	if out := r.dig("long.test", "TXT", "+ignore"); !strings.Contains(out, "flags: qr aa tc rd ra") {
		t.Errorf("the truncation is not passed on:\n%s", out)
	}
	if out := r.short("long.test", "TXT"); strings.Count(out, "x") != 2000 { // dig goes on by TCP
		t.Errorf("by TCP came %s", out)
	}
}

func TestServers(t *testing.T) {
	got := servers([]string{"192.0.2.1", "192.0.2.1:5353", "not an address", "2001:db8::1", "[2001:db8::1]:54", "fe80::1%eth0"})
	want := []netip.AddrPort{addrPort("192.0.2.1:53"), addrPort("192.0.2.1:5353"), addrPort("[2001:db8::1]:53")}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("%v, want the first three: %v", got, want)
	}
	if got := servers([]string{"fe80::1%eth0", "[fe80::1%eth0]:54"}); got[0].String() != "[fe80::1%eth0]:53" || got[1].String() != "[fe80::1%eth0]:54" {
		t.Error(got)
	}
}

// What a server says is believed only when it answers the question.
func TestBelieves(t *testing.T) {
	good := func(q []byte) []byte { return says(q, success, "192.0.2.1") }
	for name, c := range map[string]struct {
		answer func(q []byte) [][]byte
		want   string
	}{
		"good":     {func(q []byte) [][]byte { return [][]byte{good(q)} }, "192.0.2.1"},
		"capitals": {func(q []byte) [][]byte { return [][]byte{changed(good(q), 13, 'W')} }, "192.0.2.1"},
		"after bad ones": {func(q []byte) [][]byte {
			bad := says(q, success, "192.0.2.66")
			return [][]byte{
				nil, bad[:5], changed(bad, 0, bad[0]+1), changed(bad, 2, bad[2]&0x7f), changed(bad, 13, 'x'), changed(bad, 17, 0, 28), changed(bad, 4, 0, 2), changed(bad, 4, 0, 0),
				bad[:14], good(q)}
		}, "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.zone("front")
			r.forwardTo(newFake(t, "127.0.0.1:0", c.answer).at)
			r.start()
			if got := r.short("wwww", "A", "+noedns"); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// The next server is asked when one fails, refuses, is not there, or says nothing for four seconds; not when it knows no such name.
func TestServersInTurn(t *testing.T) {
	const nxdomain = 3
	code := func(code int) *fake {
		return newFake(t, "127.0.0.1:0", func(q []byte) [][]byte { return [][]byte{says(q, code, "")} })
	}
	good := newFake(t, "[::1]:0", func(q []byte) [][]byte { return [][]byte{says(q, success, "192.0.2.1")} })
	silent := newFake(t, "127.0.0.1:0", func([]byte) [][]byte { return nil })
	bare := newFake(t, "127.0.0.1:0", func(q []byte) [][]byte { return [][]byte{changed(says(q, refused, ""), 4, 0, 0)[:headerSize]} })
	zoned := strings.Replace(good.at, "::1", "::1%lo", 1)
	for name, c := range map[string]struct {
		servers []string
		want    string
	}{
		"failure":    {[]string{code(serverFailure).at, good.at}, "192.0.2.1"},
		"refused":    {[]string{code(refused).at, good.at}, "192.0.2.1"},
		"header":     {[]string{bare.at, good.at}, "192.0.2.1"},
		"not there":  {[]string{freePort(t), good.at}, "192.0.2.1"},
		"silent":     {[]string{silent.at, good.at}, "192.0.2.1"},
		"no name":    {[]string{code(nxdomain).at, good.at}, "NXDOMAIN"},
		"the fourth": {[]string{freePort(t), freePort(t), freePort(t), good.at}, "SERVFAIL"},
		"zone":       {[]string{zoned}, "192.0.2.1"},
		"none":       {nil, "SERVFAIL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			r.zone("front")
			r.forwardTo(c.servers...)
			r.start()
			if out := r.dig("example.test", "A", "+time=9"); !strings.Contains(out, c.want) {
				t.Errorf("%s is missing:\n%s", c.want, out)
			}
		})
	}
}

// Every question goes out under another id and from another port.
func TestUnpredictable(t *testing.T) {
	ids, ports := map[uint16]bool{}, map[netip.AddrPort]bool{}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := newRoom(t)
	r.zone("front")
	r.forwardTo(c.LocalAddr().String())
	r.start()
	client, b := r.dial(), make([]byte, 4096)
	for i := range 100 {
		client.Write(query(7, "example.test", typeA))
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatal(err)
		}
		ids[binary.BigEndian.Uint16(b)], ports[from] = true, true
		c.WriteToUDPAddrPort(says(b[:n], success, "192.0.2.1"), from)
		if n, err = client.Read(b); err != nil || binary.BigEndian.Uint16(b) != 7 {
			t.Fatalf("question %d: %v, %x", i, err, b[:n])
		}
	}
	if len(ids) < 95 || len(ports) < 95 {
		t.Errorf("100 questions had %d ids and %d ports", len(ids), len(ports))
	}
}

func TestInternalAsksNobody(t *testing.T) {
	f := newFake(t, "127.0.0.1:0", func(q []byte) [][]byte { return [][]byte{says(q, success, "192.0.2.1")} })
	r := newRoom(t)
	r.zone("front").host("a", "web", "10.0.0.2")
	r.forwardTo(f.at)
	r.config.Names.Internal = true
	r.start()
	if out := r.dig("example.test", "A"); !strings.Contains(out, "SERVFAIL") {
		t.Error(out)
	}
	r.config.Names.Internal = false
	if err := Update(r.dir, r.config); err != nil {
		t.Fatal(err)
	}
	if got := r.short("example.test", "A"); got != "192.0.2.1" || f.asked.Load() != 1 {
		t.Errorf("%q; asked %d times", got, f.asked.Load())
	}
}

// Ten thousand questions at once, that others are to answer, cost no more than there are places, and the names of containers are
// answered meanwhile.
func TestForwardsTenThousandAtOnce(t *testing.T) {
	wide(t)
	many := 10_000
	if testing.Short() { // with the race detector the server here, which is this process, is too slow for more
		many = 1000
	}
	slow := func(q []byte) [][]byte {
		time.Sleep(20 * time.Microsecond)
		return [][]byte{says(q, success, "192.0.2.1")}
	}
	for _, c := range []struct {
		name     string
		answer   func([]byte) [][]byte
		answered int // at least
		codes    []int
	}{
		{"answering", slow, 9_500, []int{success, refused, serverFailure}},                           // a busy machine's server may be late for many
		{"silent", func([]byte) [][]byte { return nil }, mostErrands, []int{serverFailure, refused}}, // what is said after four seconds
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			r.exe = glassrun(t)
			r.zone("front").host("a", "web", "10.0.0.2")
			r.forwardTo(newFake(t, "127.0.0.1:0", c.answer).at)
			r.start()
			client := r.dial()
			widen(client)
			most := 0
			for i := range many {
				client.Write(query(uint16(i), "example.test", typeA))
				if i%500 == 0 {
					most = max(most, descriptorsOf(t, r.pid()))
				}
			}
			if got := r.short("web", "A"); got != "10.0.0.2" {
				t.Errorf("meanwhile %q", got)
			}
			answered, succeeded, b := 0, 0, make([]byte, 4096)
			for ; answered < min(c.answered, many*95/100); answered++ {
				client.SetReadDeadline(time.Now().Add(6 * time.Second))
				if _, err := client.Read(b); err != nil || !slices.Contains(c.codes, int(b[3]&15)) {
					t.Fatalf("%d answers: %v, %x", answered, err, b[:headerSize])
				}
				if int(b[3]&15) == success {
					succeeded++
				}
			}
			if c.name == "answering" && succeeded < min(mostErrands, many/2) {
				t.Errorf("of %d answers %d are the server's", answered, succeeded)
			}
			most = max(most, descriptorsOf(t, r.pid()))
			t.Logf("at most %d descriptors; %d KiB, %d threads", most, privateDirty(t, r.pid()), threads(t, r.pid()))
			if most > mostErrands+30 {
				t.Errorf("%d descriptors", most)
			}
			if c.name == "answering" {
				until(t, "the end of all errands", func() bool { return descriptorsOf(t, r.pid()) < 30 })
			}
		})
	}
}

func descriptorsOf(t testing.TB, pid int) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
