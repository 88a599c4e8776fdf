package firewall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"glassbox/test/need"
)

// town is a host with containers on bridges, and another machine on its network.
type town struct {
	host, other *space
	containers  map[string]*space
	want        Desired
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

func addresses(texts ...string) (all []netip.Addr) {
	for _, t := range texts {
		all = append(all, netip.MustParseAddr(t))
	}
	return all
}

func publish(proto, listen, to, bridge string) Port {
	return Port{proto, netip.MustParseAddrPort(listen), netip.MustParseAddrPort(to), bridge}
}

// newTown makes one: a and b on glassbox0, c on gb-two, d on the internal gb-in, e and f on the isolated gb-iso, g on gb-src, which has a
// source address of its own.
func newTown(t *testing.T) *town {
	w := &town{host: newSpace(t), other: newSpace(t), containers: map[string]*space{}}
	w.host.run(t, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0")
	w.other.run(t, "sysctl -qw net.ipv6.conf.default.accept_dad=0")
	w.cable(t, "eth0", w.other, "eth0")
	w.host.run(t, "ip addr add 10.9.0.1/24 dev eth0; ip addr add 10.9.0.77/24 dev eth0; ip addr add fd09::1/64 dev eth0; ip link set eth0 up")
	w.other.run(t, "ip addr add 10.9.0.2/24 dev eth0; ip addr add fd09::2/64 dev eth0; ip link set eth0 up")
	w.network(t, Network{Bridge: "glassbox0", Subnets: prefixes("172.30.0.0/16", "fd30::/64"), Gateways: addresses("172.30.0.1", "fd30::1")})
	w.network(t, Network{Bridge: "gb-two", Subnets: prefixes("172.31.0.0/24", "fd31::/64"), Gateways: addresses("172.31.0.1", "fd31::1")})
	w.network(t, Network{Bridge: "gb-in", Subnets: prefixes("172.29.0.0/24"), Gateways: addresses("172.29.0.1"), Internal: true})
	w.network(t, Network{Bridge: "gb-iso", Subnets: prefixes("172.28.0.0/24"), Gateways: addresses("172.28.0.1"), Isolated: true})
	w.network(t, Network{Bridge: "gb-src", Subnets: prefixes("172.27.0.0/24"), Gateways: addresses("172.27.0.1"), Sources: addresses("10.9.0.77")})
	w.network(t, Network{Bridge: "gb-raw", Subnets: prefixes("172.26.0.0/24"), Gateways: addresses("172.26.0.1"), NoMasquerade: true})
	for i, n := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		place := [][]string{{"glassbox0", "172.30.0.2/16", "fd30::2/64"}, {"glassbox0", "172.30.0.3/16", "fd30::3/64"}, {"gb-two", "172.31.0.2/24", "fd31::2/64"},
			{"gb-in", "172.29.0.2/24"}, {"gb-iso", "172.28.0.2/24"}, {"gb-iso", "172.28.0.3/24"}, {"gb-src", "172.27.0.2/24"}, {"gb-raw", "172.26.0.2/24"}}[i]
		w.container(t, n, place[0], place[1:]...)
	}
	w.want.Ports = []Port{
		publish("tcp", "0.0.0.0:8080", "172.30.0.2:80", "glassbox0"),
		publish("tcp", "[::]:8080", "[fd30::2]:80", "glassbox0"),
		publish("udp", "0.0.0.0:5353", "172.30.0.2:53", "glassbox0"),
		publish("udp", "[::]:5353", "[fd30::2]:53", "glassbox0"),
		publish("tcp", "127.0.0.1:8081", "172.30.0.2:80", "glassbox0"),
		publish("tcp", "10.9.0.77:8080", "172.30.0.3:80", "glassbox0"),
		publish("tcp", "[fd09::1]:8084", "[fd30::3]:80", "glassbox0"),
		publish("tcp", "0.0.0.0:8085", "172.28.0.2:80", "gb-iso"),
	}
	w.host.do(t, Rebuild(w.want).Do)
	return w
}

// cable joins the host with another space.
func (w *town) cable(t *testing.T, here string, there *space, name string) {
	t.Helper()
	err := w.host.enter(func() error {
		link := fmt.Sprintf("ip link add %s type veth peer name %s netns /proc/self/fd/3", here, name)
		return linked(link, there)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *town) network(t *testing.T, n Network) {
	lines := fmt.Sprintf("ip link add %s type bridge; sysctl -qw net.ipv4.conf.%s.route_localnet=1; ", n.Bridge, n.Bridge)
	for i, g := range n.Gateways {
		lines += fmt.Sprintf("ip addr add %s/%d dev %s; ", g, n.Subnets[i].Bits(), n.Bridge)
	}
	w.host.run(t, lines+"ip link set "+n.Bridge+" up")
	w.want.Networks = append(w.want.Networks, n)
}

func (w *town) container(t *testing.T, name, bridge string, addrs ...string) {
	c := newSpace(t)
	w.containers[name] = c
	n := len(w.containers)
	mac := net.HardwareAddr{2, 0x42, 0, 0, 0, byte(n)}
	port := "veth" + name
	c.run(t, "sysctl -qw net.ipv6.conf.default.accept_dad=0")
	w.cable(t, port, c, "eth0")
	w.host.run(t, fmt.Sprintf("ip link set %s master %s up", port, bridge))
	lines := fmt.Sprintf("ip link set eth0 address %s up; ", mac)
	m := Member{Bridge: bridge, Host: port, MAC: mac}
	var network Network
	for _, x := range w.want.Networks {
		if x.Bridge == bridge {
			network, m.Isolated = x, x.Isolated
		}
	}
	for i, a := range addrs {
		lines += fmt.Sprintf("ip addr add %s dev eth0; ip route add default via %s; ", a, network.Gateways[i])
		m.Addresses = append(m.Addresses, netip.MustParsePrefix(a).Addr())
	}
	c.run(t, lines)
	w.want.Members = append(w.want.Members, m)
}

// serve answers connections and datagrams to a port with a name and the client's address as the server sees it.
func (s *space) serve(t *testing.T, name string, port int) {
	t.Helper()
	s.do(t, func() error {
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprintf(c, "%s %s", name, plain(c.RemoteAddr().(*net.TCPAddr).IP))
				c.Close()
			}
		}()
		// Two sockets: that of both families would answer IPv4 from any address that the routes say.
		for _, network := range []string{"udp4", "udp6"} {
			u, err := net.ListenPacket(network, fmt.Sprintf(":%d", port))
			if err != nil {
				return err
			}
			t.Cleanup(func() { u.Close() })
			go func() {
				b := make([]byte, 100)
				for {
					_, from, err := u.ReadFrom(b)
					if err != nil {
						return
					}
					fmt.Fprintf(writerTo{u, from}, "%s %s", name, plain(from.(*net.UDPAddr).IP))
				}
			}()
		}
		return nil
	})
}

type writerTo struct {
	c  net.PacketConn
	to net.Addr
}

func (w writerTo) Write(b []byte) (int, error) { return w.c.WriteTo(b, w.to) }

func plain(ip net.IP) string {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap().String()
}

// attend holds a published port's socket and forwards, as an attendant does.
func (s *space) attend(t *testing.T, listen, to string) {
	t.Helper()
	s.do(t, func() error {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp4", listen)
		if err != nil {
			return err
		}
		var busy sync.WaitGroup
		t.Cleanup(func() {
			l.Close()
			busy.Wait() // the namespace is closed after this
		})
		busy.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				busy.Go(func() {
					s.enter(func() error { //nolint:errcheck // the client misses the answer
						defer c.Close()
						out, err := net.DialTimeout("tcp", to, time.Second)
						if err == nil {
							_, err = io.Copy(c, out)
							out.Close()
						}
						return err
					})
				})
			}
		})
		return nil
	})
}

