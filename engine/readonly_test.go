package engine

import (
	"strings"
	"testing"

	"glassbox/test/need"

	"github.com/docker/docker/api/types/mount"
)

// TestReadOnly provokes each refusal that is a policy's, in a real container.
func TestReadOnly(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		name, script string
		with         func(*Options)
		place, fix   string
	}{
		{"groups", "mkdir /sys/fs/cgroup/x", nil, "/sys/fs/cgroup", "--cgroup-rw"},
		{"setting", "echo 1 >/proc/sys/net/ipv4/ip_forward", nil, "/proc/sys", "--sysctl net.ipv4.ip_forward=VALUE"},
		{"interrupts", "echo 1 >/proc/irq/default_smp_affinity", nil, "/proc/irq", "systempaths=unconfined"},
		{"sys", "mkdir /sys/x", nil, "/sys", "-v /sys:/sys"},
		{"root", "mkdir /opt", func(o *Options) { o.HostConfig.ReadonlyRootfs = true }, "/", "--tmpfs /"},
		{"root, but something else is there", "mkdir /dev/shm/x/y", func(o *Options) { o.HostConfig.ReadonlyRootfs = true }, "", ""},
		{"a mount of the user's", "mkdir /sys/fs/cgroup/x", func(o *Options) {
			o.HostConfig.Mounts = []mount.Mount{{Type: "bind", Source: "/usr", Target: "/sys/fs/cgroup", ReadOnly: true}}
		}, "", ""},
		{"writable groups", "mkdir /sys/fs/cgroup/x && rmdir /sys/fs/cgroup/x", func(o *Options) {
			o.HostConfig.SecurityOpt = []string{"writable-cgroups=true"}
		}, "", ""},
	} {
		o := shell(c.script)
		if c.with != nil {
			c.with(&o)
		}
		id := m.create(o)
		m.ok(m.Containers.Start(bg, id))
		code, err := m.Containers.Wait(bg, id)
		m.ok(err)
		_, said := m.logs(id, LogOptions{Tail: -1})
		if (code == 0) != (c.name == "writable groups") {
			t.Errorf("%s: exit code %d: %s", c.name, code, said)
		}
		found, err := m.Containers.ReadOnly(id, "")
		m.ok(err)
		switch {
		case c.place == "" && len(found) == 0:
		case len(found) != 1 || found[0].Place != c.place || !strings.Contains(found[0].Fix, c.fix):
			t.Errorf("%s: %+v, not %s\n%s", c.name, found, c.place, said)
		}
	}
}

// TestWritableGroups: root in a container divides what it was given among groups of its own.
func TestWritableGroups(t *testing.T) {
	need.CgroupV2(t, "memory")
	m := newMachine(t)
	o := shell(`cd /sys/fs/cgroup && mkdir leaf && for p in $(cat cgroup.procs); do echo $p >leaf/cgroup.procs; done 2>/dev/null
		echo +memory >cgroup.subtree_control && mkdir small && echo 10M >small/memory.max && cat small/memory.max`)
	o.HostConfig.SecurityOpt, o.HostConfig.Memory = []string{"writable-cgroups=true"}, 64<<20
	if out, errs, code := m.run(o); code != 0 || out != "10485760\n" {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}
