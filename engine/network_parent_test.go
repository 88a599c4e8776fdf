package engine

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"glassbox/test/need"

	dockernetwork "github.com/docker/docker/api/types/network"
)

// needs tries to make an interface of each kind.
func (h *alone) needs(kinds ...string) {
	h.t.Helper()
	h.run("ip link add eth0 type veth peer name far; ip link set eth0 up; ip link set far up")
	for _, kind := range kinds {
		command := map[string]string{
			"dummy": "ip link add try0 type dummy", "vlan": "ip link add link eth0 name try0 type vlan id 7",
			"macvlan": "ip link add link eth0 name try0 type macvlan", "ipvlan": "ip link add link eth0 name try0 type ipvlan",
		}[kind]
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			if need.VM() {
				h.t.Fatalf("%s: %s", command, out)
			}
			h.t.Skipf("needs %s interfaces: %s (runs in the VM: go run ./test/vm test)", kind, strings.TrimSpace(string(out)))
		}
		h.run("ip link del try0")
	}
}

func (h *alone) has(names ...string) {
	h.t.Helper()
	got := h.links()
	slices.Sort(got)
	want := append([]string{"eth0", "far"}, names...)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		h.t.Errorf("interfaces %v, want %v", got, want)
	}
}

func on(driver, parent, mode string) dockernetwork.CreateOptions {
	o := dockernetwork.CreateOptions{Driver: driver, Options: map[string]string{}}
	if parent != "" {
		o.Options["parent"] = parent
	}
	if mode != "" {
		o.Options[driver+"_mode"] = mode
	}
	return o
}

func TestParents(t *testing.T) {
	need.SecondKernel(t)
	h := newAlone(t)
	h.needs("dummy", "vlan", "macvlan", "ipvlan")
	alone := h.create("alone", on("macvlan", "", ""))
	if !alone.closed() || alone.Pools[0].Gateway.IsValid() {
		t.Errorf("without a parent: %+v", alone)
	}
	h.has("dm-" + alone.short())
	layer3 := h.create("l3", on("ipvlan", "", "l3"))
	h.has("dm-"+alone.short(), "di-"+layer3.short())
	h.run("ip link del " + alone.Parent)
	h.must(os.RemoveAll(os.Getenv("GLASSBOX_RUN")))
	h.raise(alone)
	h.has("dm-"+alone.short(), "di-"+layer3.short())
	if calls := h.raise(alone); len(calls) > 0 {
		t.Errorf("raised twice: %q", calls)
	}
	h.must(h.Networks.Remove("alone"))
	h.must(h.Networks.Remove("l3"))
	h.has()

	lan := h.create("lan", on("macvlan", "eth0", ""))
	if lan.closed() || lan.gateway(lan.Pools[0].Gateway) != lan.Pools[0].Gateway || lan.ParentMade {
		t.Errorf("on eth0: %+v", lan)
	}
	one := h.create("one", on("macvlan", "eth0.10", ""))
	two := h.create("two", on("macvlan", "eth0.10", "private"))
	if out := h.run("ip -d -o link show dev eth0.10"); !strings.Contains(out, "vlan protocol 802.1Q id 10") || !strings.Contains(out, ",UP") {
		t.Error(out)
	}
	h.refuses("pass", on("macvlan", "eth0.10", "passthru"), "cannot use mode passthru, macvlan network "+one.ID+" is already using parent interface eth0.10",
		"cannot use mode passthru, macvlan network "+two.ID+" is already using parent interface eth0.10")
	h.must(h.Networks.Remove("one"))
	h.has("eth0.10")
	h.must(h.Networks.Remove("two"))
	h.has()
	h.must(h.Networks.Remove("lan"))

	pass := h.create("pass", on("macvlan", "eth0", "passthru"))
	h.refuses("more", on("macvlan", "eth0", ""), "macvlan network "+pass.ID+" is already using parent interface eth0 in mode passthru")
	h.must(h.Networks.Remove("pass"))
	first := h.create("first", on("ipvlan", "eth0", ""))
	h.refuses("second", on("ipvlan", "eth0", "l3"), "network di-"+first.short()+" is already using parent interface eth0")
	h.must(h.Networks.Remove("first"))
	h.refuses("x", on("macvlan", "eth0.5000", ""), "vlan id must be between 1-4094, received: 5000")
	h.has()
}

func (h *alone) refuses(name string, o dockernetwork.CreateOptions, want ...string) {
	h.t.Helper()
	if _, err := h.Networks.Create(name, o); err == nil || !slices.Contains(want, err.Error()) {
		h.t.Errorf("network create %s %v: %v, want %s", name, o.Options, err, want)
	}
}

// Two macvlan networks may have one subnet, when each has a range of its own: two hosts' worth of containers on one wire.
func TestOneSubnetForTwo(t *testing.T) {
	n := paper(t)
	o := on("macvlan", "", "")
	for i, name := range []string{"low", "high"} {
		o.IPAM = subnets(dockernetwork.IPAMConfig{Subnet: "192.168.7.0/24", IPRange: []string{"192.168.7.64/26", "192.168.7.128/26"}[i]})
		r := n.keep(t, name, o)
		if got, want := n.given(t, r, n.running(t)), []string{"192.168.7.64/24", "192.168.7.128/24"}[i]; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if _, err := n.admitted("again", o); err == nil || !strings.Contains(err.Error(), "Pool overlaps") {
		t.Error(err)
	}
}