// silence is how long nothing must come for nothing to have come; in the VM all is slower.
func silence() time.Duration {
	if need.VM() {
		return 4 * time.Second
	}
	return 400 * time.Millisecond
}

// ask is what the server says; an error when it is not reached.
func (s *space) ask(network, to string) (string, error) { return s.wait(silence(), network, to) }

func (s *space) wait(limit time.Duration, network, to string) (answer string, err error) {
	err = s.enter(func() error {
		c, err := net.DialTimeout(network, to, limit)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(limit))
		if network == "udp" {
			if _, err := c.Write([]byte("?")); err != nil {
				return err
			}
			b := make([]byte, 100)
			n, err := c.Read(b)
			answer = string(b[:n])
			return err
		}
		b, err := io.ReadAll(c)
		answer = string(b)
		return err
	})
	return answer, err
}

// call is who asks whom, and what is to come of it.
type call struct {
	who     string
	network string
	to      string
	want    string // empty: no answer
}

func (w *town) who(name string) *space {
	switch name {
	case "host":
		return w.host
	case "other":
		return w.other
	}
	return w.containers[name]
}

func (w *town) ask(t *testing.T, all []call) {
	t.Helper()
	var wait sync.WaitGroup
	for _, q := range all {
		wait.Go(func() {
			limit := silence()
			if q.want != "" {
				limit = 20 * time.Second // for what shall come
			}
			got, err := w.who(q.who).wait(limit, q.network, q.to)
			if got != q.want {
				t.Errorf("%s asks %s %s: %q, not %q (%v)", q.who, q.network, q.to, got, q.want, err)
			}
		})
	}
	wait.Wait()
}

