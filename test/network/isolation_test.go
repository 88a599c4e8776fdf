package network

import (
	"testing"

	"glassbox/test/machines"
)

// Bridges are walls: nobody looks over one, by neither family, and an internal one has no door.
func TestBridgesAreApart(t *testing.T) {
	s := newSite(t)
	s.OK("glassbox network create --ipv6 --subnet 10.80.0.0/24 --subnet fd80::/64 left")
	s.OK("glassbox network create --ipv6 --subnet 10.81.0.0/24 --subnet fd81::/64 right")
	s.OK("glassbox network create --internal --subnet 10.82.0.0/24 closed")
	s.OK("glassbox run -d --name la --network left -p 8080:80 kit nginx && glassbox run -d --name ra --network right kit nginx")
	s.OK("glassbox run -d --name ca --network closed kit nginx && glassbox run -d --name da --network closed kit nginx")
	s.Soon("glassbox exec da "+get+"http://ca/health", "healthy")
	s.other.Is("busybox httpd -p 80 -h /usr/share/common-licenses && echo up", "up")
	fetch := func(from, address string) string {
		return "glassbox exec " + from + " curl -s -o /dev/null -m 1 http://" + address + "/health"
	}
	s.OK("glassbox exec la " + get + "http://" + otherAddress + "/GPL-3 | grep -q GENERAL")
	for _, c := range [][2]string{
		{"la", "10.81.0.2"}, {"la", "[fd81::2]"}, {"ra", "10.80.0.2"}, {"ra", "[fd80::2]"}, // one another
		{"la", "10.82.0.2"}, {"ca", "10.80.0.2"}, // into the internal one, and out of it
		{"ca", otherAddress}, {"ca", hostAddress + ":8080"},
	} {
		if r := s.Run("sh", "-c", fetch(c[0], c[1])); r.Code == 0 {
			t.Errorf("%s reaches %s", c[0], c[1])
		}
	}
	// Another machine that knows the way to a container's own address is not let in either.
	s.other.OK("ip route add 10.80.0.0/24 via " + hostAddress + " && ip route add fd80::/64 via " + hostAddress6 + " && ip route add 10.82.0.0/24 via " + hostAddress)
	for _, address := range []string{"10.80.0.2", "[fd80::2]", "10.82.0.2"} {
		if r := s.other.Run("curl", "-s", "-m", "1", "http://"+address+"/health"); r.Code == 0 {
			t.Errorf("another machine reaches %s", address)
		}
	}
	// The host itself reaches all of them.
	for _, address := range []string{"10.80.0.2", "10.81.0.2", "[fd81::2]", "10.82.0.2"} {
		s.Is(get+"http://"+address+"/health", "healthy")
	}
	s.OK("glassbox rm -f la ra ca da && glassbox network rm left right closed")
}

// Without icc, the containers of one network do not see each other.
func TestIsolatedNetwork(t *testing.T) {
	s := newSite(t)
	s.OK("glassbox network create -o com.docker.network.bridge.enable_icc=false lonely")
	s.OK("glassbox run -d --name one --network lonely -p 8080:80 kit nginx && glassbox run -d --name two --network lonely kit nginx")
	s.other.Is("busybox httpd -p 80 && echo up", "up")
	s.Soon(get+"http://127.0.0.1:8080/health", "healthy")
	s.Fails(28, "glassbox exec two curl -sS -m 1 http://one/health", "")
	s.OK("glassbox exec two curl -sS -m 3 http://" + otherAddress + "/")
	s.OK("glassbox rm -f one two && glassbox network rm lonely")
}

