package network

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/program"
	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

func TestContainersReachEachOther(t *testing.T) {
	need.SecondKernel(t)
	machine(t)
	raise(t, bridge())
	a, b := newContainer(t), newContainer(t)
	carry(t, member(1).Plug(a.Namespace), nil)
	carry(t, member(2).Plug(b.Namespace), nil)
	for _, address := range []string{"172.17.0.3", "fd00::3"} {
		if err := talk(a.Namespace, b.Namespace, address); err != nil {
			t.Errorf("one container to another: %v", err)
		}
		if err := talk(nil, b.Namespace, address); err != nil {
			t.Errorf("the host to a container: %v", err)
		}
	}
	for _, address := range []string{"172.17.0.1", "fd00::1"} {
		if err := talk(a.Namespace, nil, address); err != nil {
			t.Errorf("a container to its gateway: %v", err)
		}
	}
	if out := run(t, "bridge -d link show dev veth1"); !strings.Contains(out, "hairpin on") {
		t.Errorf("no hairpin mode:\n%s", out)
	}
}

// What Docker's containers show, word for word, but for the numbers of interfaces.
func TestLooksAsInDocker(t *testing.T) {
	need.SecondKernel(t)
	machine(t)
	raise(t, bridge())
	c := newContainer(t)
	carry(t, member(1).Plug(c.Namespace), nil)
	want := map[string]string{
		"ip route": "default via 172.17.0.1 dev eth0 \n172.17.0.0/16 dev eth0 proto kernel scope link src 172.17.0.2 \n",
		"ip -4 addr show eth0": "N: eth0@ifN: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default  link-netnsid 0\n" +
			"    inet 172.17.0.2/16 brd 172.17.255.255 scope global eth0\n       valid_lft forever preferred_lft forever\n",
		"ip -6 route show default":                      "default via fd00::1 dev eth0 metric 1024 pref medium\n",
		"cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6": "0\n",
	}
	number := regexp.MustCompile(`(?m)^[0-9]+:|@if[0-9]+:`)
	for command, w := range want {
		got := number.ReplaceAllStringFunc(c.run(t, command), func(s string) string {
			return strings.TrimRight(s, "0123456789:") + "N:"
		})
		if got != w {
			t.Errorf("%s:\n%s\nwant\n%s", command, got, w)
		}
	}
	if out := c.run(t, "ip -6 addr show eth0 scope global"); !strings.Contains(out, "fd00::2/64") || strings.Contains(out, "tentative") {
		t.Errorf("the IPv6 address cannot be used at once:\n%s", out)
	}
}

func TestNoIPv6WhereTheNetworkHasNone(t *testing.T) {
	machine(t)
	b := Bridge{Name: "glassbox0", Addresses: prefixes("172.17.0.1/16")}
	raise(t, b)
	c := newContainer(t)
	i := member(1)
	i.Addresses, i.Gateways = i.Addresses[:1], i.Gateways[:1]
	carry(t, i.Plug(c.Namespace), nil)
	if out := c.run(t, "ip -6 addr show eth0"); out != "" {
		t.Errorf("eth0 has IPv6 addresses:\n%s", out)
	}
	isolated := Bridge{Name: "glassbox1"}
	raise(t, isolated)
	if out := run(t, "cat /proc/sys/net/ipv6/conf/glassbox1/disable_ipv6"); out != "1\n" {
		t.Errorf("an isolated bridge has IPv6")
	}
}

