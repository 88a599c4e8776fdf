package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"glassbox/program"
	"glassbox/test/need"

	"github.com/docker/docker/api/types/filters"
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
	h.run("ip link set lo up; echo 0 >/proc/sys/net/ipv4/ip_forward") // a new namespace takes the machine's settings over
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
	need.SecondKernel(t)
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

// child is this test binary, doing one thing with networks in the same namespace; its process can be killed.
func (h *alone) child(what string) *exec.Cmd {
	c := exec.Command("/proc/self/exe", "-test.run=^TestChild$")
	c.Env = append(os.Environ(), "NETWORK_CHILD="+what)
	c.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	return c
}

// TestChild is what those do; by itself it does nothing.
func TestChild(t *testing.T) {
	what, name, _ := strings.Cut(os.Getenv("NETWORK_CHILD"), " ")
	if what == "" {
		return
	}
	if err := childs(what, name); err != nil {
		t.Log(err)
		os.Exit(1)
	}
	os.Exit(0) // past what TestMain has left to do
}

func childs(what, name string) error {
	e, err := Open()
	if err != nil {
		return err
	}
	e.Networks.Warn = func(string) {}
	for again := true; again && err == nil; again = what == "churn" {
		_, err = e.Networks.Create(name, dockernetwork.CreateOptions{})
		if what == "churn" && err == nil {
			err = e.Networks.Remove(name)
		}
	}
	return err
}

// Whenever a command is killed that makes or removes a network, the next ones find all in order or put it there.
func TestNetworkCommandsKilled(t *testing.T) {
	h := newAlone(t)
	kept := h.create("kept", dockernetwork.CreateOptions{})
	for i := range 25 {
		c := h.child("churn lan")
		h.must(c.Start())
		time.Sleep(15*time.Millisecond + time.Duration(i)*5*time.Millisecond)
		c.Process.Kill()
		c.Wait()
		h.inOrder()
	}
	if _, err := h.Networks.Prune(filters.NewArgs()); err != nil {
		t.Error(err)
	}
	if got := h.links(); len(got) != 0 {
		t.Errorf("left after prune: %v", got)
	}
	if out := h.run("nft list ruleset"); out != "" {
		t.Errorf("left after prune:\n%s", out)
	}
	h.nothingLeft(kept)
	for _, dir := range []string{"networks", "networknames"} {
		entries, err := os.ReadDir(os.Getenv("GLASSBOX_ROOT") + "/" + dir)
		if err != nil || len(entries) != 3 {
			t.Errorf("left in %s: %v, %v", dir, entries, err)
		}
	}
}

// inOrder makes, uses and removes the network that the killed command was at.
func (h *alone) inOrder() {
	h.t.Helper()
	all, err := h.Networks.List(filters.NewArgs(filters.Arg("type", "custom")))
	h.must(err)
	bridges := map[string]bool{}
	for _, s := range all {
		r, err := h.Networks.load(s.Name)
		h.must(err)
		h.raise(r)
		bridges[r.Bridge] = true
	}
	for _, name := range h.links() {
		if !bridges[name] {
			h.t.Errorf("nobody's: %s", name)
		}
		delete(bridges, name)
	}
	if len(bridges) > 0 {
		h.t.Errorf("missing: %v", bridges)
	}
	if _, err := h.Networks.load("lan"); Is(err, NotFound) {
		h.create("lan", dockernetwork.CreateOptions{})
	}
	h.must(h.Networks.Remove("lan"))
}