// TestTraffic sends real packets, with bridges whose frames other hooks see, too (br_netfilter), and without.
func TestTraffic(t *testing.T) {
	need.SecondKernel(t)
	for _, calls := range []string{"0", "1"} {
		t.Run("bridge-nf-call-iptables="+calls, func(t *testing.T) {
			t.Parallel()
			w := newTown(t)
			w.host.run(t, "[ ! -e /proc/sys/net/bridge ] || sysctl -qw net.bridge.bridge-nf-call-iptables="+calls+" net.bridge.bridge-nf-call-ip6tables="+calls)
			for n, c := range w.containers {
				c.serve(t, n, 80)
				c.serve(t, n, 53)
			}
			w.other.serve(t, "other", 7)
			w.host.serve(t, "host", 22)
			// Routes that nobody should need: into the subnets directly, and to the host's 127.0.0.1.
			w.other.run(t, "ip route add 172.16.0.0/12 via 10.9.0.1; ip route add fd30::/64 via fd09::1; sysctl -qw net.ipv4.conf.all.route_localnet=1")
			w.host.attend(t, "0.0.0.0:8080", "172.30.0.2:80")
			w.host.attend(t, "127.0.0.1:8081", "172.30.0.2:80")
			t.Run("published", w.published)
			t.Run("apart", w.apart)
			t.Run("outgoing", w.outgoing)
			t.Run("loopback", w.loopback)
			t.Run("spoofed", w.spoofed)
			t.Run("foreign", w.foreign)
			t.Run("rebuilt", w.rebuilt)
			t.Run("withdrawn", w.withdrawn)
		})
	}
}

