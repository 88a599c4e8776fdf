package firewall

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"glassbox/program"
	"glassbox/test/need"
)

var (
	wide = Network{Bridge: "glassbox0", Subnets: []netip.Prefix{netip.MustParsePrefix("172.30.0.0/16"), netip.MustParsePrefix("fd30::/64")},
		Gateways: []netip.Addr{netip.MustParseAddr("172.30.0.1"), netip.MustParseAddr("fd30::1")}}
	fixed = Network{Bridge: "gb-fixed", Subnets: []netip.Prefix{netip.MustParsePrefix("172.31.0.0/24"), netip.MustParsePrefix("fd31::/64")},
		Gateways: []netip.Addr{netip.MustParseAddr("172.31.0.1")}, Sources: []netip.Addr{netip.MustParseAddr("10.9.0.77"), netip.MustParseAddr("fd09::77")}}
	inside1 = Network{Bridge: "gb-in", Subnets: []netip.Prefix{netip.MustParsePrefix("255.255.255.0/24")}, Internal: true, Isolated: true}
	first   = Member{Bridge: "glassbox0", Host: "veth1", MAC: net.HardwareAddr{2, 0x42, 0, 0, 0, 2},
		Addresses: []netip.Addr{netip.MustParseAddr("172.30.0.2"), netip.MustParseAddr("fd30::2")}}
	second = Member{Bridge: "gb-in", Host: "veth2", MAC: net.HardwareAddr{2, 0x42, 0, 0, 0, 3},
		Addresses: []netip.Addr{netip.MustParseAddr("255.255.255.7")}, Isolated: true}
	several = []Port{
		{"tcp", netip.MustParseAddrPort("0.0.0.0:8080"), netip.MustParseAddrPort("172.30.0.2:80"), "glassbox0"},
		{"tcp", netip.MustParseAddrPort("[::]:8080"), netip.MustParseAddrPort("[fd30::2]:80"), "glassbox0"},
		{"tcp", netip.MustParseAddrPort("10.9.0.1:8080"), netip.MustParseAddrPort("172.30.0.2:81"), "glassbox0"},
		{"udp", netip.MustParseAddrPort("127.0.0.1:5353"), netip.MustParseAddrPort("172.30.0.2:53"), "glassbox0"},
		{"sctp", netip.MustParseAddrPort("[fd09::1]:9"), netip.MustParseAddrPort("[fd30::2]:9"), "glassbox0"},
		{"tcp", netip.MustParseAddrPort("[::1]:8081"), netip.MustParseAddrPort("[fd30::2]:80"), "glassbox0"},
	}
	all = Desired{Networks: []Network{wide, fixed, inside1}, Members: []Member{first, second}, Ports: several}
)

func added(d Desired) *Batch {
	b := &Batch{}
	for _, n := range d.Networks {
		b.AddNetwork(n)
	}
	for _, m := range d.Members {
		b.AddMember(m)
	}
	for _, p := range d.Ports {
		b.Publish(p)
	}
	return b
}

func removed(d Desired) *Batch {
	b := &Batch{}
	for _, p := range d.Ports {
		b.Withdraw(p)
	}
	for _, m := range d.Members {
		b.RemoveMember(m)
	}
	for _, n := range d.Networks {
		b.RemoveNetwork(n)
	}
	return b
}

// sameAsTold compares what requests do with what they say: nft(8) in another namespace must come to the same.
func sameAsTold(t *testing.T, requests ...program.Request) {
	t.Helper()
	ours, theirs := newSpace(t), newSpace(t)
	for _, r := range requests {
		ours.do(t, r.Do)
		theirs.feed(t, r.Call)
	}
	equal(t, ours.ruleset(t), theirs.ruleset(t))
}

func equal(t *testing.T, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("line %d differs:\n%s\nand should be:\n%s", i+1, g[i], w[i])
		}
	}
	t.Fatalf("%d lines instead of %d:\n%s", len(g), len(w), got)
}

