package network

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"glassbox/test/machines"
)

func daemonless(t *testing.T) {
	t.Helper()
	if machines.RealDocker() {
		t.Skip("needs glassbox: Docker's daemon is another story")
	}
}

// shop is a web server on a network of its own with a published port, and a client that knows it by name.
func (s *site) shop() {
	s.t.Helper()
	s.OK("glassbox network create --subnet 10.70.0.0/24 shop")
	s.OK("glassbox run -d --name web --network shop -p 8080:80 kit nginx && glassbox run -d --name client --network shop kit sleep 1000")
	s.open()
}

// open wants the shop to be open: by its port from here and from the other machine, and by name.
func (s *site) open() {
	s.t.Helper()
	s.Soon(get+"http://127.0.0.1:8080/health", "healthy")
	s.Is(get+"http://[::1]:8080/health", "healthy")
	s.other.Is(get+"http://"+hostAddress+":8080/health", "healthy")
	s.Is("glassbox exec client "+get+"http://web/health", "healthy")
}

// kill ends processes of glassrun by the word that says what they are, and those of one container by its id.
func (s *site) kill(word, container string) {
	s.t.Helper()
	id := s.OK("glassbox inspect -f '{{.Id}}' " + container)
	s.OK("pids=$(pgrep -f '[g]lassrun.* " + word + " .*" + id + "'); kill -9 $pids; while kill -0 $pids; do sleep 0.01; done 2>/dev/null; true")
}

// After kill -9 of anything the next command puts it right.
func TestAfterKills(t *testing.T) {
	daemonless(t)
	s := newSite(t)
	s.shop()
	for _, word := range []string{"attend", "monitor"} {
		for _, container := range []string{"web", "client"} {
			s.kill(word, container)
			s.OK("glassbox ps")
			s.open()
		}
	}
	// Everything of a container at once: its port and its address are free again, and so is its name for others.
	address := s.OK("glassbox inspect -f '{{.NetworkSettings.Networks.shop.IPAddress}}' web")
	pid := s.OK("glassbox inspect -f '{{.State.Pid}}' web")
	s.kill("monitor", "web")
	s.kill("attend", "web")
	s.OK("kill -9 " + pid)
	s.Soon("glassbox ps -a --format '{{.Names}} {{.State}}' | sort", "client running\nweb exited")
	s.Fails(7, get+"http://127.0.0.1:8080/", "")
	s.Fails(2, "glassbox exec client getent hosts web", "")
	s.OK("glassbox run -d --name heir --network shop --ip " + address + " -p 8080:80 kit nginx")
	s.Soon(get+"http://127.0.0.1:8080/health", "healthy")
	s.OK("glassbox rm -f heir && glassbox start web")
	s.open()
	s.OK("glassbox rm -f web client && glassbox network rm shop")
}

// A command line killed at any moment of a start leaves nothing that the next command does not take away.
func TestKilledWhileStarting(t *testing.T) {
	daemonless(t)
	s := newSite(t)
	s.OK("glassbox network create shop")
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 25 {
		name := fmt.Sprintf("half%d", i)
		c := s.Command(context.Background(), "sh", "-c", "exec glassbox run -d --name "+name+" --network shop -p 8080:80 kit nginx")
		if err := s.Start(c); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		c.Process.Kill()
		_ = c.Wait()                              // it was killed
		s.Run("sh", "-c", "glassbox rm -f "+name) // it may not be there yet
	}
	s.OK("glassbox run -d --name web --network shop -p 8080:80 kit nginx")
	s.Soon(get+"http://127.0.0.1:8080/health", "healthy")
	s.OK("glassbox rm -f web && glassbox network rm shop")
}

// What an administrator deletes by hand, the next start on the network makes again, for those who run there already, too.
func TestDeletedByHand(t *testing.T) {
	daemonless(t)
	s := newSite(t)
	s.shop()
	s.OK("glassbox run -d --name plain -p 8081:80 kit nginx")
	for _, c := range []struct{ what, script string }{
		{"the table", "nft delete table inet glassbox"},
		{"both tables", "nft delete table inet glassbox; nft delete table bridge glassbox"},
		{"a bridge", "ip link del $(glassbox network inspect -f '{{slice .Id 0 12}}' shop | sed s/^/br-/)"},
		{"the default bridge", "ip link del glassbox0"},
		{"everything", "nft flush ruleset; for link in $(ip -o link show type bridge | awk '{print $2}' | tr -d :); do ip link del $link; done"},
	} {
		s.OK(c.script)
		s.OK("glassbox run --rm --network shop kit true && glassbox run --rm kit true")
		s.open()
		if r := s.Run("sh", "-c", get+"http://127.0.0.1:8081/health"); r.Stdout != "healthy\n" {
			t.Errorf("after %s was deleted: %s", c.what, r.Stderr)
		}
		s.OK("glassbox exec plain " + get + "http://" + hostAddress + ":8080/health")
	}
	s.OK("glassbox rm -f web client plain && glassbox network rm shop")
}

// After a reboot containers are stopped, networks and claims are as they were, and all can start again.
func TestAfterReboot(t *testing.T) {
	daemonless(t)
	s := newSite(t)
	s.shop()
	s.OK("glassbox create --name never --network shop --ip 10.70.0.77 kit nginx")
	address := s.OK("glassbox inspect -f '{{.NetworkSettings.Networks.shop.IPAddress}}' client")
	if err := s.Reboot(); err != nil {
		t.Fatal(err)
	}
	if err := s.other.Reboot(); err != nil {
		t.Fatal(err)
	}
	s.connect()
	s.Is("glassbox ps -a --format '{{.Names}} {{.State}}' | sort", "client exited\nnever created\nweb exited")
	s.Is("glassbox network ls --format '{{.Name}} {{.Driver}}' | sort", "bridge bridge\nhost host\nnone null\nshop bridge")
	s.OK("glassbox run -d --name first --network shop kit nginx")
	s.OK("glassbox start web client")
	s.open()
	if all := s.OK("glassbox inspect -f '{{.NetworkSettings.Networks.shop.IPAddress}}' first web client"); distinct(strings.Fields(all)) != 3 {
		t.Errorf("after the reboot the addresses are %s; client had %s", all, address)
	}
	s.OK("glassbox rm -f web client first never && glassbox network rm shop")
}

func distinct(words []string) int {
	seen := map[string]bool{}
	for _, w := range words {
		seen[w] = true
	}
	return len(seen)
}

// What a container started is gone with it, and so is what its network made.
func TestNothingIsLeft(t *testing.T) {
	daemonless(t)
	s := newSite(t)
	s.OK("glassbox run --rm kit true")                  // the default bridge and the table may stay
	s.Soon("find /run/glassbox/containers -type f", "") // its monitor deletes the directories after it has answered
	const all = `(ip -br link | awk '{print $1}'; ip route | sed 's/ linkdown//'; nft list ruleset; find /run/glassbox -type f; ls $GLASSBOX_ROOT/containers
		sysctl -a 2>/dev/null | grep -e forwarding -e ip_forward)`
	s.OK(all + " >before")
	for range 3 {
		s.shop()
		s.OK("glassbox run --rm --network shop -p 8082:80 kit " + get + "http://web/health")
		s.Fails(127, "glassbox run --rm --network shop -p 8082:80 kit nosuch", "nosuch")
		s.Fails(125, "glassbox run --rm --network shop -p 8082:80 -p 8080:80 kit true", "8080")
		s.OK("glassbox rm -f web client && glassbox network rm shop")
	}
	s.Soon("("+all+") | diff before - || true", "")
}