func TestRaiseRepairs(t *testing.T) {
	machine(t)
	b := bridge()
	b.MTU = 1400
	raise(t, b)
	c := newContainer(t)
	i := member(1)
	carry(t, i.Plug(c.Namespace), nil)
	before := run(t, "ip -br link show glassbox0")
	for _, broken := range []string{
		"ip link set glassbox0 down", "ip addr del 172.17.0.1/16 dev glassbox0", "ip addr del fd00::1/64 dev glassbox0", "ip link set glassbox0 mtu 1300",
		"sysctl -q -w net.ipv4.conf.glassbox0.route_localnet=0", "sysctl -q -w net.ipv6.conf.glassbox0.disable_ipv6=1", "ip link del glassbox0",
	} {
		run(t, broken)
		raise(t, b)
		r, err := i.Rejoin()
		carry(t, r, err)
		if r, err := b.Raise(); err != nil || len(r) > 0 {
			t.Errorf("after %s and Raise it still lacks %v, %v", broken, calls(r), err)
		}
		if after := run(t, "ip -br link show glassbox0"); strings.Fields(after)[2] != strings.Fields(before)[2] {
			t.Errorf("after %s the bridge has another hardware address: %s, then %s", broken, before, after)
		}
		for _, a := range []string{"172.17.0.1", "fd00::1"} {
			if err := talk(c.Namespace, nil, a); err != nil {
				t.Errorf("after %s and Raise: %v", broken, err)
			}
		}
	}
	run(t, "ip addr del 172.17.0.1/16 dev glassbox0")
	run(t, "ip addr add 172.17.0.1/24 dev glassbox0")
	raise(t, b)
	if out := run(t, "ip -4 -br addr show glassbox0"); !strings.HasSuffix(strings.TrimSpace(out), " 172.17.0.1/16") {
		t.Errorf("the address has another subnet: %s", out)
	}
}

// Two starts that find no bridge in the same moment both get it.
func TestRaiseTwiceAtOnce(t *testing.T) {
	machine(t)
	first, err := bridge().Raise()
	second, err2 := bridge().Raise()
	carry(t, first, errors.Join(err, err2))
	l := carry(t, second, nil)
	if err := l.Back(); err != nil {
		t.Fatal(err)
	}
	if r, err := bridge().Raise(); len(r) > 0 || err != nil {
		t.Errorf("it lacks %v, %v", calls(r), err)
	}
}