func TestNetworksMadeAtOnce(t *testing.T) {
	h := newAlone(t)
	var all []*exec.Cmd
	for i := range 8 {
		name := "same"
		if i%2 > 0 {
			name = strings.Repeat("x", i)
		}
		c := h.child("create " + name)
		h.must(c.Start())
		all = append(all, c)
	}
	failed := 0
	for _, c := range all {
		if c.Wait() != nil {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d failed, of which three had a name that was taken", failed)
	}
	list, err := h.Networks.List(filters.NewArgs(filters.Arg("type", "custom")))
	if err != nil || len(list) != 5 || len(h.links()) != 5 {
		t.Errorf("%d networks, %v, interfaces %v", len(list), err, h.links())
	}
	seen := map[string]bool{}
	for _, s := range list {
		if subnet := s.IPAM.Config[0].Subnet; seen[subnet] {
			t.Errorf("%s is given twice", subnet)
		} else {
			seen[subnet] = true
		}
	}
}

func TestNetworksAfterAReboot(t *testing.T) {
	h := newAlone(t)
	bridge, err := h.Networks.load("bridge")
	h.must(err)
	h.raise(bridge)
	lan := h.create("lan", dockernetwork.CreateOptions{Options: map[string]string{optBridgeName: "lan0", optMTU: "1400"}})
	h.run("ip link del lan0; ip link del glassbox0; nft flush ruleset; echo 0 >/proc/sys/net/ipv4/ip_forward")
	h.must(os.RemoveAll(os.Getenv("GLASSBOX_RUN")))
	h.raise(lan)
	if out := h.run("ip -o addr show dev lan0; ip -o link show dev lan0"); !strings.Contains(out, lan.Pools[0].Gateway.String()+"/16") || !strings.Contains(out, "mtu 1400") {
		t.Errorf("after a reboot: %s", out)
	}
	if out := h.run("nft list ruleset"); !strings.Contains(out, "lan0") || strings.Contains(out, "glassbox0") {
		t.Errorf("the firewall after a reboot:\n%s", out)
	}
	h.raise(bridge)
	if got := h.links(); len(got) != 2 {
		t.Error(got)
	}
	if out := h.run("nft list ruleset"); !strings.Contains(out, "glassbox0") {
		t.Errorf("the firewall does not know glassbox0:\n%s", out)
	}
	h.must(h.Networks.Remove("lan"))
	if out := h.run("nft list ruleset"); strings.Contains(out, "lan0") || !strings.Contains(out, "glassbox0") {
		t.Errorf("the firewall without lan:\n%s", out)
	}
}

func TestDeletedByHand(t *testing.T) {
	need.SecondKernel(t)
	h := newAlone(t)
	lan := h.create("lan", dockernetwork.CreateOptions{})
	other := h.create("other", dockernetwork.CreateOptions{Internal: true})
	for _, harm := range []string{"ip link del " + lan.Bridge, "nft flush ruleset", "nft delete table inet glassbox", "ip link set " + lan.Bridge + " down", "ip addr flush dev " + lan.Bridge} {
		h.run(harm)
		if calls := h.raise(lan); len(calls) == 0 {
			t.Errorf("after %s: nothing was repaired", harm)
		}
		if calls := h.raise(lan); len(calls) != 0 {
			t.Errorf("after %s: repaired twice: %q", harm, calls)
		}
		if out := h.run("nft list ruleset"); !strings.Contains(out, lan.Bridge) || !strings.Contains(out, other.Bridge) {
			t.Errorf("after %s the firewall lacks a network:\n%s", harm, out)
		}
	}
	h.run("ip link del " + lan.Bridge)
	h.must(h.Networks.Remove("lan"))
	h.must(h.Networks.Remove("other"))
	if out := h.run("nft list ruleset"); out != "" {
		t.Errorf("left:\n%s", out)
	}
}

func TestBridgesOfOthers(t *testing.T) {
	h := newAlone(t)
	h.run("ip link add mine type bridge")
	r := h.create("lan", option(optBridgeName, "mine"))
	if out := h.run("ip -o addr show dev mine"); !strings.Contains(out, r.Pools[0].Gateway.String()) {
		t.Errorf("the found bridge's addresses: %s", out)
	}
	h.must(h.Networks.Remove("lan"))
	if got := h.links(); len(got) != 1 {
		t.Errorf("a bridge that was there before is gone: %v", got)
	}
	if _, err := h.Networks.Create("x", option(optBridgeName, "lo")); err == nil || !strings.Contains(err.Error(), "existing interface lo is not a bridge") {
		t.Error(err)
	}
	if _, err := h.Networks.Create("x", option(optMTU, "10")); err == nil || !strings.Contains(err.Error(), "invalid argument") {
		t.Error(err)
	}
	if got := h.links(); len(got) != 1 {
		t.Errorf("left after failures: %v", got)
	}
	if _, err := h.Networks.load("x"); !Is(err, NotFound) {
		t.Error(err)
	}
}

func TestIsolatedNetworkHasNoAddress(t *testing.T) {
	h := newAlone(t)
	yes := true
	r := h.create("lan", dockernetwork.CreateOptions{Internal: true, EnableIPv6: &yes, Options: map[string]string{optGatewayMode4: "isolated", optGatewayMode6: "isolated"}})
	if out := h.run("ip -o addr show dev " + r.Bridge); out != "" {
		t.Error(out)
	}
	if calls := h.raise(r); len(calls) != 0 {
		t.Errorf("an internal network needs no forwarding: %q", calls)
	}
}

func TestDefaultNetworkMakesWay(t *testing.T) {
	h := newAlone(t)
	h.run("ip link add eth0 type veth peer name far && ip link set eth0 up && ip addr add 172.17.9.9/24 dev eth0")
	r, err := h.Networks.load("bridge")
	h.must(err)
	if got := r.Pools[0].Subnet.String(); got != "172.18.0.0/16" {
		t.Errorf("beside 172.17.9.0/24 the default network is %s", got)
	}
	h.raise(r)
	user := h.create("lan", dockernetwork.CreateOptions{IPAM: subnet("172.19.0.0/16")})
	h.run("ip addr add 172.18.9.9/24 dev eth0; ip addr add 172.19.9.9/24 dev eth0")
	id := h.Networks.running(t)
	if got := h.Networks.given(t, r, id); got != "172.20.0.2/16" {
		t.Errorf("after the host got a route to its subnet: %s", got)
	}
	h.raise(r)
	if out := h.run("ip -o addr show dev glassbox0"); !strings.Contains(out, "172.20.0.1/16") || strings.Contains(out, "172.18") {
		t.Errorf("glassbox0: %s", out)
	}
	if len(h.said) < 2 || !strings.Contains(strings.Join(h.said, "\n"), "the network bridge moves from 172.18.0.0/16 to 172.20.0.0/16") {
		t.Errorf("said %q", h.said)
	}
	h.run("ip addr add 172.20.9.9/24 dev eth0")
	if got := h.Networks.given(t, r, h.Networks.running(t)); got != "172.20.0.3/16" {
		t.Errorf("with a container on it: %s", got)
	}
	if got := h.Networks.given(t, user, id); got != "172.19.0.2/16" {
		t.Errorf("a subnet that was asked for: %s", got)
	}
}

func TestDamagedNetworkGoes(t *testing.T) {
	h := newAlone(t)
	r := h.create("lan", dockernetwork.CreateOptions{})
	h.must(os.WriteFile(r.place.Document(), []byte(`{"ID":`), 0o600))
	if err := h.Networks.Remove("lan"); err == nil {
		t.Error("a network whose document is damaged was removed by its name")
	}
	if err := h.Networks.Remove(r.ID[:8]); !Is(err, NotFound) {
		t.Errorf("by less than a short id: %v", err)
	}
	h.must(h.Networks.Remove(r.short()))
	if got := h.links(); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	if _, err := os.Stat(r.place.Dir); err == nil {
		t.Error("its directory is left")
	}
	h.create("lan", dockernetwork.CreateOptions{})
}
