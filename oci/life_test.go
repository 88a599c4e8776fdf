package oci_test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The life of a container as an engine leads it, and what each command says at the wrong moment, in runc's words.
func TestLife(t *testing.T) {
	b := script(t, "echo it runs; trap 'exit 3' TERM; while :; do sleep 0.05; done")
	b.Spec.Annotations = map[string]string{"some": "thing"}
	b.refused(1, "container does not exist", "state", b.ID)
	b.create("--pid-file", b.Path("pid"))
	b.refused(1, "container with given ID already exists", "create", "--bundle", b.Dir, b.ID)

	s := b.state()
	if s.Status != "created" || s.ID != b.ID || s.Bundle != b.Dir || s.Rootfs != b.Path("rootfs") || s.Annotations["some"] != "thing" || s.OCIVersion == "" || s.Created.IsZero() {
		t.Errorf("state %+v", s)
	}
	if pid, _ := os.ReadFile(b.Path("pid")); string(pid) != strconv.Itoa(s.Pid) || unix.Kill(s.Pid, 0) != nil {
		t.Errorf("the file has pid %s, the state %d", pid, s.Pid)
	}
	if b.output() != "" {
		t.Errorf("before it is started it prints %q", b.output())
	}
	b.refused(1, "cannot delete container "+b.ID+" that is not stopped: created", "delete", b.ID)

	b.ok("start", b.ID)
	if now := b.state(); now.Status != "running" || now.Pid != s.Pid {
		t.Errorf("after start: %+v, was %+v", now, s)
	}
	eventually(t, func() error { return differs(b.output(), "it runs\n") })
	b.refused(1, "cannot start an already running container", "start", b.ID)
	b.refused(1, "cannot delete container "+b.ID+" that is not stopped: running", "delete", b.ID)

	b.ok("kill", b.ID)
	b.await("stopped")
	if pid := b.state().Pid; pid != 0 {
		t.Errorf("a stopped container has pid %d", pid)
	}
	b.refused(1, "container not running", "kill", b.ID)
	b.refused(1, "cannot start a container that has stopped", "start", b.ID)
	b.refused(255, "cannot exec in a stopped container", "exec", b.ID, "true")
	b.ok("delete", b.ID)
	b.nothingLeft()
	for _, command := range []string{"state", "start", "kill", "delete"} {
		b.refused(1, "container does not exist", command, b.ID)
	}
	b.ok("delete", "--force", b.ID)
}

type difference struct{ got, want string }

func (d difference) Error() string {
	return "got " + strconv.Quote(d.got) + ", want " + strconv.Quote(d.want)
}

func differs(got, want string) error {
	if got == want {
		return nil
	}
	return difference{got, want}
}

