package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// hooked is a bundle with hooks, and what became of it.
type hooked struct {
	dir   string
	spec  *specs.Spec
	warns []error
}

func newHooked(t *testing.T, script string) *hooked {
	t.Helper()
	h := &hooked{}
	h.dir, h.spec = bundle(t, script)
	h.spec.Hooks = &specs.Hooks{}
	h.spec.Annotations = map[string]string{"org.example": "yes"}
	return h
}

// shell is a hook that runs a script in which $D is the bundle.
func (h *hooked) shell(script string) []specs.Hook {
	return []specs.Hook{{Path: "/bin/sh", Args: []string{"hook", "-c", script}, Env: []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "D=" + h.dir}}}
}

func (h *hooked) create(t *testing.T) (*Container, error) {
	t.Helper()
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	c, err := Create(h.spec, Options{
		Dir: h.dir, Stdin: null, Stdout: null, Stderr: null, Explain: true,
		State: specs.State{ID: "h", Bundle: h.dir}, Warn: func(err error) { h.warns = append(h.warns, err) },
	})
	if c != nil {
		t.Cleanup(func() { c.Destroy() }) //nolint:errcheck // safe twice
	}
	return c, err
}

// live runs the container and its hooks to the end.
func (h *hooked) live(t *testing.T) {
	t.Helper()
	c, err := h.create(t)
	if err == nil {
		err = c.Start()
	}
	if err == nil {
		_, err = c.Wait()
	}
	if err == nil {
		err = c.Destroy()
	}
	if err != nil {
		t.Fatal(err)
	}
	h.stop(t)
}

func (h *hooked) stop(t *testing.T) {
	t.Helper()
	hooks := &Hooks{Spec: h.spec, State: specs.State{ID: "h", Bundle: h.dir}}
	if err := hooks.Run(Poststop, func(err error) { h.warns = append(h.warns, err) }); err != nil {
		t.Errorf("poststop hooks only warn: %v", err)
	}
}

