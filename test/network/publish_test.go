package network

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"glassbox/test/machines"
)

// get fetches a page, or gives up after three seconds.
var get = fmt.Sprintf("curl -sS -m %.0f ", machines.Patient(3*time.Second).Seconds())

// A published port is reached from everywhere, and nginx sees who asks.
func TestPublishedNginxIsReachedFromEverywhere(t *testing.T) {
	s := newSite(t)
	s.OK("glassbox run -d --name web -p 8080:80 kit nginx")
	for _, url := range []string{"127.0.0.1", "[::1]", hostAddress, "[" + hostAddress6 + "]", "localhost"} {
		s.Soon(get+"http://"+url+":8080/health", "healthy")
	}
	for _, url := range []string{hostAddress, "[" + hostAddress6 + "]"} {
		s.other.Is(get+"http://"+url+":8080/health?other", "healthy")
	}
	s.Soon("glassbox logs web | grep other", otherAddress+" /health?other 200\n"+seen6())
	s.Is("glassbox exec web "+get+"http://"+hostAddress+":8080/health", "healthy")
	s.OK("glassbox network create apart")
	s.Is("glassbox run --rm --network apart kit "+get+"http://"+hostAddress+":8080/health", "healthy")
	s.Is("glassbox run --rm kit "+get+"http://"+hostAddress+":8080/health", "healthy")
	s.Is("glassbox port web", "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080")
	s.Is("glassbox ps --format '{{.Ports}}'", "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp")
	s.Is("glassbox inspect -f '{{json .NetworkSettings.Ports}}' web", `{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}]}`)
	s.OK("glassbox stop -t 0 web && glassbox network rm apart")
	s.Fails(7, get+"http://127.0.0.1:8080/", "")
	s.OK("glassbox start web")
	s.Soon(get+"http://127.0.0.1:8080/health", "healthy")
}

// seen6 is whom nginx sees when an IPv6 client is forwarded to a container that has only IPv4: the forwarder.
func seen6() string { return "172.17.0.1 /health?other 200" }

func TestForwardedOnlyWhereBound(t *testing.T) {
	s := newSite(t)
	s.OK("glassbox run -d --name web -p 127.0.0.1:8081:80 -p " + hostAddress + ":8082:80 -p [::1]:8083:80 kit nginx")
	s.Soon(get+"http://127.0.0.1:8081/health", "healthy")
	s.Is(get+"http://"+hostAddress+":8082/health", "healthy")
	s.Is(get+"http://[::1]:8083/health", "healthy")
	s.Fails(7, get+"http://127.0.0.1:8082/health", "")
	s.Fails(7, get+"http://"+hostAddress+":8081/health", "")
	s.Fails(7, get+"http://127.0.0.1:8083/health", "")
	s.other.Is(get+"http://"+hostAddress+":8082/health", "healthy")
	s.other.Fails(7, get+"http://"+hostAddress+":8081/health", "")
	// Nor when another machine sends for 127.0.0.1 over the cable.
	s.other.OK("sysctl -qw net.ipv4.conf.all.route_localnet=1 && ip route add 127.0.0.2 via " + hostAddress)
	s.OK("glassbox run -d --name two -p 127.0.0.2:8084:80 kit nginx")
	s.Soon(get+"http://127.0.0.2:8084/health", "healthy")
	s.other.Fails(28, get+"http://127.0.0.2:8084/health", "")
	s.OK("glassbox rm -f web two")
}

func TestPortsInAllForms(t *testing.T) {
	s := newSite(t)
	// UDP.
	s.OK("glassbox run -d --name names -p 5353:53/udp kit dnsmasq -k -u root --no-hosts --address=/published.test/203.0.113.7")
	s.other.Soon("dig +short +tries=1 +time=1 -p 5353 @"+hostAddress+" published.test", "203.0.113.7")
	s.Is("dig +short -p 5353 @127.0.0.1 published.test", "203.0.113.7")
	s.Is("glassbox run --rm kit dig +short -p 5353 @"+hostAddress+" published.test", "203.0.113.7")
	// A random port, and all that the image exposes.
	s.OK("glassbox run -d --name random -p 80 kit nginx && glassbox run -d --name all -P --expose 81/udp kit nginx")
	for _, name := range []string{"random", "all"} {
		port := s.OK("glassbox port " + name + " 80 | head -n1 | sed s/.*://")
		s.other.Soon(get+"http://"+hostAddress+":"+port+"/health", "healthy")
	}
	s.Is("glassbox port all | sed 's/:[0-9]*$//'", "80/tcp -> 0.0.0.0\n80/tcp -> [::]\n81/udp -> 0.0.0.0\n81/udp -> [::]")
	// Ranges.
	s.OK("glassbox run -d --name range -p 9000-9002:80-82 kit nginx")
	s.Soon(get+"http://127.0.0.1:9000/health", "healthy")
	s.Is("glassbox port range 82", "0.0.0.0:9002\n[::]:9002")
	s.OK("glassbox run -d --name oneof -p 9000-9005:80 kit nginx")
	s.Is("glassbox port oneof 80", "0.0.0.0:9003\n[::]:9003")
	s.OK("glassbox rm -f names random all range oneof")
}

func TestBusyPort(t *testing.T) {
	s := newSite(t)
	s.OK("glassbox run -d --name first -p 8080:80 kit nginx")
	s.Fails(125, "glassbox run --name second -p 8080:80 kit nginx", ":8080 failed: port is already allocated")
	s.Is("glassbox inspect -f '{{.State.Status}}' second", "created")
	s.OK("busybox httpd -p 8090")
	s.Soon("ss -Hltn sport = 8090 | wc -l", "1")
	s.Fails(125, "glassbox run --name third -p 8090:80 kit nginx", "8090")
	if !machines.RealDocker() {
		for port, holder := range map[string]string{"8090": "busybox", "8080": "first"} {
			if said := s.OnTerminal(125, "glassbox run --rm -p "+port+":80 kit nginx"); !strings.Contains(said, holder) {
				t.Errorf("%s, which holds port %s, is not named: %s", holder, port, said)
			}
		}
	}
	s.OK("glassbox rm -f first && glassbox start second")
	s.Soon(get+"http://127.0.0.1:8080/health", "healthy")
	s.OK("glassbox rm -f second third")
}

// A process that listens on the container's 127.0.0.1 is not reached by a published port; glassbox says so.
func TestListeningOnLoopbackIsPointedOut(t *testing.T) {
	if machines.RealDocker() {
		t.Skip("needs glassbox: Docker does not look")
	}
	s := newSite(t)
	said := s.OnTerminal(0, "glassbox run -d --name shy -p 8080:6379 kit redis-server --bind 127.0.0.1")
	if !strings.Contains(said, "127.0.0.1") || !strings.Contains(said, "6379") {
		t.Errorf("said %s", said)
	}
	s.OK("glassbox rm -f shy")
}