// While other containers come and go, listings are cut by the kernel (NLM_F_DUMP_INTR); nobody may notice.
func TestListingsWhileThingsChange(t *testing.T) {
	machine(t)
	raise(t, bridge())
	c := newContainer(t)
	for k := range 40 {
		i := member(k + 1)
		i.Name, i.Gateways = fmt.Sprintf("eth%d", k), nil
		carry(t, i.Plug(c.Namespace), nil)
	}
	p := here
	s, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	p.speak = func(f func(*socket) error) error { return f(s) }
	ended := make(chan error, 1)
	go func() { ended <- crowd(p, 100) }()
	for len(ended) == 0 {
		if ports, err := bridge().Ports(); err != nil || len(ports) != 40 {
			t.Fatalf("%d ports, %v", len(ports), err)
		}
		if _, err := Routed(); err != nil {
			t.Fatal(err)
		}
		if _, err := bridge().Raise(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// crowd makes interfaces that nobody needs.
func crowd(p place, n int) error {
	for k := range n {
		if err := (device{name: fmt.Sprintf("crowd%d", k), kind: "bridge"}).add(p, "", "", nil).Do(); err != nil {
			return err
		}
	}
	return nil
}

func TestBridgeThatIsNone(t *testing.T) {
	machine(t)
	run(t, "ip link add glassbox0 type veth peer name other")
	_, err := bridge().Raise()
	if err == nil || err.Error() != "existing interface glassbox0 is not a bridge" {
		t.Errorf("Raise: %v", err)
	}
}

// Nothing is left: what was there before is there after, on the host and in the container.
func TestUnplugLeavesNothing(t *testing.T) {
	machine(t)
	raise(t, bridge())
	c := newContainer(t)
	look := func() string { // without the bridge's carrier, which comes and goes in its own time
		host := run(t, "ip -br link") + run(t, "ip route show table all") + run(t, "ip -6 route show table all")
		host = regexp.MustCompile(`(?m)^.*(fe80|ff00|glassbox0 +(UP|DOWN)).*\n| linkdown`).ReplaceAllString(host, "")
		return host + c.run(t, "ip addr") + c.run(t, "ip route show table all") + c.run(t, "ip -6 route show table all")
	}
	carry(t, member(1).Plug(c.Namespace), nil)
	carry(t, member(1).Unplug(c.Namespace), nil)
	before := look()
	l := carry(t, member(1).Plug(c.Namespace), nil)
	if err := l.Back(); err != nil {
		t.Fatal(err)
	}
	carry(t, member(2).Plug(c.Namespace), nil)
	carry(t, member(2).Unplug(nil), nil) // as after the container's end
	l = carry(t, member(2).Unplug(nil), nil)
	if done := l.Account("", "").Host[0]; done.Result != "-1 ENODEV (No such device)" || done.Failed {
		t.Errorf("unplugging twice: %+v", done)
	}
	after := look()
	for began := time.Now(); after != before && time.Since(began) < 3*time.Second; after = look() {
		time.Sleep(20 * time.Millisecond)
	}
	if after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	r, err := bridge().Lower()
	carry(t, r, err)
	if r, err := bridge().Lower(); err != nil || r != nil {
		t.Errorf("lowering what is not there: %v %v", calls(r), err)
	}
}

// A bridge that another container uses by now is not taken back.
func TestBackSparesABridgeInUse(t *testing.T) {
	machine(t)
	r, err := bridge().Raise()
	l := carry(t, r, err)
	c := newContainer(t)
	carry(t, member(1).Plug(c.Namespace), nil)
	if err := l.Back(); err != nil {
		t.Fatal(err)
	}
	if ports, err := bridge().Ports(); err != nil || !slices.Equal(ports, []string{"veth1"}) {
		t.Fatalf("ports: %v, %v", ports, err)
	}
	if err := l.Back(); err != nil {
		t.Fatal(err)
	}
	carry(t, member(1).Unplug(nil), nil)
	r, err = bridge().Lower()
	carry(t, r, err)
	r, err = bridge().Raise()
	if err := carry(t, r, err).Back(); err != nil {
		t.Fatal(err)
	}
	if l, err := find("glassbox0"); l != nil || err != nil {
		t.Errorf("the bridge is still there: %v", err)
	}
}

func TestReroute(t *testing.T) {
	machine(t)
	raise(t, bridge())
	raise(t, Bridge{Name: "glassbox1", Addresses: prefixes("10.9.0.1/24")})
	c := newContainer(t)
	carry(t, member(1).Plug(c.Namespace), nil)
	second := Interface{Kind: KindBridge, Master: "glassbox1", Host: "veth9", Name: "eth1", Addresses: prefixes("10.9.0.2/24")}
	carry(t, second.Plug(c.Namespace), nil)
	first := []Route{over("eth0", netip.MustParseAddr("172.17.0.1")), over("eth0", netip.MustParseAddr("fd00::1"))}
	if r := Reroute(c.Namespace, first); len(r) > 0 {
		t.Errorf("it is so already, and yet: %v", calls(r))
	}
	l := carry(t, Reroute(c.Namespace, []Route{over("eth1", netip.MustParseAddr("10.9.0.1"))}), nil)
	if out := c.run(t, "ip route show default") + c.run(t, "ip -6 route show default"); out != "default via 10.9.0.1 dev eth1 \n" {
		t.Errorf("default routes now: %s", out)
	}
	if err := l.Back(); err != nil {
		t.Fatal(err)
	}
	if r := Reroute(c.Namespace, first); len(r) > 0 {
		t.Errorf("it is as before, and yet: %v", calls(r))
	}
	carry(t, Reroute(c.Namespace, []Route{{Interface: "eth1"}, {Interface: "eth0", IPv6: true}}), nil)
	if out := c.run(t, "ip route show default") + c.run(t, "ip -6 route show default"); out != "default dev eth1 scope link \ndefault dev eth0 metric 1024 pref medium\n" {
		t.Errorf("default routes straight into the interfaces: %s", out)
	}
}

func TestSettingsAndMTU(t *testing.T) {
	machine(t)
	raise(t, bridge())
	c := newContainer(t)
	i := member(1)
	i.MTU, i.Name = 1280, "lan.7"
	i.Sysctls = map[string]string{"net.ipv4.conf.lan.7.log_martians": "1", "net.ipv4.neigh.lan.7.gc_stale_time": "77"}
	carry(t, i.Plug(c.Namespace), nil)
	got := c.run(t, "cat /proc/sys/net/ipv4/conf/lan.7/log_martians /proc/sys/net/ipv4/neigh/lan.7/gc_stale_time /proc/sys/net/ipv4/conf/default/log_martians") +
		c.run(t, "ip -o link show lan.7")
	if !strings.HasPrefix(got, "1\n77\n0\n") || !strings.Contains(got, "mtu 1280") {
		t.Error(got)
	}
}

// The same IP address with another hardware address: neighbours that knew the first reach the second at once.
func TestNeighboursLearnAnotherHardwareAddress(t *testing.T) {
	machine(t)
	raise(t, bridge())
	a, b, other := newContainer(t), newContainer(t), newContainer(t)
	carry(t, member(1).Plug(a.Namespace), nil)
	old := member(2)
	old.Host = "vethold"
	carry(t, old.Plug(other.Namespace), nil)
	for _, address := range []string{"172.17.0.3", "fd00::3"} {
		if err := talk(a.Namespace, other.Namespace, address); err != nil {
			t.Fatal(err)
		}
	}
	carry(t, old.Unplug(nil), nil)
	next := member(2)
	next.MAC = HardwareAddress()
	carry(t, next.Plug(b.Namespace), nil)
	time.Sleep(20 * time.Millisecond)
	for _, n := range []string{run(t, "ip neigh show 172.17.0.3"), a.run(t, "ip neigh show 172.17.0.3"), a.run(t, "ip -6 neigh show fd00::3")} {
		if n != "" && !strings.Contains(n, next.MAC.String()) {
			t.Errorf("a neighbour still knows %q, not %s", n, next.MAC)
		}
	}
	for _, address := range []string{"172.17.0.3", "fd00::3"} {
		if err := talk(a.Namespace, b.Namespace, address); err != nil {
			t.Error(err)
		}
	}
}

// A cut interface is as good as gone, though its namespace lives on: who gets the address next is reached at once.
func TestCut(t *testing.T) {
	machine(t)
	raise(t, bridge())
	a, old, next := newContainer(t), newContainer(t), newContainer(t)
	carry(t, member(1).Plug(a.Namespace), nil)
	first := member(2)
	first.Host = "vethold"
	carry(t, first.Plug(old.Namespace), nil)
	for range 2 {
		if err := talk(a.Namespace, old.Namespace, "172.17.0.3"); err != nil {
			t.Fatal(err)
		}
	}
	carry(t, first.Cut(), nil)
	carry(t, member(2).Plug(next.Namespace), nil)
	for _, address := range []string{"172.17.0.3", "fd00::3"} {
		for _, from := range []*Namespace{a.Namespace, nil} {
			if err := talk(from, next.Namespace, address); err != nil {
				t.Error(err)
			}
		}
	}
	old.end(t)
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		r, err := Leftover("vethold")
		if err != nil {
			t.Fatal(err)
		}
		if len(r) == 0 {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal("the kernel did not remove the cut interface with its namespace")
		}
	}
	if done := carry(t, first.Cut(), nil).Account("", "").Host[0]; done.Failed || done.Result != "-1 ENODEV (No such device)" {
		t.Errorf("cutting what is gone: %+v", done)
	}
}

func TestLinkLocalAddresses(t *testing.T) {
	machine(t)
	raise(t, bridge())
	a, b := newContainer(t), newContainer(t)
	for address, c := range map[string]container{"169.254.7.1/16": a, "169.254.7.2/16": b} {
		i := member(int(address[10] - '0'))
		i.Addresses = append(i.Addresses, netip.MustParsePrefix(address))
		carry(t, i.Plug(c.Namespace), nil)
	}
	if err := talk(a.Namespace, b.Namespace, "169.254.7.2"); err != nil {
		t.Error(err)
	}
}

// An error says what could not be done and why, and keeps the kernel's number.
func TestRefusals(t *testing.T) {
	machine(t)
	raise(t, bridge())
	c := newContainer(t)
	carry(t, member(1).Plug(c.Namespace), nil)
	gone := member(2)
	gone.Master = "nobridge"
	taken := member(2)
	taken.Host = "veth1"
	inside := member(2)
	outside := member(2)
	outside.Name, outside.Gateways = "eth1", []netip.Addr{netip.MustParseAddr("9.9.9.9")}
	for name, x := range map[string]struct {
		i     Interface
		errno unix.Errno
		text  string
	}{
		"no bridge":         {gone, unix.ENODEV, "making the veth interface veth2: looking for the interface nobridge: no such device"},
		"name taken":        {taken, unix.EEXIST, "making the veth interface veth1: file exists"},
		"name taken inside": {inside, unix.EEXIST, "making the veth interface veth2: file exists"},
		"gateway outside":   {outside, unix.ENETUNREACH, "doing ip route add default via 9.9.9.9 dev eth1: network is unreachable: Nexthop has invalid gateway"},
	} {
		var l program.Ledger
		err := l.Carry(x.i.Plug(c.Namespace)...)
		if !errors.Is(err, x.errno) || !strings.Contains(err.Error(), x.text) {
			t.Errorf("%s: %v", name, err)
		}
		if err := l.Back(); err != nil {
			t.Errorf("%s: taking back: %v", name, err)
		}
	}
	if err := new(program.Ledger).Carry(member(3).Plug(nil)...); err == nil {
		t.Error("a plan was carried out")
	}
}

func TestRefusalsTellTheCause(t *testing.T) {
	machine(t)
	err := device{name: "x", kind: "nosuchkind"}.add(here, "", "", nil).Do()
	if !errors.Is(err, unix.EOPNOTSUPP) || !strings.Contains(err.Error(), "this kernel lacks that kind of interface") {
		t.Errorf("an unknown kind: %v", err)
	}
	without(t, unix.CAP_NET_ADMIN)
	err = device{name: "x", kind: "bridge"}.add(here, "", "", nil).Do()
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Errorf("without the capability: %v", err)
	}
}

// without takes a capability from the test's thread.
func without(t *testing.T, capability int) {
	t.Helper()
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&h, &data[0]); err != nil {
		t.Fatal(err)
	}
	data[capability/32].Effective &^= 1 << (capability % 32)
	if err := unix.Capset(&h, &data[0]); err != nil {
		t.Fatal(err)
	}
}

