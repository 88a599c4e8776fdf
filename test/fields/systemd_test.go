package fields

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"glassbox/test/bundle"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestSystemdCgroup has systemd make a container's group: a scope with Delegate=yes that goes with its last process.
func TestSystemdCgroup(t *testing.T) {
	need.Systemd(t)
	b := newBox(t)
	b.Spec.Process.Args = []string{"probe", "wait"}
	b.Spec.Linux.CgroupsPath = "system.slice:fields:" + b.ID
	b.Spec.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(96 << 20))}, Pids: &specs.LinuxPids{Limit: new(int64(50))}}
	b.Write(t)
	b.does(t, "--systemd-cgroup", "create", "--bundle", b.Dir, b.ID)
	b.does(t, "start", b.ID)
	defer glassrun(t, "--root="+b.Path("state"), "delete", "--force", b.ID)

	var s specs.State
	if err := json.Unmarshal([]byte(b.does(t, "state", b.ID).Out), &s); err != nil {
		t.Fatal(err)
	}
	scope := "fields-" + b.ID + ".scope"
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
	b.does(t, "update", "--memory", "134217728", b.ID)
	if got, _ := os.ReadFile(dir + "/container/memory.max"); string(got) != "134217728\n" {
		t.Errorf("updated: %q", got)
	}
	b.does(t, "pause", b.ID)
	b.does(t, "resume", b.ID)
	b.does(t, "delete", "--force", b.ID)
	for end := time.Now().Add(bundle.Patience); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(dir); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%s is still there", dir)
		}
	}
	b.Spec.Linux.CgroupsPath = "/fields/" + b.ID
	b.Write(t)
	if a := glassrun(t, "--root="+b.Path("state"), "--systemd-cgroup", "run", "--bundle", b.Dir, b.ID); a.Code == 0 || !strings.Contains(a.Errs, `to be of format "slice:prefix:name" for systemd cgroups`) {
		t.Errorf("%d: %s", a.Code, a.Errs)
	}
}

// Where systemd makes no cgroups it is not asked to.
func TestSystemdCgroupWithoutSystemd(t *testing.T) {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		t.Skip("systemd manages this machine")
	}
	b := newBox(t)
	b.Spec.Process.Args = []string{"true"}
	b.Spec.Linux.CgroupsPath = "system.slice:fields:x"
	b.Write(t)
	a := glassrun(t, "--root="+b.Path("state"), "--systemd-cgroup", "run", "--bundle", b.Dir, b.ID)
	if a.Code == 0 || !strings.Contains(a.Errs, "systemd cgroup flag passed, but systemd support for managing cgroups is not available") {
		t.Errorf("%d: %s", a.Code, a.Errs)
	}
}
