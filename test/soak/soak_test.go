// Package soak starts, disturbs and ends containers for a while and then looks for anything that was left behind.
package soak

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"glassbox/test/traces"
	"glassbox/test/world"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: the soak needs root")
		return
	}
	os.Exit(world.Run(world.BuildGlassbox, m.Run))
}

// TestSoak lasts as long as $SOAK says.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		length = 10 * time.Second
	}
	traces.Place()
	// The first run makes the built-in image.
	if out, code := traces.Glassbox("run", "--rm", "tiny", "echo", "ready"); code != 0 || !strings.HasSuffix(out, "ready\n") {
		t.Fatalf("run: exit %d: %s", code, out)
	}
	if err := errors.Join(traces.Want(0, "network", "create", "soak"), traces.Want(0, "run", "--rm", "--network", "soak", "-p", "7", "-v", "/v", "tiny", "true")); err != nil {
		t.Fatal(err)
	}
	before, err := traces.Take()
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(length)
	var workers sync.WaitGroup
	counts := make([]int, 3)
	for worker := range counts {
		workers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for n := 0; time.Now().Before(deadline); n++ {
				d := disturbances[random.IntN(len(disturbances))]
				if err := d.do(fmt.Sprintf("soak-%d-%d", worker, n)); err != nil {
					t.Errorf("%s: %v", d.name, err)
					return
				}
				counts[worker]++
			}
		})
	}
	workers.Wait()
	t.Logf("%v disturbances by three workers in %v", counts, length)
	removeAll(t)
	// Claims of addresses that killed commands leave are taken over by the next container, or released by the check.
	if err := traces.Want(0, "system", "check"); err != nil {
		t.Error(err)
	}
	left, _, err := traces.Left(before, 10*time.Second)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %s; %v", strings.Join(left, "\n  "), err)
	}
}

