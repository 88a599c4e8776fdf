package engine

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"glassbox/network"
	"glassbox/store"

	"github.com/docker/docker/api/types/container"
)

func TestHosts(t *testing.T) {
	at := func(addresses ...string) *wiring {
		var i network.Interface
		for _, a := range addresses {
			i.Addresses = append(i.Addresses, netip.MustParsePrefix(a))
		}
		return &wiring{Endpoints: []endpoint{{Interface: i}}}
	}
	c := &Containers{}
	for _, test := range []struct {
		k    container.Config
		h    container.HostConfig
		w    *wiring
		want string
	}{
		{container.Config{Hostname: "box"}, container.HostConfig{}, nil, ""},
		{container.Config{Hostname: "box"}, container.HostConfig{}, at("10.0.0.2/24", "169.254.1.1/16", "fd00::2/64"), "10.0.0.2\tbox\nfd00::2\tbox\n"},
		{container.Config{Hostname: "a.b.c"}, container.HostConfig{}, at("10.0.0.2/24"), "10.0.0.2\ta.b.c a\n"},
		{container.Config{Hostname: "box", Domainname: "example.org"}, container.HostConfig{}, at("10.0.0.2/24"), "10.0.0.2\tbox.example.org box\n"},
		{container.Config{Hostname: "box"}, container.HostConfig{ExtraHosts: []string{"x:1.2.3.4", "y:[::5]"}}, at("10.0.0.2/24"), "1.2.3.4\tx\n::5\ty\n10.0.0.2\tbox\n"},
		{container.Config{Hostname: "box"}, container.HostConfig{NetworkMode: "host", ExtraHosts: []string{"x:1.2.3.4"}}, nil, "1.2.3.4\tx\n"},
	} {
		r := &record{Config: &test.k, HostConfig: &test.h}
		got, err := c.hosts(r, test.w)
		if want := localHosts4 + localHosts6 + test.want; got != want || err != nil {
			t.Errorf("%+v: %v\n%s\nwant\n%s", test.k, err, got, want)
		}
		test.h.Sysctls = map[string]string{"net.ipv6.conf.all.disable_ipv6": "1"}
		if got, err := c.hosts(r, test.w); strings.Contains(got, "::") || err != nil {
			t.Errorf("without IPv6: %v\n%s", err, got)
		}
	}
}

func TestHostsOfRunningContainer(t *testing.T) {
	r := &record{Config: &container.Config{Hostname: "box"}, HostConfig: &container.HostConfig{}, place: store.Place{Dir: t.TempDir()}}
	const own = "127.0.0.1\tlocalhost\n9.9.9.9\tits-own\n"
	if err := os.WriteFile(r.place.Hosts(), []byte(own), 0o644); err != nil {
		t.Fatal(err)
	}
	e := &endpoint{Interface: network.Interface{Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}}}
	for _, step := range []struct {
		there bool
		want  string
	}{{true, own + "10.0.0.2\tbox\n"}, {false, own}} {
		if err := r.rewriteHosts(e, step.there); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(r.place.Hosts()); string(got) != step.want || err != nil {
			t.Errorf("%v\n%s", err, got)
		}
	}
}

func TestReaddress(t *testing.T) {
	path := t.TempDir() + "/hosts"
	if err := os.WriteFile(path, []byte("127.0.0.1\tlocalhost\n10.0.0.2\tbase id db\nfd00::2\tbase id db\n10.0.0.9\tbaseless\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	e := &endpoint{Interface: network.Interface{Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.7/24")}}}
	if err := readdress(path, "base", e); err != nil {
		t.Fatal(err)
	}
	const want = "127.0.0.1\tlocalhost\n10.0.0.7\tbase id db\nfd00::2\tbase id db\n10.0.0.9\tbaseless\n"
	if got, err := os.ReadFile(path); string(got) != want || err != nil {
		t.Errorf("%v\n%s", err, got)
	}
}
