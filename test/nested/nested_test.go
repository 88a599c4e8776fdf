// Package nested runs glassbox in a container of glassbox's: the built-in image tiny has both programs.
package nested

import (
	"fmt"
	"strings"
	"testing"

	"glassbox/test/debian"
	"glassbox/test/machines"
	"glassbox/test/need"
	"glassbox/test/world"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestMain(m *testing.M) {
	kit := machines.Image{Name: "kit", Files: func() ([]world.File, error) { return debian.Programs() }, Config: ocispec.ImageConfig{Cmd: []string{"sh"}}}
	machines.Main(m, kit)
}

// What the container around needs: all rights on the host, or all rights in a user namespace; no filter there, since Docker's forbids
// pivot_root(2) to everybody, no AppArmor profile, since Docker's forbids mount(2), and a /proc/sys to write to, for bridges.
const (
	privileged = "--privileged"
	confined   = "--userns auto --cap-add ALL --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
)

// outer is a host and a container on it in which glassbox runs.
type outer struct{ *machines.Host }

func start(t *testing.T, flags string) outer {
	h := machines.WithGlassbox(t, "host")
	h.OK("glassbox run -d --name outer --pull never " + flags + " tiny sleep 10000")
	return outer{h}
}

// in is a command of the outer container's.
func in(command string) string { return "glassbox exec outer " + command }

// run is a container in it.
func run(rest string) string { return in("glassbox run --pull never " + rest) }

func TestPrivileged(t *testing.T) { start(t, privileged).lives() }

// The store is a volume here. It is shown with the owners that the container counts, so that what it writes is there for a container with
// another range of ids, too.
func TestUserNamespace(t *testing.T) {
	o := start(t, confined+" -v store:/var/lib/glassbox")
	o.lives()
	o.Fails(125, run("--rm --userns auto tiny true"), "--userns auto: glassbox runs in a user namespace here")
	o.Fails(125, run("--rm --device-cgroup-rule 'c 1:3 r' tiny true"), "--device-cgroup-rule: glassbox runs in a user namespace here")
	o.OK(run("--name kept tiny sh -c 'echo text >/file; rm -r /home; mkdir /home'"))
	o.OK("glassbox rm -f outer")
	o.OK("glassbox run -d --name outer --pull never " + confined + " -v store:/var/lib/glassbox tiny sleep 10000")
	o.Is(in("glassbox cp kept:/file -")+" | tar -xO", "text")
	o.Is(in("glassbox diff kept")+" | grep home", "C /home\nD /home/app")
	o.OK(in("glassbox start kept"))
}

// In memory: the files of the container around are an overlay. On Linux before 6.6 tmpfs has no attributes that a user namespace may write.
func TestUserNamespaceInMemory(t *testing.T) {
	o := start(t, confined)
	r := o.Run("sh", "-c", run("--rm --network none tiny sh -c 'rm -r /home; mkdir /home; ls -A /home; echo fine'"))
	switch {
	case strings.Contains(r.Stderr, "-v NAME:/var/lib/glassbox") && strings.HasSuffix(r.Stdout, "fine\n"):
	case strings.Contains(r.Stderr, "/var/lib/glassbox lies on an overlay") && r.Code == 125:
		t.Log("no tmpfs with attributes here: " + r.Stderr)
	default:
		t.Errorf("exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// lives looks at a life in the container from its start to its end.
func (o outer) lives() {
	o.Is(run("--rm --network none tiny echo hi"), "hi")
	o.OK(run("-d --name web -p 8080:80 tiny sh -c 'while echo served; do sleep 1000; done'"))
	o.Is(in("glassbox ps --format '{{.Names}} {{.Image}}'"), "web tiny")
	o.Is(in("glassbox logs web"), "served")
	o.Is(in("glassbox exec web sh -c 'echo $$; hostname' | wc -l"), "2")
	o.Is(in("glassbox exec web ps -o comm")+" | grep -c sleep", "1")
	o.OK(run("--rm --link web tiny ping -c 1 web"))
	o.OK(in("glassbox pause web"))
	o.OK(in("glassbox unpause web"))
	o.Is(in("glassbox restart -t 0 web"), "web")
	o.Is(in("glassbox stop -t 1 web"), "web")
	o.Is(in("glassbox rm web"), "web")
	o.Soon(in("glassbox system check"), "nothing is left over, nothing is wrong")
}

// tiny in tiny in tiny, each with its store in its own memory.
func TestThirdLevel(t *testing.T) {
	h := machines.WithGlassbox(t, "host")
	level := "glassbox run --rm --pull never --network none --privileged tiny "
	h.Is(strings.Repeat(level, 3)+"echo third", "third")
}

// TestLimits: the processes of the container around have to leave its group, before that can hand controllers down. The small image kit has busybox
// alone: in the VM's emulation it takes half a minute to make tiny, and another one inside.
func TestLimits(t *testing.T) {
	need.CgroupV2(t, "memory", "pids")
	h := machines.WithGlassbox(t, "host")
	for _, flags := range []string{confined, privileged} {
		h.OK("glassbox run -d --name outer --pull never --network none -v store:/var/lib/glassbox -v $(dirname $(command -v glassbox)):/programs:ro " +
			flags + " kit sleep 10000")
		in := "glassbox exec -i outer /programs/glassbox "
		h.OK(in + "images -q kit | grep . || glassbox export outer | " + in + "import - kit")
		h.Is(in+"run --rm --pull never --network none -m 16m --pids-limit 20 kit sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max'", fmt.Sprintf("%d\n20", 16<<20))
		h.OK("glassbox rm -f outer")
	}
}
