package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/store"

	"github.com/docker/docker/api/types/filters"
	dockernetwork "github.com/docker/docker/api/types/network"
)

// paper is an engine whose networks are on the disk only.
func paper(t testing.TB) *Networks {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("GLASSBOX_ROOT", dir+"/data")
	t.Setenv("GLASSBOX_RUN", dir+"/run")
	e, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	return e.Networks
}

// admitted is what Create does before it asks anything of the kernel.
func (n *Networks) admitted(name string, o dockernetwork.CreateOptions) (*networkRecord, error) {
	r, err := n.request(name, o)
	if err == nil {
		_, err = n.everything()
	}
	if err == nil {
		err = n.admit(r, o)
	}
	return r, err
}

func (n *Networks) keep(t testing.TB, name string, o dockernetwork.CreateOptions) *networkRecord {
	t.Helper()
	r, err := n.admitted(name, o)
	if err != nil {
		t.Fatalf("network %s: %v", name, err)
	}
	lock, err := r.place.Make()
	if err == nil {
		err = errors.Join(r.save(), n.root.NetworkNames().Claim(store.NetworkClaim(name), r.ID, nil), lock.Release())
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func subnets(all ...dockernetwork.IPAMConfig) *dockernetwork.IPAM {
	return &dockernetwork.IPAM{Driver: "default", Config: all}
}

func subnet(s string) *dockernetwork.IPAM { return subnets(dockernetwork.IPAMConfig{Subnet: s}) }

func option(name, value string) dockernetwork.CreateOptions {
	return dockernetwork.CreateOptions{Options: map[string]string{name: value}}
}

// What real Docker 28.5.2 answered to the same.
func TestNetworksThatAreRefused(t *testing.T) {
	n := paper(t)
	yes, no := true, false
	lan := n.keep(t, "lan", dockernetwork.CreateOptions{IPAM: subnets(dockernetwork.IPAMConfig{Subnet: "10.5.0.0/16", IPRange: "10.5.7.0/24"})})
	br0 := n.keep(t, "named", option(optBridgeName, "br0"))
	n.keep(t, "template", dockernetwork.CreateOptions{ConfigOnly: true})
	type o = dockernetwork.CreateOptions
	config := func(c dockernetwork.IPAMConfig) o { return o{IPAM: subnets(c)} }
	for _, test := range []struct {
		name string
		o    o
		want string
	}{
		{"bridge", o{}, "operation is not permitted on predefined bridge network"},
		{"default", o{}, "operation is not permitted on predefined default network"},
		{"", o{}, "invalid name: name is empty"},
		{"lan", o{}, "network with name lan already exists"},
		{strings.Repeat("x", 300), o{}, "invalid name: " + strings.Repeat("x", 300) + " is longer than the 255 characters that a file's name may have"},
		{"x", o{Driver: "nope"}, `plugin "nope" not found`},
		{"x", o{Driver: "host"}, `only one instance of "host" network is allowed`},
		{"x", o{Driver: "null"}, `only one instance of "null" network is allowed`},
		{"x", o{Driver: "overlay"}, `This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.`},
		{"x", o{Ingress: true}, "Ingress network can only be global scope network"},
		{"x", o{Scope: "swarm"}, "cannot create a swarm scoped network when swarm is not active"},
		{"x", o{Scope: "foo"}, "scope foo: networks are of this machine, their scope is local"},
		{"x", o{EnableIPv4: &no, EnableIPv6: &no}, "IPv4 or IPv6 must be enabled"},
		{"x", option(optEnable6, "perhaps"), `driver-opt "com.docker.network.enable_ipv6" is not a valid bool`},
		{"x", o{IPAM: &dockernetwork.IPAM{Driver: "null"}}, "ipv4 pool is empty"},
		{"x", o{EnableIPv4: &no, EnableIPv6: &yes, IPAM: &dockernetwork.IPAM{Driver: "null"}}, "ipv6 pool is empty"},
		{"x", o{IPAM: &dockernetwork.IPAM{Driver: "nope"}}, `plugin "nope" not found`},
		{"x", o{IPAM: subnet("10.5.0.0/24")}, "invalid pool request: Pool overlaps with other one on this address space"},
		{"x", config(dockernetwork.IPAMConfig{Subnet: "10.5.0.0/16", IPRange: "10.5.8.0/24"}), "cannot create network <id> (br-<id>): conflicts with network " + lan.ID + " (" + lan.Bridge + "): networks have overlapping IPv4"},
		{"x", o{IPAM: subnets(dockernetwork.IPAMConfig{Subnet: "10.6.0.0/24"}, dockernetwork.IPAMConfig{Subnet: "10.7.0.0/24"})}, "bridge driver doesn't support multiple subnets"},
		{"x", o{IPAM: subnets(dockernetwork.IPAMConfig{Subnet: "10.6.0.0/24"}, dockernetwork.IPAMConfig{Subnet: "10.6.0.0/16"})}, "invalid pool request: Pool overlaps with other one on this address space"},
		{"x", o{IPAM: subnet("10.30.0.1/24")}, "invalid network config:\ninvalid subnet 10.30.0.1/24: it should be 10.30.0.0/24"},
		{"x", o{IPAM: subnet("10.30.0.0/33")}, "invalid network config:\ninvalid subnet 10.30.0.0/33: invalid CIDR block notation"},
		{"x", config(dockernetwork.IPAMConfig{Subnet: "10.30.0.0/24", Gateway: "10.31.0.1"}), "invalid network config:\ninvalid gateway 10.31.0.1: parent subnet 10.30.0.0/24 doesn't contain this address"},
		{"x", config(dockernetwork.IPAMConfig{Subnet: "10.30.0.0/24", Gateway: "10.30.0.0"}), "failed to allocate gateway (10.30.0.0): Address already in use"},
		{"x", config(dockernetwork.IPAMConfig{Subnet: "10.30.0.0/24", Gateway: "10.30.0.255"}), "failed to allocate gateway (10.30.0.255): Address already in use"},
		{"x", config(dockernetwork.IPAMConfig{Subnet: "10.30.0.0/24", AuxAddress: map[string]string{"x": "10.30.0.1"}}), "failed to allocate secondary ip address (x:10.30.0.1): Address already in use"},
		{"x", config(dockernetwork.IPAMConfig{Subnet: "10.30.0.0/24", AuxAddress: map[string]string{"a": "10.30.0.9", "b": "10.30.0.9"}}), "failed to allocate secondary ip address (b:10.30.0.9): Address already in use"},
		{"x", o{EnableIPv6: &yes, IPAM: subnet("ff02::/64")}, "multicast subnet 'ff02::1/64' is not allowed"},
		{"x", o{EnableIPv6: &yes, IPAM: subnet("::/0")}, "ipv6 pool is empty"},
		{"x", o{EnableIPv6: &yes, IPAM: subnet("::ffff:10.9.0.0/112")}, "'::ffff:10.9.0.1/112' is not a valid IPv6 subnet"},
		{"x", o{EnableIPv6: &yes, IPAM: subnet("fe80::/80")}, "'fe80::1/80' clashes with the Link-Local prefix 'fe80::/64'"},
		{"x", o{Internal: true, IPAM: subnets(dockernetwork.IPAMConfig{Subnet: "10.30.0.0/24", AuxAddress: map[string]string{"DefaultGatewayIPv4": "10.30.0.9"}})}, "no gateway can be set on an internal bridge network"},
		{"x", option(optMTU, "abc"), `failed to parse com.docker.network.driver.mtu value: abc (strconv.Atoi: parsing "abc": invalid syntax)`},
		{"x", option(optMTU, "-1"), "invalid MTU number: -1"},
		{"x", option(optICC, "perhaps"), `failed to parse com.docker.network.bridge.enable_icc value: perhaps (strconv.ParseBool: parsing "perhaps": invalid syntax)`},
		{"x", option(optBinding, "foo"), "failed to parse com.docker.network.bridge.host_binding_ipv4 value: foo (nil ip)"},
		{"x", option(optGatewayMode4, "foo"), "failed to parse com.docker.network.bridge.gateway_mode_ipv4 value: foo (unknown gateway mode foo)"},
		{"x", option(optGatewayMode4, "isolated"), "gateway mode 'isolated' can only be used for an internal network"},
		{"x", option(optGatewayMode4, "routed"), "failed to parse com.docker.network.bridge.gateway_mode_ipv4 value: routed (containers are reached from outside by published ports only; glassbox knows the modes nat and isolated)"},
		{"x", option(optTrusted, "eth0"), "failed to parse com.docker.network.bridge.trusted_host_interfaces value: eth0 (published ports are reached by the host's addresses only)"},
		{"x", option(optBridgeName, "a-name-that-is-far-too-long"), "numerical result out of range"},
		{"x", option(optBridgeName, "br0"), "cannot create network <id> (br0): conflicts with network " + br0.ID + " (br0): networks have same bridge name"},
		{"x", o{ConfigOnly: true, Internal: true}, "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported."},
		{"x", o{ConfigOnly: true, ConfigFrom: &dockernetwork.ConfigReference{Network: "template"}}, "a configuration network cannot depend on another configuration network"},
		{"x", o{ConfigFrom: &dockernetwork.ConfigReference{Network: "lan"}}, `configuration network "lan" does not exist`},
		{"x", o{ConfigFrom: &dockernetwork.ConfigReference{Network: "template"}, IPAM: subnet("10.8.0.0/24")}, "user specified configurations are not supported if the network depends on a configuration network"},
		{"x", o{ConfigFrom: &dockernetwork.ConfigReference{Network: "template"}, Options: map[string]string{"a": "b"}}, "network driver options are not supported if the network depends on a configuration network"},
		{"x", o{Driver: "macvlan", Options: map[string]string{"macvlan_mode": "foo"}}, "requested macvlan mode 'foo' is not valid, 'bridge' mode is the macvlan driver default"},
		{"x", o{Driver: "macvlan", Options: map[string]string{"parent": "lo"}}, "loopback interface is not a valid macvlan parent link"},
		{"x", o{Driver: "macvlan", Options: map[string]string{"parent": "nothere"}}, "invalid subinterface vlan name nothere, example formatting is eth0.10"},
		{"x", o{Driver: "ipvlan", Options: map[string]string{"ipvlan_mode": "foo"}}, "requested ipvlan mode 'foo' is not valid, 'l2' mode is the ipvlan driver default"},
		{"x", o{Driver: "ipvlan", Options: map[string]string{"ipvlan_flag": "foo"}}, "requested ipvlan flag 'foo' is not valid, 'bridge' is the ipvlan driver default"},
	} {
		r, err := n.admitted(test.name, test.o)
		want := test.want
		if r != nil {
			want = strings.ReplaceAll(strings.Replace(want, "br-<id>", "br-"+r.short(), 1), "<id>", r.ID)
		}
		if err == nil || err.Error() != want {
			t.Errorf("network create %q %+v:\n%v\nwant\n%s", test.name, test.o, err, want)
		}
	}
}

// What Docker shows of the same networks.
func TestNetworksAsInspectShowsThem(t *testing.T) {
	n := paper(t)
	yes := true
	for _, test := range []struct {
		name string
		o    dockernetwork.CreateOptions
		want string // IPAM.Config
	}{
		{"asked", dockernetwork.CreateOptions{IPAM: subnet("10.5.0.0/16")}, `[{"Subnet":"10.5.0.0/16"}]`},
		{"mixed", dockernetwork.CreateOptions{EnableIPv6: &yes, IPAM: subnets(dockernetwork.IPAMConfig{Subnet: "fd01::/64", Gateway: "fd01::9", AuxAddress: map[string]string{"a": "fd01::a"}})},
			`[{"Subnet":"fd01::/64","Gateway":"fd01::9","AuxiliaryAddresses":{"a":"fd01::a"}},{"Subnet":"<4>","Gateway":"<g4>"}]`},
		{"unused", dockernetwork.CreateOptions{IPAM: subnet("fd02::/64")}, `[{"Subnet":"fd02::/64"},{"Subnet":"<4>","Gateway":"<g4>"}]`},
		{"both", dockernetwork.CreateOptions{EnableIPv6: &yes}, `[{"Subnet":"<4>","Gateway":"<g4>"},{"Subnet":"<6>","Gateway":"<g6>"}]`},
		{"alone", dockernetwork.CreateOptions{Internal: true, Options: map[string]string{optGatewayMode4: "isolated"}}, `[{"Subnet":"<4>"}]`},
		{"internal", dockernetwork.CreateOptions{Internal: true}, `[{"Subnet":"<4>","Gateway":"<g4>"}]`},
		{"wire", dockernetwork.CreateOptions{Driver: "macvlan"}, `[{"Subnet":"<4>"}]`},
		{"template", dockernetwork.CreateOptions{ConfigOnly: true, IPAM: subnet("10.9.0.0/24")}, `[{"Subnet":"10.9.0.0/24"}]`},
		{"follower", dockernetwork.CreateOptions{ConfigFrom: &dockernetwork.ConfigReference{Network: "template"}}, `[{"Subnet":"10.9.0.0/24"}]`},
		{"host", dockernetwork.CreateOptions{}, `null`},
	} {
		r, err := n.named(test.name)
		if r == nil {
			r = n.keep(t, test.name, test.o)
		}
		shown, err := json.Marshal(r.summary().IPAM.Config)
		if err != nil {
			t.Fatal(err)
		}
		want := test.want
		for _, p := range r.Pools {
			family := "4"
			if p.v6() {
				family = "6"
			}
			want = strings.ReplaceAll(want, "<"+family+">", p.Subnet.String())
			want = strings.ReplaceAll(want, "<g"+family+">", p.Gateway.String())
		}
		if string(shown) != want {
			t.Errorf("%s: %s, want %s", test.name, shown, want)
		}
	}
	all, err := n.List(filters.NewArgs())
	if err != nil || len(all) != 12 || all[0].Name != "alone" {
		t.Errorf("%d networks listed, %v", len(all), err)
	}
}

func TestSubnetsDoNotMeet(t *testing.T) {
	n := paper(t)
	yes := true
	var all []netip.Prefix
	for i := range 20 {
		r := n.keep(t, fmt.Sprintf("net%d", i), dockernetwork.CreateOptions{EnableIPv6: &yes})
		for _, s := range r.subnets() {
			if i := slices.IndexFunc(all, s.Overlaps); i >= 0 {
				t.Errorf("%s has %s, and somebody has %s", r.Name, s, all[i])
			}
			all = append(all, s)
		}
	}
	if bits := all[1].Bits(); bits != 64 || !netip.MustParsePrefix("fd00::/8").Contains(all[1].Addr()) {
		t.Errorf("IPv6 subnet %s", all[1])
	}
}

func TestPoolsAreExhausted(t *testing.T) {
	a := &allotment{r: &networkRecord{}}
	for _, s := range []string{"172.16.0.0/12", "192.168.0.0/16"} {
		a.others = append(a.others, addressPool{Subnet: netip.MustParsePrefix(s)})
	}
	if err := a.family(false, nil); err == nil || err.Error() != "all predefined address pools have been fully subnetted" {
		t.Error(err)
	}
}

func (n *Networks) given(t testing.TB, r *networkRecord, container string, want ...string) string {
	t.Helper()
	var wants [2]netip.Addr
	for i, w := range want {
		wants[i], _ = netip.ParseAddr(w)
	}
	got, err := n.reserve(r, container, wants[0], wants[1])
	if err != nil {
		return err.Error()
	}
	return strings.Trim(fmt.Sprint(got), "[]")
}

func TestAddresses(t *testing.T) {
	n := paper(t)
	yes := true
	r := n.keep(t, "lan", dockernetwork.CreateOptions{EnableIPv6: &yes, IPAM: subnets(
		dockernetwork.IPAMConfig{Subnet: "10.5.0.0/29", AuxAddress: map[string]string{"printer": "10.5.0.3"}},
		dockernetwork.IPAMConfig{Subnet: "fd05::/64", Gateway: "fd05::2"})})
	a, b, c, d := n.running(t), n.running(t), n.running(t), n.running(t)
	for _, step := range []struct{ got, want string }{
		{n.given(t, r, a), "10.5.0.2/29 fd05::1/64"},
		{n.given(t, r, b), "10.5.0.4/29 fd05::3/64"},
		{n.given(t, r, c, "10.5.0.6", "fd05::99"), "10.5.0.6/29 fd05::99/64"},
		{n.given(t, r, d, "10.5.0.6"), "Address already in use"},
		{n.given(t, r, d, "10.5.0.1"), "Address already in use"},
		{n.given(t, r, d, "10.5.0.3"), "Address already in use"},
		{n.given(t, r, d, "10.5.0.7"), "Address already in use"},
		{n.given(t, r, d, "", "fd05::2"), "Address already in use"},
		{n.given(t, r, d, "10.6.0.1"), "invalid address 10.6.0.1: It does not belong to any of this network's subnets"},
		{n.given(t, r, d), "10.5.0.5/29 fd05::4/64"},
		{n.given(t, r, n.running(t)), "no available IPv4 addresses on this network's address pools: lan (" + r.ID + ")"},
	} {
		if step.got != step.want {
			t.Errorf("%s, want %s", step.got, step.want)
		}
	}
	if err := n.release(r, a); err != nil {
		t.Fatal(err)
	}
	if err := n.release(r, b, netip.MustParsePrefix("10.5.0.6/29")); err != nil { // not b's
		t.Fatal(err)
	}
	if got := n.given(t, r, n.running(t)); got != "10.5.0.2/29 fd05::1/64" {
		t.Errorf("after a release: %s", got)
	}
	left, err := r.place.Addresses().All()
	if err != nil || len(left) != 8 {
		t.Errorf("claimed: %v, %v", left, err)
	}
}

// running is the id of a container that is being started: somebody holds its lock.
func (n *Networks) running(t testing.TB) string {
	t.Helper()
	id := store.NewID()
	lock, err := n.root.Container(id).Make()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Release() })
	return id
}