func (w *town) published(t *testing.T) {
	w.ask(t, []call{
		{"host", "tcp", "127.0.0.1:8080", "a 172.30.0.1"},
		{"host", "tcp", "127.0.0.5:8080", "a 172.30.0.1"},
		{"host", "tcp", "10.9.0.1:8080", "a 10.9.0.1"},
		{"host", "tcp", "172.30.0.1:8080", "a 172.30.0.1"},
		{"host", "tcp", "172.30.0.2:80", "a 172.30.0.1"},
		{"host", "tcp", "127.0.0.1:8081", "a 172.30.0.1"},
		{"host", "tcp", "10.9.0.77:8080", "b 10.9.0.1"},
		{"host", "udp", "127.0.0.1:5353", "a 172.30.0.1"},
		{"host", "udp", "10.9.0.1:5353", "a 10.9.0.1"},
		{"host", "tcp", "[fd09::1]:8080", "a fd09::1"},
		{"host", "udp", "[fd09::1]:5353", "a fd09::1"},
		{"other", "tcp", "10.9.0.1:8080", "a 10.9.0.2"}, // the client's address is kept
		{"other", "tcp", "10.9.0.77:8080", "b 10.9.0.2"},
		{"other", "udp", "10.9.0.1:5353", "a 10.9.0.2"},
		{"other", "tcp", "[fd09::1]:8080", "a fd09::2"},
		{"other", "tcp", "[fd09::1]:8084", "b fd09::2"},
		{"other", "tcp", "10.9.0.1:8085", "e 10.9.0.2"},
		{"other", "tcp", "10.9.0.1:8081", ""}, // for the host alone
		{"other", "tcp", "10.9.0.1:22", "host 10.9.0.2"},
		// From other networks by the host's address.
		{"c", "tcp", "10.9.0.1:8080", "a 172.31.0.2"},
		{"c", "tcp", "172.31.0.1:8080", "a 172.31.0.2"},
		{"c", "udp", "10.9.0.1:5353", "a 172.31.0.2"},
		{"c", "tcp", "[fd09::1]:8080", "a fd31::2"},
		{"c", "tcp", "10.9.0.1:8081", ""},
		{"d", "tcp", "10.9.0.1:8080", ""}, // internal
		{"e", "tcp", "10.9.0.1:8080", "a 172.28.0.2"},
		// A container calls itself; the attendant answers.
		{"a", "tcp", "10.9.0.1:8080", "a 172.30.0.1"},
		{"a", "tcp", "172.30.0.1:8080", "a 172.30.0.1"},
	})
	// A neighbour: where the bridge itself carries the packet, it keeps its address.
	for _, q := range []struct{ network, to, name string }{{"tcp", "10.9.0.1:8080", "a"}, {"udp", "10.9.0.1:5353", "a"}, {"tcp", "[fd09::1]:8080", "a"}} {
		if got, err := w.containers["b"].ask(q.network, q.to); !strings.HasPrefix(got, q.name+" ") {
			t.Errorf("b asks %s %s: %q (%v)", q.network, q.to, got, err)
		}
	}
}

func (w *town) apart(t *testing.T) {
	w.ask(t, []call{
		{"a", "tcp", "172.30.0.3:80", "b 172.30.0.2"}, // neighbours
		{"a", "tcp", "[fd30::3]:80", "b fd30::2"},
		{"a", "udp", "172.30.0.3:80", "b 172.30.0.2"},
		{"a", "tcp", "172.31.0.2:80", ""}, // another network
		{"a", "tcp", "[fd31::2]:80", ""},
		{"c", "tcp", "172.30.0.2:80", ""}, // although published
		{"a", "tcp", "172.29.0.2:80", ""},
		{"d", "tcp", "172.30.0.2:80", ""},
		{"d", "tcp", "10.9.0.2:7", ""},
		{"host", "tcp", "172.29.0.2:80", "d 172.29.0.1"},
		{"e", "tcp", "172.28.0.3:80", ""}, // isolated neighbours
		{"f", "tcp", "172.28.0.2:80", ""},
		{"host", "tcp", "172.28.0.2:80", "e 172.28.0.1"},
		{"other", "tcp", "172.30.0.2:80", ""}, // routed straight in
		{"other", "tcp", "[fd30::2]:80", ""},
		{"other", "udp", "172.30.0.2:53", ""},
		{"other", "tcp", "172.29.0.2:80", ""},
		{"other", "tcp", "172.26.0.2:80", ""},
	})
}

func (w *town) outgoing(t *testing.T) {
	w.ask(t, []call{
		{"a", "tcp", "10.9.0.2:7", "other 10.9.0.1"},
		{"a", "udp", "10.9.0.2:7", "other 10.9.0.1"},
		{"a", "tcp", "[fd09::2]:7", "other fd09::1"},
		{"e", "tcp", "10.9.0.2:7", "other 10.9.0.1"},
		{"g", "tcp", "10.9.0.2:7", "other 10.9.0.77"},
		{"h", "tcp", "10.9.0.2:7", "other 172.26.0.2"}, // keeps its address; other has a route back
		{"a", "tcp", "172.30.0.1:22", "host 172.30.0.2"},
	})
}