func (h *hooked) file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// every kind of hook, in its order, with the state that the spec wants, in the namespaces that it wants.
func TestHooksRunInTheirOrderAndPlace(t *testing.T) {
	h := newHooked(t, "echo program >>/order")
	note := func(kind string) []specs.Hook {
		return h.shell(fmt.Sprintf(`cat >$D/%[1]s.json; echo %[1]s 1 >>$D/rootfs/order; readlink /proc/self/ns/net >$D/%[1]s.net; pwd >$D/%[1]s.pwd; env >$D/%[1]s.env; echo $0 >$D/%[1]s.arg`, kind))
	}
	l := h.spec.Hooks
	l.Prestart, l.CreateRuntime, l.Poststart, l.Poststop = note("prestart"), note("createRuntime"), note("poststart"), note("poststop") //nolint:staticcheck // deprecated
	l.CreateRuntime = append(l.CreateRuntime, h.shell("echo createRuntime 2 >>$D/rootfs/order")...)
	// in the container's namespaces, but with the host's files
	l.CreateContainer = h.shell(`cat >$D/createContainer.json; echo createContainer 1 >>$D/rootfs/order; readlink /proc/self/ns/net >$D/createContainer.net; pwd >$D/createContainer.pwd; echo $$ >$D/createContainer.pid; cat /proc/self/cgroup >$D/createContainer.cgroup`)
	// in the container, with the container's files
	l.StartContainer = []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "/bin/busybox cat >/startContainer.json; echo startContainer 1 >>/order; /bin/busybox readlink /proc/self/ns/net >/startContainer.net; /bin/busybox grep CapEff /proc/self/status >/caps; echo $0 >/arg"}}}
	h.live(t)

	want := "prestart 1\ncreateRuntime 1\ncreateRuntime 2\ncreateContainer 1\nstartContainer 1\nprogram\npoststart 1\npoststop 1"
	if got := strings.Split(h.file(t, "rootfs/order"), "\n"); !slices.Equal(sortedTail(got), sortedTail(strings.Split(want, "\n"))) {
		t.Errorf("order:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
	ours, _ := os.Readlink("/proc/self/ns/net")
	for kind, m := range moments {
		dir := ""
		if kind == StartContainer {
			dir = "rootfs/"
		}
		var s specs.State
		if err := json.Unmarshal([]byte(h.file(t, dir+string(kind)+".json")), &s); err != nil {
			t.Fatal(err)
		}
		if s.ID != "h" || s.Bundle != h.dir || s.Version != specs.Version || s.Annotations["org.example"] != "yes" || s.Status != m.status {
			t.Errorf("%s reads %+v", kind, s)
		}
		if (kind == Poststop) != (s.Pid == 0) || m.inside && s.Pid != 1 {
			t.Errorf("%s reads pid %d", kind, s.Pid)
		}
		if net := h.file(t, dir+string(kind)+".net"); (net == ours) == m.inside {
			t.Errorf("%s runs in the network namespace %s; ours is %s", kind, net, ours)
		}
	}
	for kind, want := range map[string]string{"prestart": h.dir, "createRuntime": h.dir, "createContainer": h.dir + "/rootfs", "poststart": h.dir, "poststop": h.dir} {
		if got := h.file(t, kind+".pwd"); got != want {
			t.Errorf("%s stands in %s, want %s", kind, got, want)
		}
	}
	if env := h.file(t, "prestart.env"); !strings.HasPrefix(env, "PATH=/usr/bin:/bin:/usr/sbin:/sbin\nD=") && !strings.HasPrefix(env, "D=") || h.file(t, "prestart.arg") != "hook" {
		t.Errorf("args and env: %s, %s", h.file(t, "prestart.arg"), env)
	}
	if caps := h.file(t, "rootfs/caps"); !strings.HasSuffix(caps, "00000000080000eb") { // no more than the container's: dockerSpec
		t.Errorf("a startContainer hook has %s", caps)
	}
}

// sortedTail allows what the program and the poststart hook do at the same time in either order.
func sortedTail(lines []string) []string {
	l := slices.Clone(lines)
	if len(l) > 3 {
		slices.Sort(l[len(l)-3 : len(l)-1])
	}
	return l
}

// A hook without environment has none: not ours.
func TestHookWithoutEnvironment(t *testing.T) {
	h := newHooked(t, "true")
	t.Setenv("LEAK", "1")
	h.spec.Hooks.CreateRuntime = []specs.Hook{{Path: "/usr/bin/env", Args: nil}, {Path: "/bin/sh", Args: []string{"sh", "-c", "/usr/bin/env >&2; exit 4"}}}
	_, err := h.create(t)
	if err == nil || strings.Contains(err.Error(), "LEAK") || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("got %v", err)
	}
}