func TestWaysOut(t *testing.T) {
	n := paper(t)
	ipam := subnets(dockernetwork.IPAMConfig{Subnet: "10.5.0.0/24", Gateway: "10.5.0.254", AuxAddress: map[string]string{"DefaultGatewayIPv4": "10.5.0.9"}})
	for i, test := range []struct {
		o       dockernetwork.CreateOptions
		route   string
		bridge  string
		closed  bool
		unaided bool // the subnet is somebody's choice, the gateway not
	}{
		{o: dockernetwork.CreateOptions{}, route: "10.5.0.9", bridge: "10.5.0.254/24"},
		{o: option(optInhibit4, "true"), route: "10.5.0.9"},
		{o: dockernetwork.CreateOptions{Internal: true}, bridge: "10.5.0.1/24", closed: true, unaided: true},
		{o: dockernetwork.CreateOptions{Internal: true, Options: map[string]string{optGatewayMode4: "isolated"}}, closed: true, unaided: true},
		{o: dockernetwork.CreateOptions{Driver: "macvlan", Options: map[string]string{"parent": ""}}, closed: true},
		{o: dockernetwork.CreateOptions{Driver: "ipvlan", Options: map[string]string{"ipvlan_mode": "l3"}}, closed: true},
	} {
		if test.o.IPAM = ipam; test.unaided {
			test.o.IPAM = subnet("10.5.0.0/24")
		}
		r, err := n.admitted(fmt.Sprint("net", i), test.o)
		if err != nil {
			t.Errorf("%+v: %v", test.o, err)
			continue
		}
		route := ""
		if g := r.gateway(netip.MustParseAddr("10.5.0.7")); g.IsValid() {
			route = g.String()
		}
		if bridge := strings.Trim(fmt.Sprint(r.bridge().Addresses), "[]"); route != test.route || r.Bridge != "" && bridge != test.bridge {
			t.Errorf("%+v: route %s, bridge %s, want %s, %s", test.o, route, bridge, test.route, test.bridge)
		}
		if r.closed() != test.closed || r.direct() {
			t.Errorf("%+v: closed %v, direct %v", test.o, r.closed(), r.direct())
		}
	}
	direct := &networkRecord{Driver: "ipvlan", Options: map[string]string{"parent": "eth0", "ipvlan_mode": "l3s"}, Pools: []addressPool{{Subnet: netip.MustParsePrefix("10.5.0.0/24"), Gateway: netip.MustParseAddr("10.5.0.1")}}}
	if g := direct.gateway(netip.MustParseAddr("10.5.0.7")); !direct.direct() || direct.closed() || g.IsValid() {
		t.Errorf("ipvlan in layer 3: %v, %v, gateway %s", direct.direct(), direct.closed(), g)
	}
}

