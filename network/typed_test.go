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
	return settled(t, func() string { return masked(state(t, c)) })
}

// settled looks until the kernel has done what it leaves to its work queues, such as the routes of IPv6 addresses.
func settled(t *testing.T, look func() string) string {
	t.Helper()
	before := look()
	for range 10 {
		time.Sleep(50 * time.Millisecond)
		now := look()
		if now == before {
			return now
		}
		t.Logf("not settled yet: %s", diff.Diff("before", []byte(before), "now", []byte(now)))
		before = now
	}
	return before
}

// look prints the addresses, routes and settings of a place: of the settings those that we may set, of all interfaces.
const look = `ip -d addr; ip route show table all; bridge -d link
cd /proc/sys/net/ipv4/conf; grep . */route_localnet */log_martians */arp_notify
cd ../../ipv6/conf; grep . */accept_ra */disable_ipv6 */ndisc_notify`

func state(t *testing.T, c container) string {
	t.Helper()
	var all strings.Builder
	for _, place := range [][]string{{"host", "sh", "-c", look}, {"container", "nsenter", "-t", c.pid, "-n", "sh", "-c", look}} {
		out, err := exec.Command(place[1], place[2:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", place, err, out)
		}
		all.WriteString(place[0] + ":\n" + string(out))
	}
	return all.String()
}

// masks leave out what comes and goes by itself: link-local addresses and their routes, carriers, random hardware addresses, the
// age of things. Hardware addresses that go with IP addresses begin with 02:42.
var masks = []struct {
	pattern *regexp.Regexp
	to      string
}{
	{regexp.MustCompile(`(?m)^.*(fe80|ff00::).*\n(.*valid_lft.*\n)?`), ""},
	{regexp.MustCompile(`linkdown|,?NO-CARRIER,?|,LOWER_UP|,M-DOWN`), ""},
	{regexp.MustCompile(`state [A-Za-z]+`), "state S"},
	{regexp.MustCompile(`[0-9a-f]{4}\.[0-9a-f:]+`), "ID"},
	{regexp.MustCompile(`([a-z_]*timer|gc_interval|tcn|topology_change_detected) +[0-9.]+`), ""},
	{regexp.MustCompile(` +`), " "},
	{regexp.MustCompile(`(?m) $`), ""},
}

var hardware = regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}`)

func masked(s string) string {
	for _, m := range masks {
		s = m.pattern.ReplaceAllString(s, m.to)
	}
	return hardware.ReplaceAllStringFunc(s, func(mac string) string {
		if strings.HasPrefix(mac, "02:42:") {
			return mac
		}
		return "RANDOM"
	})
}
