package network

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"glassbox/program"
	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// needs tries to make an interface of that kind; the VM's kernel has them all.
func needs(t *testing.T, kind string) {
	t.Helper()
	d := device{name: "try0", kind: kind, parent: "lo"}
	if kind == "dummy" {
		d.parent = ""
	}
	err := d.add(here, "", "", nil).Do()
	if errors.Is(err, unix.EOPNOTSUPP) {
		if need.VM() {
			t.Fatal(err)
		}
		t.Skipf("needs %s interfaces: %v (runs in the VM: go run ./test/vm test)", kind, err)
	}
	if err == nil {
		run(t, "ip link del try0")
	}
}

// lan is a wire from the host's interface lan0 to another machine, which has 192.168.7.1 on it.
func lan(t *testing.T) (other container) {
	t.Helper()
	other = newContainer(t)
	run(t, "ip link add lan0 up type veth peer name wire netns "+other.pid)
	other.run(t, "ip addr add 192.168.7.1/24 dev wire")
	other.run(t, "ip addr add fd07::1/64 dev wire nodad")
	other.run(t, "ip link set wire up")
	return other
}

// child is the interface of the LAN's container number n.
func child(kind string, n byte) Interface {
	four := netip.AddrFrom4([4]byte{192, 168, 7, n})
	return Interface{Kind: kind, Master: "lan0", Host: "born", Name: "eth0", MAC: HardwareAddressOf(four), From: "network lan",
		Addresses: []netip.Prefix{netip.PrefixFrom(four, 24), netip.PrefixFrom(netip.MustParseAddr("fd07::").Next().Next().Next(), 64)},
		Gateways:  addresses("192.168.7.1", "fd07::1")}
}

func reaches(t *testing.T, from, to *Namespace, addresses ...string) {
	t.Helper()
	for _, a := range addresses {
		if err := talk(from, to, a); err != nil {
			t.Error(err)
		}
	}
}

func TestMacvlan(t *testing.T) {
	need.SecondKernel(t)
	machine(t)
	needs(t, "macvlan")
	other := lan(t)
	a, b := newContainer(t), newContainer(t)
	first, second := child(KindMacvlan, 2), child(KindMacvlan, 4)
	second.Addresses[1] = netip.MustParsePrefix("fd07::4/64")
	carry(t, first.Plug(a.Namespace), nil)
	carry(t, second.Plug(b.Namespace), nil)
	reaches(t, a.Namespace, other.Namespace, "192.168.7.1", "fd07::1")
	reaches(t, other.Namespace, a.Namespace, "192.168.7.2", "fd07::3")
	reaches(t, a.Namespace, b.Namespace, "192.168.7.4", "fd07::4")
	if out := a.run(t, "ip route"); out != "default via 192.168.7.1 dev eth0 \n192.168.7.0/24 dev eth0 proto kernel scope link src 192.168.7.2 \n" {
		t.Errorf("routes: %s", out)
	}
	third := child(KindMacvlan, 2) // the same address, while the first one's kernel interface is still going
	c := newContainer(t)
	a.end(t)
	carry(t, third.Plug(c.Namespace), nil)
	reaches(t, other.Namespace, c.Namespace, "192.168.7.2")
	carry(t, third.Unplug(c.Namespace), nil)
	if out := c.run(t, "ip -br link"); strings.Contains(out, "eth0") {
		t.Errorf("after unplugging: %s", out)
	}
}

func TestMacvlanPrivateKeepsContainersApart(t *testing.T) {
	need.SecondKernel(t)
	machine(t)
	needs(t, "macvlan")
	other := lan(t)
	a, b := newContainer(t), newContainer(t)
	for n, c := range map[byte]container{2: a, 4: b} {
		i := child(KindMacvlan, n)
		i.Mode, i.Addresses, i.Gateways = "private", i.Addresses[:1], i.Gateways[:1]
		carry(t, i.Plug(c.Namespace), nil)
	}
	reaches(t, a.Namespace, other.Namespace, "192.168.7.1")
	if err := talk(a.Namespace, b.Namespace, "192.168.7.4"); err == nil {
		t.Error("one reaches the other")
	}
}

func TestIPvlan(t *testing.T) {
	need.SecondKernel(t)
	for _, mode := range []string{"l2", "l3", "l3s"} {
		t.Run(mode, func(t *testing.T) {
			machine(t)
			needs(t, "ipvlan")
			other := lan(t)
			a, b := newContainer(t), newContainer(t)
			first, second := child(KindIPvlan, 2), child(KindIPvlan, 4)
			second.Addresses[1] = netip.MustParsePrefix("fd07::4/64")
			first.Mode, second.Mode = mode, mode
			route := "default via 192.168.7.1 dev eth0 \n"
			if mode != "l2" {
				second.Addresses = prefixes("10.3.0.4/24", "fd03::4/64")
				first.Gateways, second.Gateways = addresses("0.0.0.0", "::"), addresses("0.0.0.0", "::")
				route = "default dev eth0 scope link \n"
			}
			carry(t, first.Plug(a.Namespace), nil)
			carry(t, second.Plug(b.Namespace), nil)
			if out := a.run(t, "ip route show default"); out != route {
				t.Errorf("default route: %s", out)
			}
			reaches(t, a.Namespace, b.Namespace, second.Addresses[0].Addr().String(), second.Addresses[1].Addr().String())
			if mode == "l2" {
				reaches(t, a.Namespace, other.Namespace, "192.168.7.1", "fd07::1")
			}
			c := newContainer(t) // the same address, while the first one's is still going
			a.end(t)
			carry(t, first.Plug(c.Namespace), nil)
			reaches(t, c.Namespace, b.Namespace, second.Addresses[0].Addr().String())
		})
	}
}

