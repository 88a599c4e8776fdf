package network

import (
	"strings"
	"testing"

	"glassbox/test/machines"
)

// Redis is found by name, alias and short id on a user-defined network, and not on the default one.
func TestRedisByName(t *testing.T) {
	h := newSite(t)
	h.upstream()
	h.OK("glassbox network create shop")
	h.OK("glassbox run -d --name store --network shop --network-alias cache --network-alias Kept kit redis-server /etc/redis/redis.conf")
	ask := "glassbox run --rm --network shop kit redis-cli -h "
	h.Soon(ask+"store ping", "PONG")
	id := h.OK("glassbox inspect -f '{{.Id}}' store")
	for _, name := range []string{"cache", "kept", "STORE", id[:12], "store.shop", "store."} {
		h.Is(ask+name+" ping", "PONG")
	}
	h.Fails(1, ask+"nobody ping", "nobody")
	h.Fails(1, "glassbox run --rm kit redis-cli -h store ping", "store")
	h.Is("glassbox run --rm --network shop kit cat /etc/resolv.conf | grep ^nameserver", "nameserver 127.0.0.11")

	// The name follows the container.
	h.OK("glassbox run -d --name client --network shop kit sleep 1000")
	h.OK("glassbox exec client redis-cli -h store set key value")
	h.OK("glassbox restart -t 0 store")
	h.Soon("glassbox exec client redis-cli -h store ping", "PONG")
	h.OK("glassbox network disconnect shop store")
	h.Fails(1, "glassbox exec client redis-cli -h store ping", "store")
	h.OK("glassbox run -d --name taker --network shop kit sleep 1000") // takes the address that was free
	h.OK("glassbox network connect --alias again shop store")
	h.Is("glassbox exec client redis-cli -h store ping", "PONG")
	h.Is("glassbox exec client redis-cli -h again ping", "PONG")
	h.OK("glassbox rename store moved")
	h.Is("glassbox exec client redis-cli -h moved ping", "PONG")
	h.OK("glassbox stop -t 0 moved")
	h.Fails(2, "glassbox exec client getent hosts moved", "")
	h.OK("glassbox rm -f moved client taker && glassbox network rm shop")
}

// Several containers behind one alias are answered in turn, both families.
func TestAliasIsAnsweredInTurn(t *testing.T) {
	h := machines.WithGlassbox(t, "host")
	h.OK("glassbox network create --ipv6 --subnet 10.77.0.0/24 --subnet fd77::/64 shop")
	for _, name := range []string{"one", "two", "three"} {
		h.OK("glassbox run -d --name " + name + " --network shop --network-alias web kit nginx")
	}
	h.OK("glassbox run -d --name client --network shop kit sleep 1000")
	h.Is("glassbox exec client dig +short web A | sort", "10.77.0.2\n10.77.0.3\n10.77.0.4")
	h.Is("glassbox exec client dig +short web AAAA | sort", "fd77::2\nfd77::3\nfd77::4")
	firsts := h.OK("glassbox exec client sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do dig +short web A | head -n1; done | sort -u'")
	if firsts != "10.77.0.2\n10.77.0.3\n10.77.0.4" {
		t.Errorf("twenty answers began with %q", firsts)
	}
	h.Is("glassbox exec client dig +short -x 10.77.0.2", "one.shop.")
	h.Is("glassbox exec client dig +short -x fd77::3", "two.shop.")
	h.Is("glassbox exec client curl -s http://[fd77::4]/health", "healthy")
	// nginx is reached by the alias however often one asks, and when one of them goes, the others answer.
	h.OK("glassbox kill two")
	h.Is("glassbox exec client dig +short web A | sort", "10.77.0.2\n10.77.0.4")
	h.OK("glassbox rm -f one two three client && glassbox network rm shop")
}

// A running container is connected to a second network and disconnected again, and its default route stays where it leads.
func TestConnectWhileRunning(t *testing.T) {
	h := machines.WithGlassbox(t, "host")
	h.OK("glassbox network create front --subnet 10.78.0.0/24 && glassbox network create back --subnet 10.79.0.0/24")
	h.OK("glassbox run -d --name web --network front kit nginx && glassbox run -d --name db --network back kit redis-server /etc/redis/redis.conf")
	h.Fails(1, "glassbox exec web redis-cli -h db ping", "db")
	h.OK("glassbox network connect --ip 10.79.0.50 back web")
	h.Soon("glassbox exec web redis-cli -h db ping", "PONG")
	h.Is("glassbox exec db curl -s http://web/health", "healthy")
	h.Is("glassbox exec web ip -o -4 addr show eth1 | awk '{print $4}'", "10.79.0.50/24")
	h.Is("glassbox inspect -f '{{range $n, $e := .NetworkSettings.Networks}}{{$n}} {{$e.IPAddress}} {{end}}' web", "back 10.79.0.50 front 10.78.0.2")
	h.Fails(1, "glassbox network connect back web", "already exists in network back")
	h.Fails(1, "glassbox network rm back", "has active endpoints")
	h.OK("glassbox network disconnect back web")
	h.Fails(2, "glassbox exec db getent hosts web", "")
	if out := h.OK("glassbox exec web ip -o link"); strings.Contains(out, "eth1") {
		t.Errorf("disconnected, it has %s", out)
	}
	// What is connected while stopped is there at the start.
	h.OK("glassbox stop -t 0 web && glassbox network connect back web && glassbox start web")
	h.Soon("glassbox exec db curl -s http://web/health", "healthy")
	h.OK("glassbox rm -f web db && glassbox network rm front back")
}