// What is written into config.json after the creation changes nothing, config.json being gone included.
func TestConfigIsAsAtCreation(t *testing.T) {
	b := newBox(t, "echo", "first")
	b.create()
	b.Spec.Process.Args = []string{"echo", "second"}
	b.Write(t)
	b.ok("start", b.ID)
	b.await("stopped")
	if b.output() != "first\n" {
		t.Errorf("it printed %q", b.output())
	}

	b = newBox(t, "broken")
	if err := os.WriteFile(b.Root("bin/broken"), []byte("\x7fELF, but no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.create()
	if err := os.Remove(b.Path("config.json")); err != nil {
		t.Fatal(err)
	}
	b.refused(1, "asked for by process.args", "start", b.ID)
	b.await("stopped")
}

func TestDeleteForce(t *testing.T) {
	for _, started := range []bool{false, true} {
		b := newBox(t, "sleep", "1000")
		b.create()
		pid := b.state().Pid
		if started {
			b.ok("start", b.ID)
		}
		b.ok("delete", "-f", b.ID)
		dead(t, pid)
		b.nothingLeft()
	}
}

func TestKill(t *testing.T) {
	for _, signal := range []string{"USR1", "SIGUSR1", "usr1", "sigusr1", strconv.Itoa(int(unix.SIGUSR1))} {
		b := script(t, "trap 'exit 9' USR1; echo ready; while :; do sleep 0.02; done")
		b.create()
		b.ok("start", b.ID)
		eventually(t, func() error { return differs(b.output(), "ready\n") })
		b.ok("kill", b.ID, signal)
		b.await("stopped")
		b.ok("delete", b.ID)
	}
	b := newBox(t, "sleep", "1000")
	b.create()
	for _, signal := range []string{"NOSUCH", "65", "-1", "SIG", "9x"} {
		b.refused(1, `unknown signal "`+signal+`"`, "kill", "--", b.ID, signal)
	}
	b.ok("kill", b.ID, "KILL") // also one that is only created
	b.await("stopped")
}

// In a container without PID namespace of its own, the others outlive the first process.
func TestKillAll(t *testing.T) {
	need.Hierarchy(t)
	b := script(t, "sleep 1001 & echo $!; sleep 1002 & echo $!; exec sleep 1003")
	b.Spec.Linux.Namespaces = without(b.Spec.Linux.Namespaces, specs.PIDNamespace)
	b.create()
	b.ok("start", b.ID)
	var pids []string
	eventually(t, func() error {
		pids = strings.Fields(b.output())
		return differs(strconv.Itoa(len(pids)), "2")
	})
	b.ok("kill", b.ID, "KILL")
	b.await("stopped")
	first, _ := strconv.Atoi(pids[0])
	second, _ := strconv.Atoi(pids[1])
	if unix.Kill(first, 0) != nil || unix.Kill(second, 0) != nil {
		t.Error("the others should have outlived the first")
	}
	b.ok("kill", "--all", b.ID, "TERM")
	dead(t, first)
	dead(t, second)
	b.ok("kill", "--all", b.ID, "KILL")
	b.ok("delete", b.ID)
}

func without(all []specs.LinuxNamespace, kind specs.LinuxNamespaceType) (rest []specs.LinuxNamespace) {
	for _, n := range all {
		if n.Type != kind {
			rest = append(rest, n)
		}
	}
	return rest
}

// A process that has the number of the container's by chance is not the container's.
func TestReusedPid(t *testing.T) {
	b := newBox(t, "sleep", "1000")
	b.create()
	b.ok("start", b.ID)
	path := b.Path("state/" + b.ID + "/state.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var record map[string]any
	if err := json.Unmarshal(text, &record); err != nil {
		t.Fatal(err)
	}
	pid := int(record["pid"].(float64))
	record["began"] = record["began"].(float64) - 1
	changed, _ := json.Marshal(record)
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := b.state(); s.Status != "stopped" {
		t.Errorf("status %q", s.Status)
	}
	b.refused(1, "container not running", "kill", b.ID)
	b.refused(255, "stopped container", "exec", b.ID, "true")
	if unix.Kill(pid, 0) != nil {
		t.Fatal("the process is gone")
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPaused(t *testing.T) {
	need.Hierarchy(t)
	b := newBox(t, "sleep", "1000")
	b.create()
	b.ok("start", b.ID)
	b.ok("pause", b.ID)
	if s := b.state(); s.Status != "paused" || s.Pid == 0 {
		t.Errorf("state %+v", s)
	}
	b.refused(255, "cannot exec in a paused container", "exec", b.ID, "true")
	b.refused(1, "that is not stopped: paused", "delete", b.ID)
	b.ok("delete", "--force", b.ID)
	b.nothingLeft()
}

// What a killed command leaves is no container, and can be deleted.
func TestRemains(t *testing.T) {
	b := newBox(t, "true")
	if err := os.MkdirAll(b.Path("state/"+b.ID), 0o700); err != nil {
		t.Fatal(err)
	}
	b.refused(1, "container does not exist", "state", b.ID)
	b.ok("delete", b.ID)
	b.nothingLeft()
}

// What create and start asked of the kernel is one program, told by two.
func TestAccounts(t *testing.T) {
	b := newBox(t, "true")
	b.create("--explain", b.Path("create.json"))
	b.ok("start", "--explain", b.Path("start.json"), b.ID)
	created, started := account(t, b.Path("create.json")), account(t, b.Path("start.json"))
	if len(started) != 2 || started[0].Phase != "wait" || started[1].Phase != "start" {
		t.Errorf("start tells of %v", started)
	}
	done := created[len(created)-1].Child
	if len(done) == 0 || !strings.HasSuffix(done[len(done)-1].Call, `"c", 1)`) || done[len(done)-1].Result != "1" {
		t.Errorf("the last that create tells of is %+v", done[max(0, len(done)-1):])
	}
	if first := started[0].Child; !strings.HasPrefix(first[0].Call, "read(") || first[0].Result != "1" || !strings.HasPrefix(first[1].Call, "accept4(") {
		t.Errorf("the first that start tells of are %+v", first)
	}
	steps := started[1].Child
	if last := steps[len(steps)-1]; !strings.HasPrefix(last.Call, `execve("/bin/true"`) || last.Result != "0" {
		t.Errorf("the last step is %+v", last)
	}
}

type told struct {
	Phase string
	Child []struct{ Call, Result string }
}

func account(t *testing.T, path string) (phases []told) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &phases)
	}
	if err != nil || len(phases) == 0 {
		t.Fatalf("%s: %d phases, %v", path, len(phases), err)
	}
	return phases
}