// A hook that fails before the start stops everything; nothing is left, and the poststop hooks hear of it.
func TestFailedHookDestroysTheContainer(t *testing.T) {
	for _, kind := range []HookKind{Prestart, CreateRuntime, CreateContainer, StartContainer} {
		t.Run(string(kind), func(t *testing.T) {
			h := newHooked(t, "echo program >/ran")
			fail := []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo trouble >&2; exit 3"}}}
			l := h.spec.Hooks
			switch kind {
			case Prestart:
				l.Prestart = fail //nolint:staticcheck // deprecated
			case CreateRuntime:
				l.CreateRuntime = fail
			case CreateContainer:
				l.CreateContainer = fail
			case StartContainer:
				l.StartContainer = fail
			}
			l.Poststop = h.shell("cat >$D/stopped")
			c, err := h.create(t)
			if kind == StartContainer {
				if err != nil {
					t.Fatal(err)
				}
				err = c.Start()
				h.stop(t)
			}
			var refused *program.HostFailure
			if !errors.As(err, &refused) || refused.Request.From != fmt.Sprintf("hooks.%s[0]", kind) || !strings.HasSuffix(err.Error(), "exit status 3, stdout: , stderr: trouble") {
				t.Errorf("got %v", err)
			}
			if !strings.Contains(h.file(t, "stopped"), `"status":"stopped"`) {
				t.Errorf("the poststop hook reads %s", h.file(t, "stopped"))
			}
			if _, err := os.Stat(filepath.Join(h.dir, "rootfs/ran")); err == nil {
				t.Error("the program ran")
			}
			if left, _ := filepath.Glob("/sys/fs/cgroup/*" + h.spec.Linux.CgroupsPath); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// After the start, a hook that fails is only warned of, and those after it run.
func TestLateHooksOnlyWarn(t *testing.T) {
	h := newHooked(t, "true")
	h.spec.Hooks.Poststart = append(h.shell("exit 5"), h.shell("touch $D/second")...)
	h.spec.Hooks.Poststop = append([]specs.Hook{{Path: "/nonexistent"}}, h.shell("touch $D/fourth")...)
	h.live(t)
	h.file(t, "second")
	h.file(t, "fourth")
	if len(h.warns) != 2 || !strings.Contains(h.warns[0].Error(), "exit status 5") || !errors.Is(h.warns[1], unix.ENOENT) {
		t.Errorf("warned of %v", h.warns)
	}
}

// A hook that takes too long is killed with all that it has started.
func TestHookTimeout(t *testing.T) {
	h := newHooked(t, "true")
	one := 1
	for _, kind := range []HookKind{CreateRuntime, CreateContainer} {
		slow := h.shell("echo begun >&2; sleep 100 & echo $! >$D/sleeper; wait")
		slow[0].Timeout = &one
		h.spec.Hooks = &specs.Hooks{}
		if kind == CreateRuntime {
			h.spec.Hooks.CreateRuntime = slow
		} else {
			h.spec.Hooks.CreateContainer = slow
		}
		began := time.Now()
		_, err := h.create(t)
		if err == nil || !strings.Contains(err.Error(), "killed after its timeout of 1s, stdout: , stderr: begun") {
			t.Errorf("%s: got %v", kind, err)
		}
		if took := time.Since(began); took < time.Second || took > 30*time.Second {
			t.Errorf("%s took %v", kind, took)
		}
	}
}

// What a hook leaves running does not hold us up, although it has the hook's output.
func TestHookMayLeaveSomethingRunning(t *testing.T) {
	h := newHooked(t, "true")
	h.spec.Hooks.Poststart = h.shell("sleep 20 & echo $! >$D/pid")
	began := time.Now()
	h.live(t)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("took %v", took)
	}
	var pid int
	fmt.Sscan(h.file(t, "pid"), &pid) //nolint:errcheck // then 0
	if err := unix.Kill(pid, unix.SIGKILL); pid <= 1 || err != nil {
		t.Errorf("what it left (%d): %v", pid, err)
	}
}

func TestHooksThatCannotBe(t *testing.T) {
	zero := 0
	for want, hook := range map[string]specs.Hook{
		`hooks.poststart[0].path: "true" is not absolute`:        {Path: "true"},
		`hooks.poststart[0].timeout: 0 is not greater than zero`: {Path: "/bin/true", Timeout: &zero},
	} {
		spec := dockerSpec("true")
		spec.Hooks = &specs.Hooks{Poststart: []specs.Hook{hook}}
		if _, err := Compile(spec, nil, ordinary()); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// In a user namespace the hooks that run inside are its root.
func TestHooksOfAUserNamespace(t *testing.T) {
	h := newHooked(t, "true")
	h.spec.Linux.Namespaces = append(h.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	h.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: 1, HostID: 100001, Size: 1000}}
	h.spec.Linux.GIDMappings = h.spec.Linux.UIDMappings
	h.spec.Hooks.CreateContainer = h.shell("cat /proc/self/uid_map >$D/map; id -u >$D/uid; grep CapEff /proc/self/status >$D/caps")
	h.spec.Hooks.StartContainer = []specs.Hook{{Path: "/bin/busybox", Args: []string{"sh", "-c", "/bin/busybox cat /proc/self/uid_map >/map"}}}
	h.live(t)
	for _, name := range []string{"map", "rootfs/map"} {
		if got := strings.Fields(h.file(t, name)); len(got) != 6 || got[4] != "100001" {
			t.Errorf("%s: %v", name, got)
		}
	}
	if h.file(t, "uid") != "0" || strings.HasSuffix(h.file(t, "caps"), "0000000000000000") {
		t.Errorf("user %s with %s", h.file(t, "uid"), h.file(t, "caps"))
	}
}
