// Package soak starts, disturbs and ends containers for a while and then looks for anything that was left behind.
package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
	os.Setenv("GLASSBOX_ROOT", world.Dir()+"/root")
	os.Setenv("GLASSBOX_RUN", "/run/glassbox")
	// The first run makes the built-in image.
	if out, code := glassbox("run", "--rm", "tiny", "echo", "ready"); code != 0 || !strings.HasSuffix(out, "ready\n") {
		t.Fatalf("run: exit %d: %s", code, out)
	}
	if err := errors.Join(want(0, "network", "create", "soak"), want(0, "run", "--rm", "--network", "soak", "-p", "7", "-v", "/v", "tiny", "true")); err != nil {
		t.Fatal(err)
	}
	before := traces(t)
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
	var left []string
	for range 50 {
		// What was there before may have gone: others use this machine, too.
		left = slices.DeleteFunc(traces(t), func(s string) bool { return slices.Contains(before, s) })
		if len(left) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("left behind: %s", strings.Join(left, "\n  "))
}

// glassbox runs one command and returns what it said on both streams.
func glassbox(args ...string) (string, int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, world.Dir()+"/glassbox/glassbox", args...)
	c.WaitDelay = time.Second
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		return err.Error(), -1
	}
	return string(out), 0
}

// want runs a command that must end with this code.
func want(code int, args ...string) error {
	if out, have := glassbox(args...); have != code {
		return fmt.Errorf("glassbox %s: exit %d, not %d: %s", strings.Join(args, " "), have, code, out)
	}
	return nil
}

var disturbances = []struct {
	name string
	do   func(name string) error
}{
	{"a container that ends by itself", func(string) error { return want(7, "run", "--rm", "tiny", "sh", "-c", "exit 7") }},
	{"a command that is not there", func(string) error { return want(127, "run", "--rm", "tiny", "nosuch") }},
	{"start, exec, stop, rm", func(name string) error {
		return errors.Join(
			want(0, "run", "-d", "--name", name, "tiny", "sleep", "1000"),
			want(3, "exec", name, "sh", "-c", "exit 3"),
			want(0, "stop", "-t", "0", name),
			want(0, "start", name),
			want(0, "kill", name),
			want(0, "rm", "-f", name))
	}},
	{"two that remove one container", func(name string) error {
		if err := want(0, "run", "-d", "--name", name, "tiny", "sleep", "1000"); err != nil {
			return err
		}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { glassbox("rm", "-f", name) })
		}
		both.Wait()
		return want(1, "inspect", name)
	}},
	{"two that want one name", func(name string) error {
		codes := make([]int, 2)
		var both sync.WaitGroup
		for i := range codes {
			both.Go(func() { _, codes[i] = glassbox("create", "--name", name, "tiny", "true") })
		}
		both.Wait()
		if slices.Sort(codes); !slices.Equal(codes, []int{0, 1}) {
			return fmt.Errorf("both ended with %v", codes)
		}
		return want(0, "rm", name)
	}},
	{"a command line killed in the middle", func(name string) error {
		c := exec.Command(world.Dir()+"/glassbox/glassbox", "run", "--name", name, "tiny", "sleep", "0.2")
		if err := c.Start(); err != nil {
			return err
		}
		time.Sleep(rand.N(60 * time.Millisecond))
		c.Process.Kill()
		c.Wait()
		_, _ = glassbox("rm", "-f", name)
		return want(1, "inspect", name)
	}},
	{"a monitor killed", func(name string) error {
		if err := want(0, "run", "-d", "--name", name, "tiny", "sleep", "1000"); err != nil {
			return err
		}
		id, _ := glassbox("inspect", "-f", "{{.Id}}", name)
		return errors.Join(kill(monitors(strings.TrimSpace(id))), want(0, "exec", name, "true"), want(0, "rm", "-f", name))
	}},
	{"a network's life", func(name string) error {
		return errors.Join(
			want(0, "network", "create", "--ipv6", name),
			want(0, "run", "-d", "--name", name, "--network", name, "--network-alias", "it", "tiny", "sleep", "1000"),
			want(0, "network", "connect", "soak", name),
			want(1, "network", "rm", name),
			want(0, "run", "--rm", "--network", name, "tiny", "true"),
			want(0, "network", "disconnect", "soak", name),
			want(0, "stop", "-t", "0", name),
			want(0, "start", name),
			want(0, "rm", "-f", name),
			want(0, "network", "rm", name))
	}},
	{"published ports", func(name string) error {
		return errors.Join(
			want(0, "run", "-d", "--name", name, "--network", "soak", "-p", "80", "-p", "53/udp", "tiny", "sleep", "1000"),
			want(0, "port", name, "80"),
			want(0, "kill", name),
			want(0, "start", name),
			want(0, "rm", "-f", name))
	}},
	{"a start that fails after the network was plugged in", func(name string) error {
		return want(127, "run", "--rm", "--network", "soak", "-p", "80", "-v", name+":/v", "tiny", "nosuch")
	}},
	{"an attendant killed", func(name string) error {
		if err := want(0, "run", "-d", "--name", name, "--network", "soak", "-p", "80", "tiny", "sleep", "1000"); err != nil {
			return err
		}
		id, _ := glassbox("inspect", "-f", "{{.Id}}", name)
		return errors.Join(kill(companions("attend", strings.TrimSpace(id))), want(0, "ps"), want(0, "rm", "-f", name))
	}},
	{"a command line killed while it plugs", func(name string) error {
		c := exec.Command(world.Dir()+"/glassbox/glassbox", "run", "-d", "--name", name, "--network", "soak", "-p", "80", "-v", "/v", "tiny", "sleep", "0.2")
		if err := c.Start(); err != nil {
			return err
		}
		time.Sleep(rand.N(80 * time.Millisecond))
		c.Process.Kill()
		c.Wait()
		_, _ = glassbox("rm", "-f", "-v", name)
		return want(1, "inspect", name)
	}},
	{"a volume's life", func(name string) error {
		return errors.Join(
			want(0, "volume", "create", name),
			want(0, "run", "-d", "--name", name, "-v", name+":/v", "-v", "/anonymous", "--tmpfs", "/t", "tiny", "sleep", "1000"),
			want(0, "run", "--rm", "--volumes-from", name, "tiny", "sh", "-c", "echo here >/v/file"),
			want(1, "volume", "rm", name),
			want(0, "exec", name, "cat", "/v/file"),
			want(0, "rm", "-f", "-v", name),
			want(0, "run", "--rm", "-v", name+":/v", "tiny", "cat", "/v/file"),
			want(0, "volume", "rm", name))
	}},
}