// TestToldIsDone holds what is sent against what is printed, byte for byte.
func TestToldIsDone(t *testing.T) {
	need.SecondKernel(t)
	t.Run("empty", func(t *testing.T) { sameAsTold(t, Rebuild(Desired{})) })
	t.Run("rebuild", func(t *testing.T) { sameAsTold(t, Rebuild(all)) })
	t.Run("add", func(t *testing.T) { sameAsTold(t, Rebuild(Desired{}), added(all).Request("", "")) })
	t.Run("again", func(t *testing.T) { sameAsTold(t, Rebuild(all), added(all).Request("", ""), Rebuild(all)) })
	t.Run("remove", func(t *testing.T) { sameAsTold(t, Rebuild(all), removed(all).Request("", "")) })
	t.Run("gone", func(t *testing.T) { sameAsTold(t, Rebuild(all), Remove(), Remove()) })
	t.Run("redirect", func(t *testing.T) {
		s, theirs := newSpace(t), newSpace(t)
		var r program.Request
		for range 2 {
			for _, r = range redirect(t, s.file, 4053, 4054) {
				if err := r.Do(); err != nil {
					t.Fatal(err)
				}
				theirs.feed(t, r.Call)
			}
		}
		equal(t, s.ruleset(t), theirs.ruleset(t))
		if err := r.Undo(); err != nil || s.ruleset(t) != "" {
			t.Fatalf("%v, left: %s", err, s.ruleset(t))
		}
	})
}

func TestMissing(t *testing.T) {
	s := newSpace(t)
	if err := s.enter(added(all).Request("", "").Do); !errors.Is(err, ErrNoTable) {
		t.Errorf("adding without a table: %v", err)
	}
	s.do(t, removed(all).Request("", "").Do)
	s.do(t, Rebuild(all).Do)
	before := s.ruleset(t)
	s.do(t, removed(all).Request("", "").Do)
	s.do(t, removed(all).Request("", "").Do)
	r := added(all).Request("", "")
	s.do(t, r.Do)
	equal(t, s.ruleset(t), before)
	s.do(t, r.Undo)
	s.do(t, Rebuild(Desired{}).Do)
}

// TestNamesWhatFailed: a message that the kernel refuses is told by what it was to make.
func TestNamesWhatFailed(t *testing.T) {
	s := newSpace(t)
	clash := Desired{Networks: []Network{wide, {Bridge: "gb-two", Subnets: prefixes("172.30.4.0/24")}}}
	if err := s.enter(Rebuild(clash).Do); err == nil || !strings.Contains(err.Error(), "elements of masquerade4") {
		t.Errorf("overlapping subnets: %v", err)
	}
	s.do(t, Rebuild(Desired{Networks: clash.Networks[:1]}).Do)
	err := s.enter(added(Desired{Networks: clash.Networks[1:]}).Request("", "").Do)
	if !errors.Is(err, ErrNoTable) || !strings.Contains(err.Error(), "add element inet glassbox masquerade4 { 172.30.4.0/24 }: overlaps") {
		t.Errorf("overlapping subnets: %v", err)
	}
}

// TestPresent takes away each chain's rules and must be noticed.
func TestPresent(t *testing.T) {
	s := newSpace(t)
	present := func() bool {
		var yes bool
		s.do(t, func() (err error) { yes, err = Present(); return })
		return yes
	}
	if present() {
		t.Error("present without a table")
	}
	for _, damage := range []string{"delete table inet glassbox", "delete table bridge glassbox", "flush chain inet glassbox ours",
		"add rule inet glassbox forward accept", "flush chain bridge glassbox sender",
		"add chain inet glassbox forward { policy drop; }", "add table inet glassbox { flags dormant; }", "flush ruleset"} {
		s.do(t, Rebuild(all).Do)
		if !present() {
			t.Fatal("missing after Rebuild")
		}
		s.feed(t, damage)
		if present() {
			t.Errorf("not noticed: %s", damage)
		}
	}
}
