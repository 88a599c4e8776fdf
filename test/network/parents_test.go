package network

import (
	"testing"

	"glassbox/test/need"
)

// Macvlan and ipvlan put containers on the cable itself: the other machine sees them as its neighbours, with addresses of their own, and
// no firewall of the host's stands between.
func TestContainersOnTheCable(t *testing.T) {
	need.SecondKernel(t)
	s := newSite(t)
	for _, c := range []struct{ driver, options string }{
		{"macvlan", ""},
		{"macvlan", "-o macvlan_mode=private"},
		{"ipvlan", ""},
		{"ipvlan", "-o ipvlan_mode=l3"},
	} {
		// An interface carries macvlans or ipvlans, and those of containers that are gone go a moment after them.
		try := "for i in 1 2 3 4 5 6 7 8 9; do ip link add try link eth0 type " + c.driver + " && break; sleep 0.1; done; ip link del try"
		if r := s.Run("sh", "-c", try); r.Code != 0 {
			if need.VM() {
				t.Fatal(r.Stderr)
			}
			t.Skipf("needs %s in the kernel (runs in the VM: go run ./test/vm test): %s", c.driver, r.Stderr)
		}
		t.Run(c.driver+c.options, func(t *testing.T) {
			s.OK("glassbox network create -d " + c.driver + " " + c.options + " --subnet 192.0.2.0/24 --gateway " + otherAddress + " --ip-range 192.0.2.64/26 -o parent=eth0 lan")
			s.OK("glassbox run -d --name web --network lan kit nginx && glassbox run -d --name two --network lan --ip 192.0.2.100 kit nginx")
			s.Is("glassbox exec web ip -4 -o addr show eth0 | awk '{print $4}'", "192.0.2.64/24")
			if c.options == "-o ipvlan_mode=l3" { // it answers no ARP: whoever wants it must know the way
				s.other.OK("ip route add 192.0.2.64/26 via " + hostAddress + " && ip neigh flush all")
				s.other.OK("ip neigh replace 192.0.2.64 lladdr " + s.OK("cat /sys/class/net/eth0/address") + " dev eth0")
			}
			s.other.Soon(get+"http://192.0.2.64/health", "healthy")
			if c.options == "" {
				s.Is("glassbox exec two "+get+"http://web/health", "healthy") // by name, on the cable
				s.other.Is(get+"http://192.0.2.100/health", "healthy")
				s.other.OK("busybox httpd -p 80 2>/dev/null || true")
				s.OK("glassbox exec web curl -s -o /dev/null -m 3 http://" + otherAddress + "/")
			}
			if c.options == "-o macvlan_mode=private" {
				s.Fails(28, "glassbox exec two curl -sS -m 1 http://192.0.2.64/health", "")
			}
			s.OK("glassbox rm -f web two && glassbox network rm lan")
			s.other.Run("sh", "-c", "ip route del 192.0.2.64/26; ip neigh flush all")
		})
	}
}

// A VLAN of the cable, made with the network and gone with it.
func TestNetworkOnAVLAN(t *testing.T) {
	need.SecondKernel(t)
	s := newSite(t)
	if r := s.other.Run("sh", "-c", "ip link add link eth0 name eth0.50 type vlan id 50 && ip addr add 10.50.0.1/24 dev eth0.50 && ip link set eth0.50 up"); r.Code != 0 {
		t.Skipf("needs VLANs in the kernel: %s", r.Stderr)
	}
	s.OK("glassbox network create -d macvlan --subnet 10.50.0.0/24 --gateway 10.50.0.1 -o parent=eth0.50 tagged")
	s.OK("glassbox run -d --name web --network tagged kit nginx")
	s.other.Soon(get+"http://10.50.0.2/health", "healthy")
	s.OK("glassbox rm -f web && glassbox network rm tagged")
	s.Fails(1, "ip link show eth0.50", "does not exist")
}

// On another kernel than this one: a published port, its client's address, names, walls between bridges.
func TestOnAnotherKernel(t *testing.T) {
	need.SecondKernel(t)
	s := newSite(t)
	s.upstream()
	s.OK("glassbox network create --ipv6 --subnet 10.60.0.0/24 --subnet fd60::/64 shop && glassbox network create --subnet 10.61.0.0/24 apart")
	s.OK("glassbox run -d --name web --network shop -p 8080:80 kit nginx && glassbox run -d --name far --network apart kit nginx")
	s.Soon(get+"http://127.0.0.1:8080/health", "healthy")
	s.other.Is(get+"http://"+hostAddress+":8080/health?seen", "healthy")
	s.Soon("glassbox logs web | grep seen", otherAddress+" /health?seen 200")
	s.other.Is(get+"http://["+hostAddress6+"]:8080/health", "healthy")
	s.Is("glassbox exec far "+get+"http://"+hostAddress+":8080/health", "healthy")
	s.Fails(28, "glassbox exec far curl -sS -m 2 http://10.60.0.2/health", "")
	s.OK("glassbox run -d --name client --network shop kit sleep 1000")
	s.Is("glassbox exec client "+get+"http://web/health", "healthy")
	s.Is("glassbox exec client getent ahostsv4 one.test | awk '{print $1; exit}'", "203.0.113.1")
	s.OK("glassbox rm -f web far client && glassbox network rm shop apart")
}
