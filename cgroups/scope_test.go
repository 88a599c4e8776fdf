package cgroups

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestScope plays a monitor, started by a unit of systemd's, that makes a container in a scope and dies; the unit is stopped and
// systemd reloaded, and the container must not notice any of it.
func TestScope(t *testing.T) {
	need.Root(t)
	need.Systemd(t)
	if report := os.Getenv("GLASSBOX_TEST_MONITOR"); report != "" {
		playMonitor(t, report)
		return
	}
	report := filepath.Join(t.TempDir(), "report")
	systemctl := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	// Nothing but this unit: a journal or the usual dependencies would start half a system, which empties /tmp.
	systemctl("systemd-run", "--unit=login", "-p", "DefaultDependencies=no", "-p", "StandardOutput=null", "-p", "StandardError=null",
		"--setenv=GLASSBOX_TEST_MONITOR="+report, "--setenv=GLASSBOX_RING=vm", os.Args[0], "-test.run=^TestScope$")
	var fields []string
	eventually(t, "the monitor has reported", func() bool {
		text, _ := os.ReadFile(report)
		fields = strings.Fields(string(text))
		return len(fields) > 0
	})
	if len(fields) != 3 || fields[1] != "/system.slice/glassbox-test.scope/monitor" {
		t.Fatalf("the monitor reports %q", fields)
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	g := Group{fields[2]}
	eventually(t, "the monitor has ended", func() bool { return len(pids(filepath.Dir(g.Path)+"/monitor")) == 0 })
	exec.Command("systemctl", "stop", "login").Run() // it may be gone by itself
	systemctl("systemctl", "daemon-reload")
	if out := systemctl("systemctl", "show", "-p", "ActiveState,Delegate,TasksMax", "glassbox-test.scope"); !strings.Contains(out, "ActiveState=active") || !strings.Contains(out, "Delegate=yes") || !strings.Contains(out, "TasksMax=infinity") {
		t.Errorf("the scope is %s", out)
	}
	if got := groupOf(fields[0]); got != "/system.slice/glassbox-test.scope/container" {
		t.Errorf("the container is in %q", got)
	}
	if limit, err := os.ReadFile(g.Path + "/memory.max"); err != nil || string(limit) != "67108864\n" {
		t.Errorf("its memory limit is %q, %v", limit, err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("the container died: %v", err)
	}
	f, err := Observe(anything)
	if err != nil {
		t.Fatal(err)
	}
	requests, err := g.Update(&specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: ptr(uint64(512))}}, f)
	if err != nil || carryOut(requests) != nil {
		t.Errorf("updating: %v, %v", err, carryOut(requests))
	}
	if got, _ := os.ReadFile(g.Path + "/cpu.weight"); string(got) != "59\n" {
		t.Errorf("updated weight: %q", got)
	}
	if err := g.Kill(); err != nil {
		t.Error(err)
	}
	eventually(t, "systemd has removed the empty scope", func() bool { return !isDir(filepath.Dir(g.Path)) })
	if out := systemctl("systemctl", "list-units", "--all", "--plain", "glassbox-*"); !strings.Contains(out, "0 loaded units") {
		t.Errorf("units are left: %s", out)
	}
}

// playMonitor makes the scope and a process in it, reports both and goes.
func playMonitor(t *testing.T, report string) {
	f, err := Observe(anything)
	if err != nil {
		t.Fatal(err)
	}
	path, err := f.Path("", "test")
	if err != nil {
		t.Fatal(err)
	}
	g, requests, err := Compile(path, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20))}}, f)
	if err == nil {
		err = carryOut(requests)
	}
	if err != nil {
		os.WriteFile(report, []byte(err.Error()), 0o644)
		t.Fatal(err)
	}
	dir, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("sleep", "100")
	c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(report, fmt.Appendf(nil, "%d %s %s", c.Process.Pid, groupOf("self"), g.Path), 0o644)
}

// TestScopeTwice: a second container of the same name is refused by systemd in words.
func TestScopeTwice(t *testing.T) {
	need.Root(t)
	need.Systemd(t)
	if out, err := exec.Command("systemd-run", "--scope", "--unit=glassbox-twice.scope", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo started").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	defer exec.Command("systemctl", "stop", "glassbox-twice.scope").Run()
	err := startTransientUnit("glassbox-twice.scope", "system.slice", os.Getpid())
	if err == nil || !strings.Contains(err.Error(), "glassbox-twice.scope") {
		t.Errorf("systemd said %v", err)
	}
}