// monitors are the /proc directories of the monitors of a container, or of all.
func monitors(id string) []string { return companions("monitor", id) }

// companions are those of the processes of one kind, monitor or attend, that stay with a container, or with any.
func companions(kind, id string) []string {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	return slices.DeleteFunc(dirs, func(dir string) bool {
		line, _ := os.ReadFile(dir + "/cmdline")
		args := bytes.Split(line, []byte{0})
		return len(args) < 2 || string(args[1]) != kind || !bytes.Contains(line, []byte(id))
	})
}

func kill(dirs []string) error {
	for _, dir := range dirs {
		var pid int
		if _, err := fmt.Sscanf(dir, "/proc/%d", &pid); err != nil {
			return err
		}
		if p, err := os.FindProcess(pid); err == nil {
			p.Kill() //nolint:errcheck // it may have ended
		}
	}
	return nil
}

func removeAll(t *testing.T) {
	ids, _ := glassbox("ps", "-aq")
	if fields := strings.Fields(ids); len(fields) > 0 {
		if out, code := glassbox(append([]string{"rm", "-f"}, fields...)...); code != 0 {
			t.Errorf("rm -f: exit %d: %s", code, out)
		}
	}
	if out, code := glassbox("volume", "prune", "-a", "-f"); code != 0 {
		t.Errorf("volume prune: exit %d: %s", code, out)
	}
}

// traces is all that a container can leave: processes, mounts, cgroups, interfaces, elements of sets and maps, files of its own.
func traces(t *testing.T) []string {
	found := append(monitors(""), companions("attend", "")...)
	for _, command := range []string{"ip -br link | awk '{print $1}'", "nft list ruleset"} {
		out, err := world.Output("sh", "-c", command)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, strings.Split(out, "\n")...)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		_, mount, _ := strings.Cut(strings.TrimSpace(line), " / ")
		found = append(found, mount)
	}
	roots := []string{"/sys/fs/cgroup", "/run/glassbox"}
	for _, name := range []string{"containers", "names", "networks", "networknames", "volumes"} {
		roots = append(roots, world.Dir()+"/root/"+name)
	}
	for _, root := range roots {
		filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			// The claim of an address whose container is no more is taken over by the next one.
			if _, gone := os.Stat(path); err == nil && gone != nil && d.Type() == os.ModeSymlink {
				return nil
			}
			if err == nil && (d.IsDir() || root != "/sys/fs/cgroup") {
				found = append(found, path)
			}
			return nil
		})
	}
	slices.Sort(found)
	return found
}
