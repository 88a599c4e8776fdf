package network

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
)

func TestFree(t *testing.T) {
	vpn := prefixes("172.16.0.0/12")
	for name, x := range map[string]struct {
		pools []Pool
		taken []netip.Prefix
		want  string
	}{
		"the first":                    {DefaultPools(), nil, "172.17.0.0/16"},
		"a route inside the first":     {DefaultPools(), prefixes("172.17.200.0/24"), "172.18.0.0/16"},
		"a host route":                 {DefaultPools(), prefixes("172.17.0.1/32", "172.18.255.255/32"), "172.19.0.0/16"},
		"the fourth is four":           {DefaultPools(), prefixes("172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16", "172.20.0.0/16", "172.22.0.0/16"), "172.21.0.0/16"},
		"a wide route":                 {DefaultPools(), vpn, "192.168.0.0/20"},
		"in no order, twice":           {DefaultPools(), append(prefixes("192.168.16.0/20", "192.168.1.0/24", "192.168.1.0/24"), vpn...), "192.168.32.0/20"},
		"not masked":                   {DefaultPools(), prefixes("172.17.5.5/16"), "172.18.0.0/16"},
		"a route before the pool":      {[]Pool{{netip.MustParsePrefix("10.1.0.0/16"), 24}}, prefixes("10.0.0.0/16", "9.0.0.0/8"), "10.1.0.0/24"},
		"IPv6 is not in IPv4's way":    {DefaultPools(), prefixes("::/1", "fd00::/8"), "172.17.0.0/16"},
		"IPv6":                         {[]Pool{{netip.MustParsePrefix("fd00:1:2::/48"), 64}}, prefixes("fd00:1:2::/64", "fd00:1:2:1::5/128"), "fd00:1:2:2::/64"},
		"of as many as atoms":          {[]Pool{{netip.MustParsePrefix("fd00::/8"), 127}}, prefixes("fd00::/9"), "fd80::/127"},
		"the pool is one":              {[]Pool{{netip.MustParsePrefix("255.255.255.0/24"), 24}}, prefixes("255.255.255.255/32"), ""},
		"all taken":                    {DefaultPools(), append(vpn, prefixes("192.168.0.0/16")...), ""},
		"the end of all addresses":     {[]Pool{{netip.MustParsePrefix("255.255.0.0/16"), 17}}, prefixes("255.255.128.0/17", "255.255.0.0/17"), ""},
		"the last piece of a pool":     {[]Pool{{netip.MustParsePrefix("10.0.0.0/30"), 32}}, prefixes("10.0.0.0/31", "10.0.0.2/32"), "10.0.0.3/32"},
		"a small route then the piece": {[]Pool{{netip.MustParsePrefix("10.0.0.0/8"), 24}}, prefixes("10.0.0.64/26", "10.0.1.0/24", "10.0.3.0/24"), "10.0.2.0/24"},
	} {
		got, err := Free(x.pools, x.taken)
		if x.want == "" {
			if !errors.Is(err, ErrExhausted) {
				t.Errorf("%s: %v, %v", name, got, err)
			}
			continue
		}
		if err != nil || got.String() != x.want {
			t.Errorf("%s: %v, %v; want %s", name, got, err, x.want)
		}
	}
}

// Docker has 31 networks' worth of default pools: three, three times four, sixteen.
func TestFreeUntilExhausted(t *testing.T) {
	var taken []netip.Prefix
	for {
		p, err := Free(DefaultPools(), taken)
		if err != nil {
			break
		}
		if slices.ContainsFunc(taken, p.Overlaps) {
			t.Fatalf("%s is taken", p)
		}
		taken = append(taken, p)
	}
	if len(taken) != 31 {
		t.Errorf("%d networks", len(taken))
	}
}

func BenchmarkFreeAmongFiveHundred(b *testing.B) {
	pools := []Pool{{netip.MustParsePrefix("10.0.0.0/8"), 24}}
	var taken []netip.Prefix
	for range 500 {
		p, _ := Free(pools, taken)
		taken = append(taken, p)
	}
	for b.Loop() {
		Free(pools, taken)
	}
}

// The pool is what Docker 28.5.2's TestDeriveULABaseNetwork expects for these ids.
func TestUniqueLocalPool(t *testing.T) {
	for id, want := range map[string]string{"": "fd42:98fc:1c14::/48", "499d4bc0-b0b3-416f-b1ee-cf6486315593": "fd62:fb69:18af::/48"} {
		if got := UniqueLocalPool(id); got.Base.String() != want || got.Size != 64 {
			t.Errorf("%q: %v, want %s", id, got, want)
		}
	}
}

func TestCandidates(t *testing.T) {
	for _, x := range []struct {
		subnet, within string
		want           []string
	}{
		{"10.0.0.0/29", "10.0.0.0/29", []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}},
		{"10.0.0.0/24", "10.0.0.252/30", []string{"10.0.0.252", "10.0.0.253", "10.0.0.254"}},
		{"10.0.0.0/24", "10.0.0.64/31", []string{"10.0.0.64", "10.0.0.65"}},
		{"10.0.0.0/31", "10.0.0.0/31", []string{"10.0.0.0", "10.0.0.1"}},
		{"10.0.0.7/32", "10.0.0.7/32", []string{"10.0.0.7"}},
		{"10.0.0.0/30", "10.0.0.0/16", []string{"10.0.0.1", "10.0.0.2"}},
		{"255.255.255.252/30", "255.255.255.252/30", []string{"255.255.255.253", "255.255.255.254"}},
		{"fd00::/126", "fd00::/126", []string{"fd00::1", "fd00::2", "fd00::3"}},
		{"fd00::/64", "fd00::ffff:0/127", []string{"fd00::ffff:0", "fd00::ffff:1"}},
	} {
		var got []string
		for a := range Candidates(netip.MustParsePrefix(x.subnet), netip.MustParsePrefix(x.within)) {
			got = append(got, a.String())
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("%s within %s: %v, want %v", x.subnet, x.within, got, x.want)
		}
	}
	n := 0
	for range Candidates(netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("fd00::/8")) { // without end, nearly
		if n++; n == 1000 {
			break
		}
	}
}

func TestHardwareAddresses(t *testing.T) {
	if got := HardwareAddressOf(netip.MustParseAddr("172.17.0.2")).String(); got != "02:42:ac:11:00:02" {
		t.Error(got)
	}
	seen := map[string]bool{}
	for n := range 2000 {
		six := netip.AddrFrom16([16]byte{0: 0xfd, 14: byte(n >> 8), 15: byte(n)})
		for _, m := range []string{HardwareAddressOf(six).String(), HardwareAddress().String()} {
			if seen[m] || len(m) != 17 {
				t.Fatalf("%s again", m)
			}
			seen[m] = true
		}
		if m := HardwareAddress(); m[0]&3 != 2 {
			t.Fatalf("%s is not a local address of one interface", m)
		}
	}
}