// A container that gives itself another's address, or the gateway's, is not heard; what it answers in the other's name reaches nobody.
func TestSpoofing(t *testing.T) {
	if machines.RealDocker() {
		t.Skip("needs glassbox: Docker lets containers of one network take each other's addresses")
	}
	s := newSite(t)
	s.OK("glassbox network create --ipv6 --subnet 10.83.0.0/24 --subnet fd83::/64 shop")
	s.OK("glassbox run -d --name victim --network shop kit nginx && glassbox run -d --name client --network shop kit sleep 1000")
	s.OK("glassbox run -d --name thief --cap-add NET_ADMIN --cap-add NET_RAW --network shop kit sleep 1000")
	s.Soon("glassbox exec client "+get+"http://victim/name", s.OK("glassbox inspect -f '{{.Config.Hostname}}' victim"))
	s.OK("glassbox exec -d client tcpdump -Z root -n -U -i eth0 -w /tmp/seen icmp or arp or icmp6")
	s.Soon("glassbox exec client sh -c 'test -s /tmp/seen && echo yes'", "yes")
	for _, address := range []string{"10.83.0.2/24", "10.83.0.1/24", "fd83::2/64"} {
		s.OK("glassbox exec thief ip addr add " + address + " dev eth0 nodad")
	}
	// Its own packets in the victim's name, and its claims by ARP and neighbour advertisement.
	s.Run("sh", "-c", "glassbox exec thief sh -c 'ping -c1 -W1 -I 10.83.0.2 10.83.0.3; arping -c2 -w2 -U -I eth0 -s 10.83.0.2 10.83.0.2; arping -c1 -w1 -U -I eth0 -s 10.83.0.1 10.83.0.1'")
	s.Run("sh", "-c", "glassbox exec thief ping6 -c1 -W1 -I fd83::2 fd83::3")
	mac := s.OK("glassbox exec thief cat /sys/class/net/eth0/address")
	s.Is("glassbox exec client sh -c 'sleep 0.2; tcpdump -n -e -r /tmp/seen 2>/dev/null | grep "+mac+" | grep -c -e 10.83.0.2 -e 10.83.0.1 -e fd83::2' || true", "0")
	// The victim and the gateway are still where they were.
	s.Is("glassbox exec client "+get+"http://10.83.0.2/name", s.OK("glassbox inspect -f '{{.Config.Hostname}}' victim"))
	s.Is("glassbox exec client "+get+"http://[fd83::2]/health", "healthy")
	s.Is("glassbox exec client ping -c1 -W1 10.83.0.1 | grep -c 'bytes from'", "1")
	s.Is("glassbox exec client ip neigh show to 10.83.0.2 | grep -c "+mac+" || true", "0")
	// A container may have a further address of its own choosing, as keepalived's.
	s.OK("glassbox exec thief ip addr add 10.83.0.77/24 dev eth0")
	s.Is("glassbox exec client ping -c1 -W1 10.83.0.77 | grep -c 'bytes from'", "1")
	s.OK("glassbox rm -f victim client thief && glassbox network rm shop")
}

// What goes out has the host's address, and nothing with a container's address is on the wire.
func TestOnTheWire(t *testing.T) {
	s := newSite(t)
	s.OK("glassbox network create --subnet 10.84.0.0/24 shop")
	s.OK("glassbox run -d --name web --network shop -p 8080:80 kit nginx")
	s.other.OK("busybox httpd -p 80 && (tcpdump -Z root -n -l -i eth0 >wire 2>listening </dev/null &)")
	s.other.Soon("grep -c 'listening on' listening", "1")
	s.Soon(get+"http://127.0.0.1:8080/health", "healthy")
	s.OK("glassbox exec web curl -s http://" + otherAddress + "/")
	s.other.Is(get+"http://"+hostAddress+":8080/health", "healthy")
	s.OK("glassbox exec web ping -c1 -W1 " + otherAddress)
	// A packet to a private address that nobody has leaves through the default route as well, masqueraded.
	s.Run("sh", "-c", "glassbox exec web dig +tries=1 +time=1 @10.99.0.1 x")
	s.other.Soon("grep -c '"+hostAddress+".*10.99.0.1' wire", "1")
	s.other.Is("grep -c -e 10.84.0 -e 172.17.0 -e '127.0.0' wire || true", "0")
	s.other.Is("grep -c "+hostAddress+"'.* > "+otherAddress+".80: Flags .S.,' wire", "1")
	s.OK("glassbox rm -f web && glassbox network rm shop")
}
