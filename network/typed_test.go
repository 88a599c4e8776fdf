package network

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"glassbox/program"

	"github.com/rogpeppe/go-internal/diff"
)

// scene is a host with a bridge and a container on it, in all that an account can tell of them.
type scene struct {
	name     string
	before   string // commands on the host
	requests func(t *testing.T, n *Namespace) []program.Request
}

const bridgeByHand = "ip link add glassbox0 type bridge; ip link set glassbox0 up"

var scenes = []scene{
	{name: "a bridge and a member", requests: func(t *testing.T, n *Namespace) []program.Request {
		i := member(1)
		i.MTU, i.Sysctls = 1400, map[string]string{"net.ipv4.conf.eth0.log_martians": "1"}
		return append(lacks(t, bridge()), i.Plug(n)...)
	}},
	{name: "IPv4 only, with another MTU", requests: func(t *testing.T, n *Namespace) []program.Request {
		i := member(1)
		i.Addresses, i.Gateways = prefixes("10.0.0.2/31"), nil
		return append(lacks(t, Bridge{Name: "glassbox0", Addresses: prefixes("10.0.0.3/31"), MTU: 1300}), i.Plug(n)...)
	}},
	{name: "repairs", before: "ip link add glassbox0 type bridge; ip addr add 172.17.0.1/24 dev glassbox0; ip addr add fd00::9/64 dev glassbox0",
		requests: func(t *testing.T, n *Namespace) []program.Request { return lacks(t, bridge()) }},
	{name: "a hardware address that was asked for", before: bridgeByHand, requests: func(t *testing.T, n *Namespace) []program.Request {
		i := member(1)
		i.MAC[5]++
		return i.Plug(n)
	}},
	{name: "straight into the interface, and removed", before: bridgeByHand, requests: func(t *testing.T, n *Namespace) []program.Request {
		i, j := member(1), member(2)
		j.Name, j.Gateways, j.Addresses = "eth1", nil, prefixes("10.1.0.2/24", "fd01::2/64")
		out := append(i.Plug(n), j.Plug(n)...)
		out = append(out, reroute(n, nil, []Route{{Interface: "eth1"}})...)
		out = append(out, reroute(n, nil, []Route{{Interface: "eth1", IPv6: true}})...)
		out = append(out, reroute(n, []Route{{Interface: "eth1", IPv6: true}}, nil)...)
		return append(out, i.Unplug(n)...)
	}},
}

func lacks(t *testing.T, b Bridge) []program.Request {
	t.Helper()
	r, err := b.Raise()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What the account says could be typed, is typed, into another machine: it must come to look the same.
func TestTypedCommandsDoTheSame(t *testing.T) { compareScenes(t, scenes) }

func compareScenes(t *testing.T, scenes []scene) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			var asked, typed string
			t.Run("asked", func(t *testing.T) { asked = s.play(t, func(r program.Request) error { return r.Do() }) })
			t.Run("typed", func(t *testing.T) { typed = s.play(t, typeIn) })
			if asked != typed {
				t.Errorf("what was asked of the kernel and what was typed differ:\n%s", diff.Diff("asked", []byte(asked), "typed", []byte(typed)))
			}
		})
	}
}

func typeIn(r program.Request) error {
	out, err := exec.Command("sh", "-c", r.Call).CombinedOutput()
	if err != nil {
		return &program.HostFailure{Request: program.Request{Call: r.Call, Why: string(out)}, Err: err}
	}
	return nil
}

// play carries the scene out in one way, and returns what there is then.
func (s scene) play(t *testing.T, do func(program.Request) error) string {
	machine(t)
	if s.before != "" {
		if out, err := exec.Command("sh", "-c", s.before).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", s.before, err, out)
		}
	}
	c := newContainer(t)
	for _, r := range s.requests(t, c.Namespace) {
		if err := do(r); err != nil {
			t.Fatal(err)
		}
	}
	return settled(func() string { return masked(state(t, c)) })
}

// settled looks until the kernel has done what it leaves to its work queues, such as the routes of IPv6 addresses.
func settled(look func() string) string {
	before := look()
	for range 20 {
		time.Sleep(50 * time.Millisecond)
		now := look()
		if now == before {
			break
		}
		before = now
	}
	return before
}

// settings prints those that we may set, of all interfaces.
const settings = "grep -r . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf --include=route_localnet --include=log_martians --include=arp_notify" +
	" --include=accept_ra --include=disable_ipv6 --include=ndisc_notify"

func state(t *testing.T, c container) string {
	t.Helper()
	var all strings.Builder
	for _, command := range []string{"ip -d addr", "ip route show table all", settings} {
		all.WriteString("host: " + command + "\n" + run(t, command) + "container: " + command + "\n" + c.run(t, command))
	}
	all.WriteString(run(t, "bridge -d link"))
	return all.String()
}

// masked leaves out what comes and goes by itself: link-local addresses and their routes, carriers, random hardware addresses, the
// age of things. Hardware addresses that go with IP addresses begin with 02:42.
func masked(s string) string {
	for _, m := range [][2]string{
		{`(?m)^.*(fe80|ff00::).*\n(.*valid_lft.*\n)?`, ""},
		{`linkdown|,?NO-CARRIER,?|,LOWER_UP|,M-DOWN`, ""},
		{`state [A-Za-z]+`, "state S"},
		{`[0-9a-f]{4}\.[0-9a-f:]+`, "ID"},
		{`([a-z_]*timer|gc_interval|tcn|topology_change_detected) +[0-9.]+`, ""},
		{` +`, " "},
		{`(?m) $`, ""},
	} {
		s = regexp.MustCompile(m[0]).ReplaceAllString(s, m[1])
	}
	return regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}`).ReplaceAllStringFunc(s, func(mac string) string {
		if strings.HasPrefix(mac, "02:42:") {
			return mac
		}
		return "RANDOM"
	})
}
