package machines

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"glassbox/test/world"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: machines need root")
		return
	}
	os.Exit(world.Run(func(string) error { return nil }, m.Run))
}

func machine(t *testing.T, name string) *Machine {
	t.Helper()
	m, err := New(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Halt)
	return m
}

func output(t *testing.T, m *Machine, name string, args ...string) string {
	t.Helper()
	out, err := m.Output(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// Three machines in a row reach each other through the one in the middle, by both families.
func TestRouterInBetween(t *testing.T) {
	a, router, b := machine(t, "a"), machine(t, "router"), machine(t, "b")
	for _, c := range [][2]Plug{
		{{a, "eth0", []string{"192.0.2.2/24", "2001:db8:1::2/64"}}, {router, "left", []string{"192.0.2.1/24", "2001:db8:1::1/64"}}},
		{{b, "eth0", []string{"198.51.100.2/24", "2001:db8:2::2/64"}}, {router, "right", []string{"198.51.100.1/24", "2001:db8:2::1/64"}}},
	} {
		if err := Cable(c[0], c[1]); err != nil {
			t.Fatal(err)
		}
	}
	for m, gateways := range map[*Machine][]string{a: {"192.0.2.1", "2001:db8:1::1"}, b: {"198.51.100.1", "2001:db8:2::1"}} {
		for _, g := range gateways {
			if err := m.Route("default", g); err != nil {
				t.Fatal(err)
			}
		}
	}
	ping := func(address string) int { return a.Run("busybox", "ping", "-c1", "-W1", address).Code }
	if ping("198.51.100.2") == 0 {
		t.Error("b is reached though nobody routes")
	}
	if err := router.Forward(); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"198.51.100.2", "2001:db8:2::2"} {
		reached := false
		for range 10 { // on a busy machine finding the neighbours takes longer than one ping waits
			if reached = ping(address) == 0; reached {
				break
			}
		}
		if !reached {
			t.Errorf("%s is not reached through the router", address)
		}
	}
}

// A machine has its own processes, name, files and network, and after a reboot only the files.
func TestReboot(t *testing.T) {
	m := machine(t, "lonely")
	if have := output(t, m, "hostname"); have != "lonely" {
		t.Errorf("hostname: %q", have)
	}
	output(t, m, "sh", "-c", "echo kept >$GLASSBOX_ROOT/file; mkdir /run/lost; ip link add lost type bridge; sleep 1000 >/dev/null 2>&1 &")
	if have := output(t, m, "sh", "-c", "ls /proc | grep -c '^[0-9]'"); have == "0" {
		t.Error("no process is seen")
	}
	if err := m.Reboot(); err != nil {
		t.Fatal(err)
	}
	// The one sleep is the machine's own.
	const script = "cat $GLASSBOX_ROOT/file; ls -d /run/lost 2>&-; ls /sys/class/net; grep -lx sleep /proc/[0-9]*/comm | wc -l"
	if have := output(t, m, "sh", "-c", script); have != "kept\nlo\n1" {
		t.Errorf("after the reboot: %q", have)
	}
	if err := m.Nameservers("nameserver 192.0.2.53"); err != nil {
		t.Fatal(err)
	}
	if have := output(t, m, "cat", "/etc/resolv.conf"); have != "nameserver 192.0.2.53" {
		t.Errorf("resolv.conf: %q", have)
	}
}