func TestParents(t *testing.T) {
	need.SecondKernel(t)
	machine(t)
	needs(t, "vlan")
	needs(t, "dummy")
	needs(t, "macvlan")
	other := lan(t)
	other.run(t, "ip link add link wire name tagged up type vlan id 10")
	other.run(t, "ip addr add 10.10.0.1/24 dev tagged")
	for _, parent := range []string{"lan0.10", "dm-0123456789ab"} {
		internal := parent != "lan0.10"
		r, made, err := Parent(parent, internal)
		if !made {
			t.Errorf("%s: not made", parent)
		}
		carry(t, r, err)
		if r, made, err := Parent(parent, internal); len(r) > 0 || made || err != nil {
			t.Errorf("%s: made twice: %v %v %v", parent, calls(r), made, err)
		}
		a, b := newContainer(t), newContainer(t)
		for address, c := range map[string]container{"10.10.0.2": a, "10.10.0.3": b} {
			i := Interface{Kind: KindMacvlan, Master: parent, Name: "eth0", MAC: HardwareAddressOf(netip.MustParseAddr(address)), Addresses: prefixes(address + "/24")}
			carry(t, i.Plug(c.Namespace), nil)
		}
		reaches(t, a.Namespace, b.Namespace, "10.10.0.3")
		if !internal {
			reaches(t, a.Namespace, other.Namespace, "10.10.0.1")
		}
		r, err = Leftover(parent)
		carry(t, r, err)
		if r, err := Leftover(parent); r != nil || err != nil {
			t.Errorf("%s is still there: %v %v", parent, calls(r), err)
		}
	}
}

func TestParentsThatCannotBe(t *testing.T) {
	machine(t)
	run(t, "ip link add lan0 type veth peer name wire")
	for name, want := range map[string]string{
		"eth7":      "invalid subinterface vlan name eth7, example formatting is eth0.10",
		"eth7.10":   "-o parent interface was not found on the host: eth7",
		"lan0.x":    "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)",
		"lan0.4095": "vlan id must be between 1-4094, received: 4095",
		"lan0.0":    "vlan id must be between 1-4094, received: 0",
		"lan0.1.2":  "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received lan0.1.2",
	} {
		if _, _, err := Parent(name, false); err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r, made, err := Parent("lan0", false); len(r) > 0 || made || err != nil {
		t.Errorf("lan0 is there: %v %v %v", calls(r), made, err)
	}
}

func TestModes(t *testing.T) {
	for _, x := range []struct {
		i    Interface
		want string
	}{
		{Interface{Kind: KindMacvlan, Mode: "passthru"}, ""},
		{Interface{Kind: KindIPvlan, Mode: "l3s", Flag: "vepa"}, ""},
		{Interface{Kind: KindBridge}, ""},
		{Interface{Kind: KindMacvlan, Mode: "l2"}, "unknown macvlan mode: l2"},
		{Interface{Kind: KindIPvlan, Mode: "bridge"}, "unknown ipvlan mode: bridge"},
		{Interface{Kind: KindIPvlan, Flag: "x"}, "unknown ipvlan flag: x"},
	} {
		if err := x.i.Check(); err == nil && x.want != "" || err != nil && err.Error() != x.want {
			t.Errorf("%+v: %v", x.i, err)
		}
	}
}

var lanScenes = []scene{
	{name: "macvlan", before: lanByHand, requests: func(t *testing.T, n *Namespace) []program.Request {
		i := child(KindMacvlan, 2)
		i.Mode, i.MTU = "vepa", 1400
		return i.Plug(n)
	}},
	{name: "ipvlan", before: lanByHand, requests: func(t *testing.T, n *Namespace) []program.Request {
		i := child(KindIPvlan, 2)
		i.Mode, i.Flag, i.Gateways = "l3", "private", addresses("0.0.0.0", "::")
		return i.Plug(n)
	}},
	{name: "parents", before: lanByHand, requests: func(t *testing.T, n *Namespace) []program.Request {
		tagged, _, err := Parent("lan0.10", false)
		if err != nil {
			t.Fatal(err)
		}
		inner, _, err := Parent("dm-0", true)
		if err != nil {
			t.Fatal(err)
		}
		return append(tagged, inner...)
	}},
}

const lanByHand = "ip link add lan0 up type veth peer name wire; ip link set wire up"

func TestTypedCommandsDoTheSameOnALAN(t *testing.T) {
	need.SecondKernel(t)
	machine(t)
	for _, kind := range []string{"macvlan", "ipvlan", "vlan", "dummy"} {
		needs(t, kind)
	}
	compareScenes(t, lanScenes)
}
