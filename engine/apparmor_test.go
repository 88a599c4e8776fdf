package engine

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"glassbox/test/need"
)

// TestAppArmor looks at what confines a container from inside.
func TestAppArmor(t *testing.T) {
	need.AppArmor(t)
	m := newMachine(t)
	info, err := m.System.Info()
	if m.ok(err); !slices.Contains(info.SecurityOptions, "name=apparmor") {
		t.Errorf("info shows the security options %q", info.SecurityOptions)
	}
	const who = "cat /proc/self/attr/current; "
	const try = who + "mkdir -p /m; mount -t tmpfs none /m && echo mounted"
	m.unload(defaultProfile)
	for _, test := range []struct {
		name, script, profile string
		says, never           string
		change                func(*Options)
	}{
		{"the default", try, "docker-default", "docker-default (enforce)", "mounted", func(o *Options) { o.HostConfig.CapAdd = []string{"SYS_ADMIN"} }},
		{"unconfined", try, "unconfined", "mounted", "docker", func(o *Options) {
			o.HostConfig.CapAdd, o.HostConfig.SecurityOpt = []string{"SYS_ADMIN"}, []string{"apparmor=unconfined"}
		}},
		{"privileged", try, "unconfined", "mounted", "docker", func(o *Options) { o.HostConfig.Privileged = true }},
		{"one's own", who + "echo no >/etc/passwd; echo yes >/tmp/x && cat /tmp/x", "glassbox-test", "glassbox-test (enforce)\nyes", "", func(o *Options) {
			o.HostConfig.SecurityOpt = []string{"apparmor=glassbox-test"}
			m.load("profile glassbox-test flags=(attach_disconnected) { file, capability, network, deny /etc/passwd w, }")
		}},
		{"a user namespace", who, "docker-default", "docker-default (enforce)", "", func(o *Options) { o.HostConfig.UsernsMode = "auto" }},
		{"no new privileges", who, "docker-default", "docker-default (enforce)", "", func(o *Options) { o.HostConfig.SecurityOpt = []string{"no-new-privileges"} }},
	} {
		o := shell(test.script)
		test.change(&o)
		id := m.detached(o)
		m.end(id)
		out, _ := m.logs(id, LogOptions{Tail: -1})
		if !strings.Contains(out, test.says) || test.never != "" && strings.Contains(out, test.never) {
			t.Errorf("%s: %q", test.name, out)
		}
		if got := m.inspect(id).AppArmorProfile; got != test.profile {
			t.Errorf("%s: inspect shows the profile %q, want %q", test.name, got, test.profile)
		}
	}
	loaded, err := os.ReadFile("/sys/kernel/security/apparmor/profiles")
	if m.ok(err); !strings.Contains(string(loaded), "docker-default (enforce)") {
		t.Errorf("profiles loaded:\n%s", loaded)
	}
}

// TestAppArmorExec: a further process is confined as the first, also when it is privileged; a profile that nobody has loaded is named.
func TestAppArmorExec(t *testing.T) {
	need.AppArmor(t)
	m := newMachine(t)
	id := m.detached(shell("sleep 1000"))
	m.unload(defaultProfile) // it still confines who has it, and the exec loads it anew
	for _, privileged := range []bool{false, true} {
		if out, err := m.inside(id, "cat /proc/self/attr/current", privileged); err != nil || !strings.Contains(out, "docker-default (enforce)") {
			t.Errorf("exec, privileged %v: runs as %q, %v", privileged, out, err)
		}
	}
	o := shell("true")
	o.HostConfig.SecurityOpt = []string{"apparmor=nobody-loaded-this"}
	if err := m.Containers.Start(bg, m.create(o)); err == nil || !strings.Contains(err.Error(), "process.apparmorProfile") {
		t.Errorf("a profile that nobody has loaded: %v", err)
	}
}

// load gives the kernel a profile for the time of the test.
func (m *machine) load(profile string) {
	m.t.Helper()
	c := exec.Command("apparmor_parser", "-Kr")
	c.Stdin = strings.NewReader(profile)
	if out, err := c.CombinedOutput(); err != nil {
		m.t.Fatalf("apparmor_parser: %v\n%s", err, out)
	}
	m.t.Cleanup(func() { m.unload("glassbox-test") })
}

// unload takes a profile from the kernel, if it is there.
func (m *machine) unload(name string) {
	c := exec.Command("apparmor_parser", "-R")
	c.Stdin = strings.NewReader("profile " + name + " {}")
	_ = c.Run()
}