// loopback forces packets to the host's 127.0.0.1 from a container and from another machine, with route_localnet on all sides.
func (w *town) loopback(t *testing.T) {
	w.host.run(t, "sysctl -qw net.ipv4.conf.all.route_localnet=1; sysctl -qw net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.all.rp_filter=0")
	w.other.run(t, "ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via 10.9.0.1 dev eth0 src 10.9.0.2; ip route flush table local 127.0.0.0/8 2>/dev/null || :")
	b := w.containers["b"]
	b.run(t, "sysctl -qw net.ipv4.conf.all.route_localnet=1; ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via 172.30.0.1 dev eth0 src 172.30.0.3")
	w.host.serve(t, "host", 9)
	w.ask(t, []call{
		{"other", "tcp", "127.0.0.1:8081", ""},
		{"b", "tcp", "127.0.0.1:8081", ""},
		{"b", "tcp", "127.0.0.1:8080", ""},
		{"b", "tcp", "127.0.0.1:22", ""},
		{"other", "tcp", "127.0.0.1:22", "host 10.9.0.2"}, // the way is open, but for what is published: not ours to close
	})
	w.other.run(t, "ip route del 127.0.0.1; ip addr add 127.0.0.1/8 dev lo")
	b.run(t, "ip route del 127.0.0.1; ip addr add 127.0.0.1/8 dev lo")
}

func (w *town) rebuilt(t *testing.T) {
	w.host.run(t, "nft flush ruleset")
	w.ask(t, []call{{"other", "tcp", "10.9.0.1:5353", ""}})
	var b Batch
	b.AddNetwork(w.want.Networks[0])
	if err := w.host.enter(b.Request("", "").Do); !errors.Is(err, ErrNoTable) {
		t.Fatal(err)
	}
	w.host.do(t, Rebuild(w.want).Do)
	w.ask(t, []call{{"other", "tcp", "10.9.0.1:8080", "a 10.9.0.2"}, {"a", "tcp", "172.31.0.2:80", ""}})
}

// withdrawn takes all ports away; then strangers' chains, whatever their policy, see what they saw before.
func (w *town) withdrawn(t *testing.T) {
	var b Batch
	for _, p := range w.want.Ports {
		b.Withdraw(p)
	}
	w.host.do(t, b.Request("", "").Do)
	w.ask(t, []call{
		{"other", "tcp", "10.9.0.77:8080", "a 172.30.0.1"}, // the attendant in this test still listens
		{"other", "tcp", "10.9.0.1:8085", ""},
		{"other", "tcp", "[fd09::1]:8080", ""},
		{"host", "udp", "127.0.0.1:5353", ""},
	})
}

// foreign routes between two machines that are none of ours: what others decide stands, for their packets and for ours.
func (w *town) foreign(t *testing.T) {
	third := newSpace(t)
	w.containers["third"] = third
	w.cable(t, "eth1", third, "eth0")
	w.host.run(t, "ip addr add 10.8.0.1/24 dev eth1; ip link set eth1 up")
	third.run(t, "ip addr add 10.8.0.2/24 dev eth0; ip link set eth0 up; ip route add default via 10.8.0.1")
	w.other.run(t, "ip route add 10.8.0.0/24 via 10.9.0.1")
	third.serve(t, "third", 7)
	through := []call{{"other", "tcp", "10.8.0.2:7", "third 10.9.0.2"}, {"third", "tcp", "10.9.0.2:7", "other 10.8.0.2"}}
	w.ask(t, through)
	w.host.feed(t, "table inet mine {\n chain c {\n type filter hook forward priority 10; policy drop;\n iifname eth1 accept\n ct state established accept\n }\n}\n")
	through[0].want = ""
	w.ask(t, append(through, call{"a", "tcp", "10.9.0.2:7", ""}, call{"other", "tcp", "10.9.0.1:8080", ""}))
	found := []Blocker{}
	w.host.do(t, func() (err error) { found, err = Blockers([]string{"glassbox0"}); return })
	if len(found) != 1 {
		t.Fatalf("in the way: %+v", found)
	}
	w.host.run(t, found[0].Fix)
	w.ask(t, append(through, call{"a", "tcp", "10.9.0.2:7", "other 10.9.0.1"}, call{"other", "tcp", "10.9.0.1:8080", "a 10.9.0.2"}))
	w.host.feed(t, "delete table inet mine")
}
