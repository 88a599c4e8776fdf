package fields

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestNetDevices runs glassrun in a network namespace that stands for the host's. Its interface is one end of a veth pair: any kernel has those.
func TestNetDevices(t *testing.T) {
	unshare := need.Program(t, "unshare")
	for _, c := range []struct {
		name    string
		host    string // what the host has before
		devices map[string]specs.LinuxNetDevice
		edit    func(*specs.Spec)
		inside  string
		prints  string // inside, and then what is left on the host: d0 with its addresses, if it is there
		refused string
	}{
		{name: "moved and renamed", host: "ip addr add 192.0.2.7/24 brd 192.0.2.255 dev d0; ip addr add 2001:db8::7/64 dev d0 nodad; ip link set d0 up",
			devices: map[string]specs.LinuxNetDevice{"d0": {Name: "inner0"}},
			inside:  "ls /sys/class/net; cat /sys/class/net/inner0/flags; ip addr show inner0 | grep global | sed 's/ flags.*//; s/  *$//; s/^ *//'",
			prints:  "inner0\nlo\n0x1003\ninet 192.0.2.7/24 brd 192.0.2.255 scope global inner0\ninet6 2001:db8::7/64 scope global\nleft: gone"},
		{name: "under its own name", devices: map[string]specs.LinuxNetDevice{"d0": {}}, inside: "ls /sys/class/net; cat /sys/class/net/d0/flags", prints: "d0\nlo\n0x1003\nleft: gone"},
		{name: "two by one template", host: "ip link add d1 type veth peer name p1", devices: map[string]specs.LinuxNetDevice{"d0": {Name: "net%d"}, "d1": {Name: "net%d"}},
			inside: "ls /sys/class/net", prints: "lo\nnet0\nnet1\nleft: gone"},
		{name: "addresses that are not for ever stay behind", host: "ip addr add 192.0.2.7/24 valid_lft 1000 preferred_lft 1000 dev d0",
			devices: map[string]specs.LinuxNetDevice{"d0": {}}, inside: "ip addr show d0 | grep -c inet\\ ; true", prints: "0\nleft: gone"},
		{name: "a start that fails gives it back", host: "ip addr add 192.0.2.7/24 dev d0; ip link set d0 up", devices: map[string]specs.LinuxNetDevice{"d0": {Name: "inner0"}},
			edit: func(s *specs.Spec) {
				s.Mounts = append(s.Mounts, specs.Mount{Destination: "/mnt", Type: "nosuchfs", Source: "none"})
			}, refused: "asked for by mounts[3]", prints: "left: UP 192.0.2.7/24"},
		{name: "a name that is taken", devices: map[string]specs.LinuxNetDevice{"d0": {Name: "lo"}}, refused: "linux.netDevices[d0]", prints: "left: DOWN"},
		{name: "none of that name", devices: map[string]specs.LinuxNetDevice{"d9": {}}, refused: "linux.netDevices[d9]: no such device", prints: "left: DOWN"},
		{name: "no name", devices: map[string]specs.LinuxNetDevice{"d0": {Name: "a/b"}}, refused: `linux.netDevices[d0].name: "a/b" is no name of an interface`, prints: "left: DOWN"},
		{name: "shared network", devices: map[string]specs.LinuxNetDevice{"d0": {}}, edit: namespaces(specs.MountNamespace), refused: "linux.netDevices: the container shares the host's network namespace", prints: "left: DOWN"},
		{name: "user namespace", host: "ip addr add 192.0.2.7/24 dev d0", devices: map[string]specs.LinuxNetDevice{"d0": {}}, edit: func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
			mapped(s)
		}, inside: "ip addr show d0 | grep -c 192.0.2.7", prints: "1\nleft: gone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			b.Spec.Process.Args = words(c.inside)
			if c.refused != "" {
				b.Spec.Process.Args = []string{"true"}
			}
			b.Spec.Linux.NetDevices = c.devices
			if c.edit != nil {
				c.edit(b.Spec)
			}
			b.Write(t)
			const left = `d=$(ip -brief addr show d0 2>/dev/null) && echo "left:" $(echo $d | cut -d' ' -f2- | sed 's/UNKNOWN/UP/; s/ fe80[^ ]*//') || echo left: gone`
			script := "set -e; ip link add d0 type veth peer name p0; ip link set p0 up; " + c.host + "\nset +e; \"$@\"; " + left
			out, err := exec.CommandContext(t.Context(), unshare, "--net", "sh", "-c", script, "sh",
				filepath.Join(need.Programs(t), "glassrun"), "run", "--bundle", b.Dir, b.ID).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got := strings.TrimSpace(string(out))
			if c.refused != "" {
				told, rest, _ := strings.Cut(got, "left:")
				if !strings.Contains(told, c.refused) {
					t.Errorf("told %q, want %q there", told, c.refused)
				}
				got = "left:" + rest
			}
			if got != c.prints {
				t.Errorf("printed\n%s\nwant\n%s", got, c.prints)
			}
		})
	}
}