func TestForwarding(t *testing.T) {
	machine(t)
	run(t, "sysctl -q -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
	run(t, "ip link add lan0 up type veth peer name wire")
	run(t, "ip link set wire up")
	run(t, "ip -6 route add default via fe80::1 dev lan0 proto ra")
	for _, ipv6 := range []bool{false, true} {
		r, err := Forwarding(ipv6)
		if len(r) == 0 {
			t.Errorf("nothing is asked for (IPv6: %v)", ipv6)
		}
		carry(t, r, err)
		if r, err := Forwarding(ipv6); len(r) > 0 || err != nil {
			t.Errorf("it forwards, and yet: %v, %v", calls(r), err)
		}
	}
	got := run(t, "sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv6.conf.lan0.accept_ra net.ipv6.conf.wire.accept_ra")
	if got != "1\n1\n2\n1\n" {
		t.Errorf("ip_forward, forwarding, accept_ra of lan0, which learned a route, and of wire: %q", got)
	}
}

func TestRouted(t *testing.T) {
	machine(t)
	raise(t, bridge())
	run(t, "ip link add lan0 up type veth peer name wire")
	run(t, "ip link set wire up")
	run(t, "ip addr add 10.7.0.1/24 dev lan0")
	for _, route := range []string{"default via 10.7.0.9", "0.0.0.0/1 via 10.7.0.9", "128.0.0.0/1 via 10.7.0.9", "10.8.0.0/16 via 10.7.0.9 table 77", "unreachable 10.9.0.0/16"} {
		run(t, "ip route add "+route)
	}
	all, err := Routed()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Subnet{
		{netip.MustParsePrefix("10.7.0.0/24"), "lan0", true}, {netip.MustParsePrefix("10.8.0.0/16"), "lan0", false},
		{netip.MustParsePrefix("10.9.0.0/16"), "", true}, {netip.MustParsePrefix("172.17.0.0/16"), "glassbox0", true}, {netip.MustParsePrefix("fd00::/64"), "glassbox0", true},
		{netip.MustParsePrefix("127.0.0.0/8"), "lo", true},
	} {
		if !slices.Contains(all, want) {
			t.Errorf("%+v is not among %+v", want, all)
		}
	}
	for _, s := range all {
		if s.Prefix.Bits() < 7 {
			t.Errorf("%v hides everything", s)
		}
	}
}

func TestNameServers(t *testing.T) {
	got := servers("# comment\nnameserver 10.1.2.3\nnameserver\nsearch nameserver\n nameserver fe80::1%eth0 # x\nnameserver ::ffff:9.9.9.9\nnameserver example.org\n")
	if want := prefixes("10.1.2.3/32", "fe80::1/128", "9.9.9.9/32"); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func calls(requests []program.Request) (out []string) {
	for _, r := range requests {
		out = append(out, r.Call)
	}
	return out
}