func TestAddressesOfTheDead(t *testing.T) {
	n := paper(t)
	r := n.keep(t, "lan", dockernetwork.CreateOptions{IPAM: subnet("10.5.0.0/30")})
	gone := store.NewID()
	if got := n.given(t, r, gone); got != "10.5.0.2/30" {
		t.Fatal(got)
	}
	if got := n.given(t, r, n.running(t)); got != "10.5.0.2/30" {
		t.Errorf("the last address was a dead container's: %s", got)
	}
	// After a reboot nobody runs, and the lowest address is given again though others are free.
	wide := n.keep(t, "wide", dockernetwork.CreateOptions{IPAM: subnet("10.6.0.0/24")})
	for range 5 {
		n.given(t, wide, store.NewID())
	}
	if err := os.RemoveAll(wide.place.Run); err != nil {
		t.Fatal(err)
	}
	if got := n.given(t, wide, n.running(t)); got != "10.6.0.2/24" {
		t.Errorf("after a reboot: %s", got)
	}
	if left, err := wide.place.Addresses().All(); err != nil || len(left) != 1 {
		t.Errorf("claimed after a reboot: %v, %v", left, err)
	}
}

func TestAddressesFromARange(t *testing.T) {
	n := paper(t)
	r := n.keep(t, "lan", dockernetwork.CreateOptions{IPAM: subnets(dockernetwork.IPAMConfig{Subnet: "10.5.0.0/16", IPRange: "10.5.7.0/24"})})
	if g := r.Pools[0].Gateway.String(); g != "10.5.7.0" {
		t.Errorf("gateway %s, Docker takes the first address of the range", g)
	}
	if got := n.given(t, r, n.running(t)); got != "10.5.7.1/16" {
		t.Error(got)
	}
	if got := n.given(t, r, n.running(t), "10.5.99.1"); got != "10.5.99.1/16" {
		t.Errorf("outside of the range: %s", got)
	}
}

