package fields

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestSystemdCgroup has systemd make a container's group: a scope with Delegate=yes that goes with its last process.
func TestSystemdCgroup(t *testing.T) {
	need.Systemd(t)
	b := newBundle(t)
	b.spec.Process.Args = []string{"probe", "wait"}
	b.spec.Linux.CgroupsPath = "system.slice:fields:" + b.id
	b.spec.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(96 << 20))}, Pids: &specs.LinuxPids{Limit: new(int64(50))}}
	b.write(t)
	b.does(t, "--systemd-cgroup", "create", "--bundle", b.dir, b.id)
	b.does(t, "start", b.id)
	defer glassrun(t, "--root="+b.path("state"), "delete", "--force", b.id)

	var s specs.State
	if err := json.Unmarshal([]byte(b.does(t, "state", b.id).out), &s); err != nil {
		t.Fatal(err)
	}
	scope := "fields-" + b.id + ".scope"
	group, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", s.Pid))
	if want := "0::/system.slice/" + scope + "/container\n"; err != nil || string(group) != want {
		t.Errorf("it is in %q, %v; want %q", group, err, want)
	}
	out, err := exec.Command("systemctl", "show", "-p", "ActiveState,Delegate", scope).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ActiveState=active") || !strings.Contains(string(out), "Delegate=yes") {
		t.Errorf("systemd says %s, %v", out, err)
	}
	dir := "/sys/fs/cgroup/system.slice/" + scope
	for file, want := range map[string]string{"memory.max": "100663296\n", "pids.max": "50\n"} {
		if got, err := os.ReadFile(dir + "/container/" + file); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", file, got, err)
		}
	}
	b.does(t, "update", "--memory", "134217728", b.id)
	if got, _ := os.ReadFile(dir + "/container/memory.max"); string(got) != "134217728\n" {
		t.Errorf("updated: %q", got)
	}
	b.does(t, "pause", b.id)
	b.does(t, "resume", b.id)
	b.does(t, "delete", "--force", b.id)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(dir); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%s is still there", dir)
		}
	}
	b.spec.Linux.CgroupsPath = "/fields/" + b.id
	b.write(t)
	if a := glassrun(t, "--root="+b.path("state"), "--systemd-cgroup", "run", "--bundle", b.dir, b.id); a.code == 0 || !strings.Contains(a.errs, `to be of format "slice:prefix:name" for systemd cgroups`) {
		t.Errorf("%d: %s", a.code, a.errs)
	}
}

// Where systemd makes no cgroups it is not asked to.
func TestSystemdCgroupWithoutSystemd(t *testing.T) {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		t.Skip("systemd manages this machine")
	}
	b := newBundle(t)
	b.spec.Process.Args = []string{"true"}
	b.spec.Linux.CgroupsPath = "system.slice:fields:x"
	b.write(t)
	a := glassrun(t, "--root="+b.path("state"), "--systemd-cgroup", "run", "--bundle", b.dir, b.id)
	if a.code == 0 || !strings.Contains(a.errs, "systemd cgroup flag passed, but systemd support for managing cgroups is not available") {
		t.Errorf("%d: %s", a.code, a.errs)
	}
}