var disturbances = []struct {
	name string
	do   func(name string) error
}{
	{"a container that ends by itself", func(string) error { return traces.Want(7, "run", "--rm", "tiny", "sh", "-c", "exit 7") }},
	{"a command that is not there", func(string) error { return traces.Want(127, "run", "--rm", "tiny", "nosuch") }},
	{"start, exec, stop, rm", func(name string) error {
		return errors.Join(
			traces.Want(0, "run", "-d", "--name", name, "tiny", "sleep", "1000"),
			traces.Want(3, "exec", name, "sh", "-c", "exit 3"),
			traces.Want(0, "stop", "-t", "0", name),
			traces.Want(0, "start", name),
			traces.Want(0, "kill", name),
			traces.Want(0, "rm", "-f", name))
	}},
	{"two that remove one container", func(name string) error {
		if err := traces.Want(0, "run", "-d", "--name", name, "tiny", "sleep", "1000"); err != nil {
			return err
		}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { traces.Glassbox("rm", "-f", name) })
		}
		both.Wait()
		return traces.Want(1, "inspect", name)
	}},
	{"two that want one name", func(name string) error {
		codes := make([]int, 2)
		var both sync.WaitGroup
		for i := range codes {
			both.Go(func() { _, codes[i] = traces.Glassbox("create", "--name", name, "tiny", "true") })
		}
		both.Wait()
		if slices.Sort(codes); !slices.Equal(codes, []int{0, 1}) {
			return fmt.Errorf("both ended with %v", codes)
		}
		return traces.Want(0, "rm", name)
	}},
	{"a command line killed in the middle", func(name string) error {
		c := exec.Command(traces.Binary(), "run", "--name", name, "tiny", "sleep", "0.2")
		if err := c.Start(); err != nil {
			return err
		}
		time.Sleep(rand.N(60 * time.Millisecond))
		c.Process.Kill()
		c.Wait()
		_, _ = traces.Glassbox("rm", "-f", name)
		return traces.Want(1, "inspect", name)
	}},
	{"a monitor killed", func(name string) error {
		if err := traces.Want(0, "run", "-d", "--name", name, "tiny", "sleep", "1000"); err != nil {
			return err
		}
		id, _ := traces.Glassbox("inspect", "-f", "{{.Id}}", name)
		return errors.Join(kill(traces.Companions("monitor", strings.TrimSpace(id))), traces.Want(0, "exec", name, "true"), traces.Want(0, "rm", "-f", name))
	}},
	{"a network's life", func(name string) error {
		return errors.Join(
			traces.Want(0, "network", "create", "--ipv6", name),
			traces.Want(0, "run", "-d", "--name", name, "--network", name, "--network-alias", "it", "tiny", "sleep", "1000"),
			traces.Want(0, "network", "connect", "soak", name),
			traces.Want(1, "network", "rm", name),
			traces.Want(0, "run", "--rm", "--network", name, "tiny", "true"),
			traces.Want(0, "network", "disconnect", "soak", name),
			traces.Want(0, "stop", "-t", "0", name),
			traces.Want(0, "start", name),
			traces.Want(0, "rm", "-f", name),
			traces.Want(0, "network", "rm", name))
	}},
	{"published ports", func(name string) error {
		return errors.Join(
			traces.Want(0, "run", "-d", "--name", name, "--network", "soak", "-p", "80", "-p", "53/udp", "tiny", "sleep", "1000"),
			traces.Want(0, "port", name, "80"),
			traces.Want(0, "kill", name),
			traces.Want(0, "start", name),
			traces.Want(0, "rm", "-f", name))
	}},
	{"a start that fails after the network was plugged in", func(name string) error {
		return traces.Want(127, "run", "--rm", "--network", "soak", "-p", "80", "-v", name+":/v", "tiny", "nosuch")
	}},
	{"an attendant killed", func(name string) error {
		if err := traces.Want(0, "run", "-d", "--name", name, "--network", "soak", "-p", "80", "tiny", "sleep", "1000"); err != nil {
			return err
		}
		id, _ := traces.Glassbox("inspect", "-f", "{{.Id}}", name)
		return errors.Join(kill(traces.Companions("attend", strings.TrimSpace(id))), traces.Want(0, "ps"), traces.Want(0, "rm", "-f", name))
	}},
	{"a command line killed while it plugs", func(name string) error {
		c := exec.Command(traces.Binary(), "run", "-d", "--name", name, "--network", "soak", "-p", "80", "-v", "/v", "tiny", "sleep", "0.2")
		if err := c.Start(); err != nil {
			return err
		}
		time.Sleep(rand.N(80 * time.Millisecond))
		c.Process.Kill()
		c.Wait()
		_, _ = traces.Glassbox("rm", "-f", "-v", name)
		return traces.Want(1, "inspect", name)
	}},
	{"a volume's life", func(name string) error {
		return errors.Join(
			traces.Want(0, "volume", "create", name),
			traces.Want(0, "run", "-d", "--name", name, "-v", name+":/v", "-v", "/anonymous", "--tmpfs", "/t", "tiny", "sleep", "1000"),
			traces.Want(0, "run", "--rm", "--volumes-from", name, "tiny", "sh", "-c", "echo here >/v/file"),
			traces.Want(1, "volume", "rm", name),
			traces.Want(0, "exec", name, "cat", "/v/file"),
			traces.Want(0, "rm", "-f", "-v", name),
			traces.Want(0, "run", "--rm", "-v", name+":/v", "tiny", "cat", "/v/file"),
			traces.Want(0, "volume", "rm", name))
	}},
}

func kill(all []traces.Process) error {
	for _, one := range all {
		if p, err := os.FindProcess(one.PID()); err == nil {
			p.Kill() //nolint:errcheck // it may have ended
		}
	}
	return nil
}

func removeAll(t *testing.T) {
	ids, _ := traces.Glassbox("ps", "-aq")
	if fields := strings.Fields(ids); len(fields) > 0 {
		if out, code := traces.Glassbox(append([]string{"rm", "-f"}, fields...)...); code != 0 {
			t.Errorf("rm -f: exit %d: %s", code, out)
		}
	}
	if out, code := traces.Glassbox("volume", "prune", "-a", "-f"); code != 0 {
		t.Errorf("volume prune: exit %d: %s", code, out)
	}
}
