package network

import (
	"strings"
	"testing"
)

const get = "curl -sS -m 3 "

// A published port is reached from everywhere, and nginx sees who asks.
func TestPublishedNginxIsReachedFromEverywhere(t *testing.T) {
	s := newSite(t)
	s.ok("glassbox run -d --name web -p 8080:80 kit nginx")
	for _, url := range []string{"127.0.0.1", "[::1]", hostAddress, "[" + hostAddress6 + "]", "localhost"} {
		s.soon(get+"http://"+url+":8080/health", "healthy")
	}
	for _, url := range []string{hostAddress, "[" + hostAddress6 + "]"} {
		is(t, s.other, get+"http://"+url+":8080/health?other", "healthy")
	}
	s.is("glassbox logs web | grep other", otherAddress+" /health?other 200\n"+seen6())
	s.is("glassbox exec web "+get+"http://"+hostAddress+":8080/health", "healthy")
	s.ok("glassbox network create apart")
	s.is("glassbox run --rm --network apart kit "+get+"http://"+hostAddress+":8080/health", "healthy")
	s.is("glassbox run --rm kit "+get+"http://"+hostAddress+":8080/health", "healthy")
	s.is("glassbox port web", "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080")
	s.is("glassbox ps --format '{{.Ports}}'", "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp")
	s.is("glassbox inspect -f '{{json .NetworkSettings.Ports}}' web", `{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}]}`)
	s.ok("glassbox stop -t 0 web && glassbox network rm apart")
	s.fails(7, get+"http://127.0.0.1:8080/", "")
	s.ok("glassbox start web")
	s.soon(get+"http://127.0.0.1:8080/health", "healthy")
}

// seen6 is whom nginx sees when an IPv6 client is forwarded to a container that has only IPv4: the forwarder.
func seen6() string { return "172.17.0.1 /health?other 200" }

func TestForwardedOnlyWhereBound(t *testing.T) {
	s := newSite(t)
	s.ok("glassbox run -d --name web -p 127.0.0.1:8081:80 -p " + hostAddress + ":8082:80 -p [::1]:8083:80 kit nginx")
	s.soon(get+"http://127.0.0.1:8081/health", "healthy")
	s.is(get+"http://"+hostAddress+":8082/health", "healthy")
	s.is(get+"http://[::1]:8083/health", "healthy")
	s.fails(7, get+"http://127.0.0.1:8082/health", "")
	s.fails(7, get+"http://"+hostAddress+":8081/health", "")
	s.fails(7, get+"http://127.0.0.1:8083/health", "")
	is(t, s.other, get+"http://"+hostAddress+":8082/health", "healthy")
	fails(t, s.other, 7, get+"http://"+hostAddress+":8081/health", "")
	// Nor when another machine sends for 127.0.0.1 over the cable.
	ok(t, s.other, "sysctl -qw net.ipv4.conf.all.route_localnet=1 && ip route add 127.0.0.2 via "+hostAddress)
	s.ok("glassbox run -d --name two -p 127.0.0.2:8084:80 kit nginx")
	s.soon(get+"http://127.0.0.2:8084/health", "healthy")
	fails(t, s.other, 28, get+"http://127.0.0.2:8084/health", "")
	s.ok("glassbox rm -f web two")
}

func TestPortsInAllForms(t *testing.T) {
	s := newSite(t)
	// UDP.
	s.ok("glassbox run -d --name names -p 5353:53/udp kit dnsmasq -k -u root --no-hosts --address=/published.test/203.0.113.7")
	soon(t, s.other, "dig +short +tries=1 +time=1 -p 5353 @"+hostAddress+" published.test", "203.0.113.7")
	s.is("dig +short -p 5353 @127.0.0.1 published.test", "203.0.113.7")
	s.is("glassbox run --rm kit dig +short -p 5353 @"+hostAddress+" published.test", "203.0.113.7")
	// A random port, and all that the image exposes.
	s.ok("glassbox run -d --name random -p 80 kit nginx && glassbox run -d --name all -P --expose 81/udp kit nginx")
	for _, name := range []string{"random", "all"} {
		port := s.ok("glassbox port " + name + " 80 | head -n1 | sed s/.*://")
		soon(t, s.other, get+"http://"+hostAddress+":"+port+"/health", "healthy")
	}
	s.is("glassbox port all | sed 's/:[0-9]*$//'", "80/tcp -> 0.0.0.0\n80/tcp -> [::]\n81/udp -> 0.0.0.0\n81/udp -> [::]")
	// Ranges.
	s.ok("glassbox run -d --name range -p 9000-9002:80-82 kit nginx")
	s.soon(get+"http://127.0.0.1:9000/health", "healthy")
	s.is("glassbox port range 82", "0.0.0.0:9002\n[::]:9002")
	s.ok("glassbox run -d --name oneof -p 9000-9005:80 kit nginx")
	s.is("glassbox port oneof 80", "0.0.0.0:9003\n[::]:9003")
	s.ok("glassbox rm -f names random all range oneof")
}

func TestBusyPort(t *testing.T) {
	s := newSite(t)
	s.ok("glassbox run -d --name first -p 8080:80 kit nginx")
	s.fails(125, "glassbox run --name second -p 8080:80 kit nginx", ":8080 failed: port is already allocated")
	s.is("glassbox inspect -f '{{.State.Status}}' second", "created")
	s.ok("busybox httpd -p 8090")
	s.soon("ss -Hltn sport = 8090 | wc -l", "1")
	s.fails(125, "glassbox run --name third -p 8090:80 kit nginx", "8090")
	if *engine == "glassbox" {
		s.fails(125, "glassbox run --rm -p 8090:80 kit nginx", "busybox")
		s.fails(125, "glassbox run --rm -p 8080:80 kit nginx", "first")
	}
	s.ok("glassbox rm -f first && glassbox start second")
	s.soon(get+"http://127.0.0.1:8080/health", "healthy")
	s.ok("glassbox rm -f second third")
}

// A process that listens on the container's 127.0.0.1 is not reached by a published port; glassbox says so.
func TestListeningOnLoopbackIsPointedOut(t *testing.T) {
	if *engine == "docker" {
		t.Skip("needs glassbox: Docker does not look")
	}
	s := newSite(t)
	r := s.Run("sh", "-c", "glassbox run -d --name shy -p 8080:6379 kit redis-server --bind 127.0.0.1")
	if r.Code != 0 || !strings.Contains(r.Stderr, "127.0.0.1") || !strings.Contains(r.Stderr, "6379") {
		t.Errorf("exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	s.ok("glassbox rm -f shy")
}
