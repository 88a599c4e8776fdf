package fields

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"glassbox/test/bundle"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// script is a hook that runs it in a shell of the host's; $D is the bundle.
func script(b *box, text string) specs.Hook {
	return specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", text}, Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "D=" + b.Dir}}
}

func (b *box) text(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(b.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// does runs a command of glassrun's that must succeed.
func (b *box) does(t *testing.T, args ...string) bundle.Answer {
	t.Helper()
	a := glassrun(t, append([]string{"--root=" + b.Path("state")}, args...)...)
	if a.Code != 0 {
		t.Fatalf("%s: exit code %d: %s", args[0], a.Code, a.Errs)
	}
	return a
}

// TestHooks goes through a life by create, start and delete, and looks after each which hooks have run.
func TestHooks(t *testing.T) {
	need.SecondKernel(t)
	b := newBox(t)
	note := func(kind string) []specs.Hook {
		return []specs.Hook{script(b, "cat >$D/"+kind+"; echo "+kind+" >>$D/order"), script(b, "echo "+kind+" again >>$D/order")}
	}
	b.Spec.Process.Args = []string{"probe", "wait"}
	b.Spec.Annotations = map[string]string{"a.b/c": "d"}
	b.Spec.Hooks = &specs.Hooks{
		Prestart: note("prestart"), CreateRuntime: note("createRuntime"), CreateContainer: note("createContainer"), Poststart: note("poststart"), Poststop: note("poststop"), //nolint:staticcheck // deprecated
		StartContainer: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "/bin/cat >/startContainer; echo $$ $0 >/ran"}}},
	}
	b.Write(t)
	created := "prestart\nprestart again\ncreateRuntime\ncreateRuntime again\ncreateContainer\ncreateContainer again"
	for _, step := range []struct {
		args  []string
		order string
	}{
		{[]string{"create", "--bundle", b.Dir, b.ID}, created},
		{[]string{"start", b.ID}, created + "\npoststart\npoststart again"},
		{[]string{"kill", b.ID, "KILL"}, created + "\npoststart\npoststart again"},
		{[]string{"delete", "--force", b.ID}, created + "\npoststart\npoststart again\npoststop\npoststop again"},
	} {
		b.does(t, step.args...)
		if got := b.text(t, "order"); got != step.order {
			t.Errorf("after %s:\n%s\nwant:\n%s", step.args[0], got, step.order)
		}
	}
	for kind, want := range map[string]specs.ContainerState{
		"prestart": "created", "createRuntime": "created", "createContainer": "created", "rootfs/startContainer": "created", "poststart": "running", "poststop": "stopped",
	} {
		var s specs.State
		if err := json.Unmarshal([]byte(b.text(t, kind)), &s); err != nil || s.ID != b.ID || s.Status != want || s.Bundle != b.Dir || s.Annotations["a.b/c"] != "d" || (s.Pid == 0) != (want == "stopped") {
			t.Errorf("%s reads %s, %v", kind, b.text(t, kind), err)
		}
	}
}

// What hooks are used for: a network from outside, files of the host's in the container, a cache inside, and each with the rights for it.
func TestUsesOfHooks(t *testing.T) {
	need.Program(t, "nsenter")
	const pid = `pid=$(sed 's/.*"pid":\([0-9]*\).*/\1/'); `
	check(t, []row{
		{name: "createRuntime plugs a network", prepare: func(t *testing.T, b *box) {
			b.Spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{script(b, pid+"nsenter -t $pid -n ip link add plugged type veth peer name other && nsenter -t $pid -n ip link set plugged up")}}
		}, inside: "ls /sys/class/net", prints: "lo\nother\nplugged"},
		{name: "createContainer mounts below the root", prepare: func(t *testing.T, b *box) {
			b.Spec.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{script(b, "mount -t tmpfs -o size=4k hooked mnt && echo hello >mnt/file && test -e proc/1/status")}}
		}, inside: "cat /mnt/file; probe mountinfo /mnt", check: func(t *testing.T, out string) {
			if !strings.HasPrefix(out, "hello\n/mnt tmpfs ") {
				t.Error(out)
			}
		}},
		{name: "startContainer has the container's rights", prepare: func(t *testing.T, b *box) {
			b.Spec.Process.User = specs.User{UID: 1000, GID: 1000}
			b.Spec.Process.Capabilities = &specs.LinuxCapabilities{}
			b.Spec.Process.NoNewPrivileges = true
			b.Spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/probe", Args: []string{"probe", "status", "Uid", "CapBnd", "CapEff", "NoNewPrivs"}, Env: []string{"PATH=/bin"}},
				{Path: "/bin/sh", Args: []string{"sh", "-c", "/bin/id -u >/tmp/hook; /bin/hostname other 2>>/tmp/hook; true"}}}}
		}, inside: "cat /tmp/hook", prints: "1000\nhostname: sethostname: Operation not permitted"},
		{name: "a hook that fails", prepare: func(t *testing.T, b *box) {
			b.Spec.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{script(b, "echo no luck >&2; exit 3")}}
		}, refused: "exit status 3, stdout: , stderr: no luck"},
		{name: "a hook that takes too long", prepare: func(t *testing.T, b *box) {
			h := script(b, "sleep 1000")
			h.Timeout = new(1)
			b.Spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{h}}
		}, refused: "killed after its timeout of 1s"},
		{name: "a hook that is not there", edit: func(s *specs.Spec) { s.Hooks = &specs.Hooks{Prestart: []specs.Hook{{Path: "/nonexistent"}}} }, refused: `execve("/nonexistent"`}, //nolint:staticcheck // deprecated
		{name: "a path that is not absolute", edit: func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "sh"}}} }, refused: `hooks.poststop[0].path: "sh" is not absolute`},
		{name: "a path with a zero byte", edit: func(s *specs.Spec) { s.Hooks = &specs.Hooks{Prestart: []specs.Hook{{Path: "/bin/true\x00x"}}} }, refused: "zero byte"}, //nolint:staticcheck // deprecated
		{name: "a timeout that is none", edit: func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/bin/sh", Timeout: new(-1)}}}
		}, refused: "hooks.poststop[0].timeout: -1 is not greater than zero"},
		{name: "a late hook that fails", edit: func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{Poststart: []specs.Hook{{Path: "/bin/false"}}, Poststop: []specs.Hook{{Path: "/bin/false"}}}
		}, inside: "echo ran", prints: "ran", warns: "exit status 1"},
	})
}
