package network

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/machines"
)

// wall is what somebody else's firewall does to forwarded packets.
type wall struct{ name, build, says, undo string }

var walls = []wall{
	{"iptables policy", "iptables -P FORWARD DROP", "FORWARD", "iptables -P FORWARD ACCEPT"},
	{"legacy policy", "iptables-legacy -P FORWARD DROP", "FORWARD", "iptables-legacy -P FORWARD ACCEPT"},
	{"nftables, as firewalld's", "nft 'table inet firewalld { chain filter_FORWARD { type filter hook forward priority filter + 10; policy drop; ct state established accept; }; }'",
		"firewalld", "nft delete table inet firewalld"},
	{"as ufw's", "iptables -N ufw-before-forward && iptables -N ufw-user-forward && iptables -A FORWARD -j ufw-before-forward && iptables -A ufw-before-forward -j ufw-user-forward && iptables -P FORWARD DROP", "ufw", "iptables -P FORWARD ACCEPT"},
}

// A host whose firewall drops forwarded packets stays as it is, and what blocks is named with a cure that works.
func TestForeignWallsAreNamed(t *testing.T) {
	daemonless(t)
	for _, w := range walls {
		t.Run(w.name, func(t *testing.T) {
			s := newSite(t)
			if r := s.Run("sh", "-c", w.build); r.Code != 0 && strings.Contains(w.build, "legacy") {
				t.Skipf("needs iptables-legacy in the kernel: %s", r.Stderr)
			} else if r.Code != 0 {
				t.Fatal(r.Stderr)
			}
			before := s.OK("nft list ruleset 2>/dev/null; iptables-legacy-save 2>/dev/null | grep -v '^#' || true")
			said := s.OnTerminal(0, "glassbox run -d --name web -p 8080:80 kit nginx")
			if !strings.Contains(said, w.says) {
				t.Errorf("what blocks is not named: %s", said)
			}
			s.Soon(get+"http://127.0.0.1:8080/health", "healthy")
			s.other.Fails(28, "curl -sS -m 1 http://"+hostAddress+":8080/health", "")
			fix := s.cure(said)
			if command, _, _ := strings.Cut(fix, " "); s.Run("which", command).Code != 0 {
				t.Logf("%s is not installed, so its cure is not tried: %s", command, fix)
			} else {
				s.OK(fix)
				s.other.Is(get+"http://"+hostAddress+":8080/health", "healthy")
			}
			s.OK("glassbox rm -f web")
			s.OK(w.undo)
			after := s.OK("nft list ruleset 2>/dev/null; iptables-legacy-save 2>/dev/null | grep -v '^#' || true")
			if strings.Contains(before, "policy drop") && !strings.Contains(after, "FORWARD") && !strings.Contains(w.undo, "delete") {
				t.Errorf("the host's rules are gone: %s", after)
			}
		})
	}
}

// cure is the command after "fix:" in what glassbox said.
func (s *site) cure(said string) string {
	s.t.Helper()
	for line := range strings.Lines(said) {
		if _, command, found := strings.Cut(line, "fix:"); found {
			return strings.TrimSpace(command)
		}
	}
	s.t.Fatalf("no cure is named: %s", said)
	return ""
}

// Docker and glassbox publish ports on one host, and each stays as it is when the other goes.
func TestBesideDocker(t *testing.T) {
	daemonless(t)
	bin, err := filepath.Abs("../.cache/docker")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin + "/dockerd"); err != nil {
		t.Skipf("needs Docker 28.5.2 (test/tools/docker/build.sh test/.cache/docker): %v", err)
	}
	s := newSite(t)
	docker, err := s.StartDocker(bin, "--userland-proxy-path", bin+"/docker-proxy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		docker.Stop()
		s.OK("ip link del docker0")
	})
	d := docker.CLI
	s.OK("tar -c -C $GLASSBOX_ROOT/layers/$(ls $GLASSBOX_ROOT/layers | grep -v temp | head -n1) . | " + d + " import - kit")
	s.OK(d + " run -d --name docker-web -p 8090:80 kit nginx")
	s.other.Soon(get+"http://"+hostAddress+":8090/health", "healthy")
	said := s.OnTerminal(0, "glassbox run -d --name web -p 8080:80 kit nginx")
	if !strings.Contains(said, "DOCKER-USER") {
		t.Errorf("what blocks is not named: %s", said)
	}
	s.OK(s.cure(said))
	s.other.Soon(get+"http://"+hostAddress+":8080/health", "healthy")
	s.other.Is(get+"http://"+hostAddress+":8090/health", "healthy")
	if said := s.OnTerminal(125, "glassbox run --rm -p 8090:80 kit true"); !strings.Contains(said, "docker-proxy") {
		t.Errorf("the port's holder is not named: %s", said)
	}
	s.Fails(125, d+" run --rm -p 8080:80 kit true", "8080")
	s.OK("glassbox rm -f web")
	s.other.Is(get+"http://"+hostAddress+":8090/health", "healthy")
	s.OK(d + " rm -f docker-web")
}

// ip_forward is set when a network needs it, and told; where it is on already, nothing is said.
func TestForwardingIsTold(t *testing.T) {
	daemonless(t)
	s := newSite(t)
	s.OK("sysctl -qw net.ipv4.ip_forward=0")
	s.Is("glassbox run --rm --network none kit true; sysctl -n net.ipv4.ip_forward", "0")
	r := s.Run("sh", "-c", "glassbox run --rm kit true")
	if r.Code != 0 || !strings.Contains(r.Stderr, "net.ipv4.ip_forward") {
		t.Errorf("exit %d: %s", r.Code, r.Stderr)
	}
	s.Is("sysctl -n net.ipv4.ip_forward", "1")
	if r := s.Run("sh", "-c", "glassbox run --rm kit true"); r.Stderr != "" {
		t.Errorf("said again: %s", r.Stderr)
	}
}

// The default bridge's subnet keeps clear of what the host has routes to, and of its name servers.
func TestSubnetsKeepClear(t *testing.T) {
	daemonless(t)
	s := &site{machines.WithGlassbox(t, "host"), machines.Bare(t, "other"), t}
	s.connect()
	s.OK("ip route add 172.17.0.0/16 via " + otherAddress + " && ip route add 172.18.128.0/17 via " + otherAddress)
	if err := s.Nameservers("nameserver 172.19.0.53"); err != nil {
		t.Fatal(err)
	}
	s.Is("glassbox run --rm kit ip -4 -o addr show eth0 | awk '{print $4}'", "172.20.0.2/16")
	s.OK("glassbox network create shop")
	s.Is("glassbox network inspect -f '{{range .IPAM.Config}}{{.Subnet}}{{end}}' shop", "172.21.0.0/16")
	s.OK("glassbox network rm shop")
}