func TestAddressesAtOnce(t *testing.T) {
	n := paper(t)
	r := n.keep(t, "lan", dockernetwork.CreateOptions{IPAM: subnet("10.5.0.0/16")})
	const each, all = 25, 8 * 25
	given := make(chan string, all)
	for range all / each {
		go func() {
			for range each {
				given <- n.given(t, r, n.running(t))
			}
		}()
	}
	seen := map[string]bool{}
	for range all {
		seen[<-given] = true
	}
	for i := 2; i < all+2; i++ {
		if a := fmt.Sprintf("10.5.%d.%d/16", i/256, i%256); !seen[a] {
			t.Errorf("nobody got %s", a)
		}
	}
}

// The two hundredth container claims its address about as fast as the second.
func TestManyAddresses(t *testing.T) {
	n := paper(t)
	r := n.keep(t, "lan", dockernetwork.CreateOptions{IPAM: subnet("10.5.0.0/16")})
	claim := func(i int) time.Duration {
		began := time.Now()
		if got, want := n.given(t, r, store.NewID()), fmt.Sprintf("10.5.%d.%d/16", i/256, i%256); got != want {
			t.Errorf("container %d got %s, want %s", i-1, got, want)
		}
		return time.Since(began)
	}
	var early, late []time.Duration
	for i := 2; i < 302; i++ {
		took := claim(i)
		switch {
		case i < 52:
			early = append(early, took)
		case i > 251:
			late = append(late, took)
		}
	}
	slices.Sort(early)
	slices.Sort(late)
	if a, b := early[len(early)/2], late[len(late)/2]; b > a+500*time.Microsecond {
		t.Errorf("the first claims took %s, the last %s", a, b)
	}
}

