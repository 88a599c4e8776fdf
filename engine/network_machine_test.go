package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"glassbox/program"
	"glassbox/test/need"

	dockernetwork "github.com/docker/docker/api/types/network"
	"golang.org/x/sys/unix"
)

// alone is an engine on a machine that has nothing but lo: the test's thread moves into a network namespace, and ends with the test.
type alone struct {
	*Engine
	t    testing.TB
	said []string
}

func newAlone(t testing.TB) *alone {
	t.Helper()
	need.Root(t)
	need.Program(t, "ip")
	need.Program(t, "nft")
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	h := &alone{t: t}
	h.open(t.TempDir())
	h.run("ip link set lo up")
	return h
}

func (h *alone) open(dir string) {
	h.t.Setenv("GLASSBOX_ROOT", dir+"/data")
	h.t.Setenv("GLASSBOX_RUN", dir+"/run")
	e, err := Open()
	if err != nil {
		h.t.Fatal(err)
	}
	h.Engine = e
	e.Networks.Warn = func(message string) { h.said = append(h.said, message) }
}

func (h *alone) run(command string) string {
	h.t.Helper()
	out, err := exec.Command("sh", "-c", command).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func (h *alone) create(name string, o dockernetwork.CreateOptions) *networkRecord {
	h.t.Helper()
	made, err := h.Networks.Create(name, o)
	if err != nil {
		h.t.Fatalf("creating %s: %v", name, err)
	}
	r, err := h.Networks.load(made.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *alone) raise(r *networkRecord) []string {
	h.t.Helper()
	var l program.Ledger
	if err := h.Networks.raise(r, &l); err != nil {
		h.t.Fatal(err)
	}
	var calls []string
	for _, d := range l.Account("", "").Host {
		calls = append(calls, d.Call)
	}
	return calls
}

// links are the interfaces but lo.
func (h *alone) links() []string {
	h.t.Helper()
	var names []string
	for line := range strings.Lines(h.run("ip -o link")) {
		name, _, _ := strings.Cut(strings.Fields(line)[1], "@")
		if name = strings.TrimSuffix(name, ":"); name != "lo" {
			names = append(names, name)
		}
	}
	return names
}

func (h *alone) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func TestNetworkComesAndGoes(t *testing.T) {
	h := newAlone(t)
	r := h.create("lan", dockernetwork.CreateOptions{IPAM: &dockernetwork.IPAM{Config: []dockernetwork.IPAMConfig{{Subnet: "10.9.0.0/24"}}}})
	bridge := "br-" + r.ID[:12]
	if got := h.links(); len(got) != 1 || got[0] != bridge {
		t.Errorf("after create: %v", got)
	}
	if out := h.run("ip -o addr show dev " + bridge); !strings.Contains(out, "10.9.0.1/24") {
		t.Errorf("the bridge's addresses: %s", out)
	}
	if out := h.run("nft list ruleset"); !strings.Contains(out, bridge) {
		t.Errorf("the firewall does not know %s:\n%s", bridge, out)
	}
	if out := h.run("cat /proc/sys/net/ipv4/ip_forward"); out != "0\n" {
		t.Errorf("forwarding without need: %s", out)
	}
	if calls := h.raise(r); len(calls) != 1 || !strings.Contains(calls[0], "ip_forward=1") {
		t.Errorf("raised by %q", calls)
	}
	if len(h.said) != 1 || !strings.Contains(h.said[0], "net.ipv4.ip_forward=1") {
		t.Errorf("told %q", h.said)
	}
	if calls := h.raise(r); len(calls) != 0 {
		t.Errorf("raised again by %q", calls)
	}
	h.must(h.Networks.Remove("lan"))
	if got := h.links(); len(got) != 0 {
		t.Errorf("after remove: %v", got)
	}
	if out := h.run("nft list ruleset"); out != "" {
		t.Errorf("after remove:\n%s", out)
	}
	h.nothingLeft(r)
}

// nothingLeft looks for anything that tells of the network.
func (h *alone) nothingLeft(r *networkRecord) {
	h.t.Helper()
	for _, dir := range []string{os.Getenv("GLASSBOX_ROOT"), os.Getenv("GLASSBOX_RUN")} {
		filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if target, _ := os.Readlink(path); err == nil && strings.Contains(path+" "+target, r.ID) {
				h.t.Errorf("left: %s %s", path, target)
			}
			return nil
		})
	}
	if _, err := h.Networks.named(r.Name); err != nil {
		h.t.Error(err)
	}
}
