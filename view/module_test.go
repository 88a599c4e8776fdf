package view

import (
	"strings"
	"testing"

	"glassbox/test/need"
)

// TestAppArmorLabel: the profile that confines a container, and one that shall run without.
func TestAppArmorLabel(t *testing.T) {
	need.AppArmor(t)
	m := newMachine(t)
	m.sh("mount -t securityfs none /sys/kernel/security") // which the world's sysfs has not
	t.Cleanup(func() { m.sh("umount /sys/kernel/security") })
	for name, flags := range map[string]string{"confined": "", "free": "--security-opt apparmor=unconfined"} {
		pid := m.run(name, "--network none "+flags, "sleep 1000")
		label := m.sh("tr -d '\\0' </proc/" + pid + "/attr/current")
		v := m.view(name).Label
		m.equal(name+": the label", v.Container, label)
		if v.Mark != "" || v.Host != "unconfined" || (name == "confined") != (label == "docker-default (enforce)") {
			t.Errorf("%s: %+v", name, v)
		}
		if screen := m.sh("glassbox view " + name + " rights"); !strings.Contains(screen, label) {
			t.Errorf("%s: the section rights has no %q:\n%s", name, label, screen)
		}
	}
}

// TestMacvlan: an interface that sits on one of the host's is shown with it, and no end is missed.
func TestMacvlan(t *testing.T) {
	m := newMachine(t)
	m.sh(`ip link add wire type veth peer name far; ip link set wire up; ip link set far up; ip link add wrong type dummy
glassbox network create -d macvlan -o parent=wire --subnet 192.0.2.0/24 lan`)
	m.run("one", "--network lan", "sleep 1000")
	i := m.view("one").Network.named("eth0")
	index := m.sh("cat /sys/class/net/wire/ifindex")
	if i == nil || i.Kind != "macvlan" || i.Peer == nil || i.Peer.Name != "wire" || m.sh("ip -o link show dev wire | cut -d: -f1") != index || i.Mark != "" {
		t.Fatalf("%+v", i)
	}
	if screen := m.sh("glassbox view one"); !strings.Contains(screen, "sits on wire (up)") {
		t.Error(screen)
	}
	m.sh("ip link set wire name wired")
	if i := m.view("one").Network.named("eth0"); !strings.Contains(i.Mark, "wire") {
		t.Errorf("%+v", i)
	}
}