func TestRefs(t *testing.T) {
	n := paper(t)
	one := n.keep(t, "one", dockernetwork.CreateOptions{})
	odd := n.keep(t, "a/b %2F", dockernetwork.CreateOptions{})
	dot := n.keep(t, "..", dockernetwork.CreateOptions{})
	cuckoo := n.keep(t, one.ID[:6], dockernetwork.CreateOptions{})
	for ref, want := range map[string]*networkRecord{
		"one": one, one.ID: one, one.ID[:12]: one, "a/b %2F": odd, "..": dot, one.ID[:6]: cuckoo, /* names before prefixes */
	} {
		if got, err := n.load(ref); err != nil || got.ID != want.ID {
			t.Errorf("load(%q): %v, %v", ref, got, err)
		}
	}
	for _, tail := range []string{"1", "2"} {
		twin := n.draft("twin" + tail)
		twin.ID, twin.Driver = "abcd"+strings.Repeat(tail, 60), driverNull
		twin.place = n.root.Network(twin.ID)
		lock, err := twin.place.Make()
		if err == nil {
			err = errors.Join(twin.save(), lock.Release())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if r, err := n.load("twin1"); err != nil || r.Name != "twin1" {
		t.Errorf("a document whose name nobody claims: %v, %v", r, err)
	}
	for ref, want := range map[string]string{
		"abcd": "network abcd is ambiguous (2 matches found based on ID prefix)",
		"nope": "network nope not found", strings.Repeat("0", 64): "network " + strings.Repeat("0", 64) + " not found",
		"": "invalid network name or ID: value is empty", "a/b": "network a/b not found",
	} {
		if _, err := n.load(ref); err == nil || err.Error() != want {
			t.Errorf("load(%q): %v, want %s", ref, err, want)
		}
	}
}

func TestNetworkFilters(t *testing.T) {
	n := paper(t)
	n.keep(t, "front", dockernetwork.CreateOptions{Labels: map[string]string{"tier": "front"}})
	n.keep(t, "back", dockernetwork.CreateOptions{Labels: map[string]string{"tier": "back"}, Internal: true})
	n.keep(t, "wire", dockernetwork.CreateOptions{Driver: "macvlan"})
	for _, test := range []struct{ filter, want string }{
		{"", "back bridge front host none wire"},
		{"driver=macvlan", "wire"}, {"driver=bridge driver=null", "back bridge front none"},
		{"label=tier", "back front"}, {"label=tier=back", "back"}, {"name=ro", "front"}, {"name=^ho", "host"},
		{"scope=local name=wire", "wire"}, {"scope=swarm", ""}, {"type=custom", "back front wire"}, {"type=builtin", "bridge host none"},
		{"dangling=1", "back front wire"}, {"dangling=false", "bridge host none"},
		{"dangling=perhaps", `invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")`},
		{"dangling=1 dangling=0", `got more than one value for filter key "dangling"`},
		{"type=foo", "invalid filter: 'type'='foo'"}, {"bogus=1", "invalid filter 'bogus'"},
	} {
		f := filters.NewArgs()
		for part := range strings.FieldsSeq(test.filter) {
			k, v, _ := strings.Cut(part, "=")
			f.Add(k, v)
		}
		all, err := n.List(f)
		var names []string
		for _, s := range all {
			names = append(names, s.Name)
		}
		got := strings.Join(names, " ")
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.filter, got, test.want)
		}
	}
}

func TestDamagedNetwork(t *testing.T) {
	n := paper(t)
	var said []string
	n.Warn = func(message string) { said = append(said, message) }
	r := n.keep(t, "lan", dockernetwork.CreateOptions{})
	if err := os.WriteFile(r.place.Document(), []byte(`{"ID":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := n.List(filters.NewArgs()); err != nil || len(all) != 3 || len(said) != 1 {
		t.Errorf("%d networks, %v, said %q", len(all), err, said)
	}
	if _, err := n.load("lan"); !Is(err, NotFound) {
		t.Error(err)
	}
	n.keep(t, "lan2", dockernetwork.CreateOptions{})
	if _, err := n.admitted("lan", dockernetwork.CreateOptions{}); err != nil {
		t.Errorf("the name stays taken: %v", err)
	}
}
