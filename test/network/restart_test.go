package network

import (
	"strings"
	"testing"
)

// A server that its restart policy starts again is where it was: at its published port, under its name and its address.
func TestRestartedByPolicy(t *testing.T) {
	s := newSite(t)
	s.shop()
	s.OK("glassbox update --restart always web")
	address := s.OK("glassbox exec client getent hosts web")
	for _, restarts := range []string{"1", "2", "3"} {
		s.OK("kill -9 $(glassbox inspect -f '{{.State.Pid}}' web)")
		s.Soon("glassbox inspect -f '{{.RestartCount}} {{.State.Status}}' web", restarts+" running")
		s.open()
		s.Is("glassbox exec client getent hosts web", strings.TrimSpace(address))
	}
	s.OK("glassbox rename web site")
	s.OK("kill -9 $(glassbox inspect -f '{{.State.Pid}}' site)")
	s.Soon("glassbox exec client "+get+"http://site/health", "healthy")
	s.OK("glassbox stop -t 0 site")
	s.Fails(7, get+"http://127.0.0.1:8080/", "")
	s.OK("glassbox rm site && glassbox rm -f client && glassbox network rm shop")
}

// With a user namespace, which is a new one at each start, the network has to be plugged in anew.
func TestRestartedInUserNamespace(t *testing.T) {
	daemonless(t)
	s := newSite(t)
	s.shop()
	s.OK("glassbox run -d --name own --userns auto --restart always --network shop -p 8085:80 kit nginx")
	for _, restarts := range []string{"1", "2"} {
		s.OK("kill -9 $(glassbox inspect -f '{{.State.Pid}}' own)")
		s.Soon("glassbox inspect -f '{{.RestartCount}} {{.State.Status}}' own", restarts+" running")
		s.Soon(get+"http://127.0.0.1:8085/health", "healthy")
		s.Is("glassbox exec client "+get+"http://own/health", "healthy")
		s.Is("glassbox exec own "+get+"http://web/health", "healthy")
	}
	s.OK("glassbox rm -f own web client && glassbox network rm shop")
}

// After a reboot one command brings back what shall run, in an order in which it can, and nothing else. A second one changes nothing.
func TestBoot(t *testing.T) {
	daemonless(t)
	s := newSite(t)
	s.shop()
	s.OK("glassbox update --restart always web && glassbox update --restart unless-stopped client")
	s.OK("glassbox run -d --name guest --restart always --network container:web kit sleep 1000")
	s.OK("glassbox run -d --name plain kit sleep 1000")
	s.OK("glassbox run -d --name resting --restart unless-stopped kit sleep 1000 && glassbox stop -t 0 resting")
	s.OK("glassbox run -d --name stubborn --restart always kit sleep 1000 && glassbox stop -t 0 stubborn")
	s.OK("glassbox run -d --name failing --restart on-failure:5 kit sleep 1000")
	s.OK("glassbox run -d --name broken --restart always -v $PWD/gone:/mnt/gone --mount type=bind,source=$PWD/hosts,target=/mnt/hosts kit sleep 1000")
	s.OK("glassbox create --name never --restart always kit sleep 1000")
	s.OK("glassbox run -d --rm --name passing kit sleep 1000")
	if err := s.Reboot(); err != nil {
		t.Fatal(err)
	}
	if err := s.other.Reboot(); err != nil {
		t.Fatal(err)
	}
	s.connect()
	s.OK("mv hosts hosts.away")
	s.Fails(1, "glassbox boot", "broken is not started: ")
	s.OK("mv hosts.away hosts")
	const running = "client\nfailing\nguest\nstubborn\nweb"
	s.Is("glassbox ps --format '{{.Names}}' | sort", running)
	s.Is("glassbox ps -a --format '{{.Names}}' --filter status=exited --filter status=created | sort", "broken\nnever\nplain\nresting")
	s.open()
	s.Is("glassbox exec guest "+get+"http://127.0.0.1/health", "healthy")
	s.Is("glassbox boot", "started broken")
	s.Is("glassbox boot", "")

	// A shutdown is no user's stop.
	s.OK("glassbox boot --stop")
	s.Is("glassbox ps -q", "")
	s.OK("glassbox boot")
	s.Is("glassbox ps --format '{{.Names}}' | sort", "broken\n"+running)
	s.OK("glassbox rm -f $(glassbox ps -aq) && glassbox network rm shop")
}
