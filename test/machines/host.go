package machines

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glassbox/test/world"
)

// Host is a machine in the hands of a test: scripts are typed to it, and the test fails when they do not do what they shall.
type Host struct {
	*Machine
	t testing.TB
}

// Bare is a machine without an engine, which ends with the test.
func Bare(t testing.TB, name string) *Host {
	t.Helper()
	m, err := New(name)
	if err != nil {
		t.Fatal(err)
	}
	m.Env = append(m.Env, "PATH="+world.Dir()+"/glassbox:"+os.Getenv("PATH"))
	t.Cleanup(m.Halt)
	return &Host{m, t}
}

// For is the same machine in the hands of another test, which must end before the machine does.
func (h *Host) For(t testing.TB) *Host { return &Host{h.Machine, t} }

// WithGlassbox is a machine with glassbox, and with the images that Main made. The test fails when it leaves anything behind.
func WithGlassbox(t testing.TB, name string) *Host {
	t.Helper()
	h := Bare(t, name)
	if RealDocker() {
		h.startDocker()
		return h
	}
	if out, err := exec.Command("cp", "-al", imagesRoot()+"/.", h.Root()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(h.clean)
	return h
}

func (h *Host) startDocker() {
	h.t.Helper()
	bin, err := filepath.Abs(dockerBin)
	if err != nil {
		h.t.Fatal(err)
	}
	d, err := h.StartDocker(bin, "--userland-proxy-path", bin+"/docker-proxy")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(d.Stop)
	h.OK("for image in " + imagesRoot() + "/*; do sh $image/import; done")
	h.t.Cleanup(func() { h.Run("sh", "-c", "glassbox rm -f $(glassbox ps -aq)") })
}

// clean removes what a test left, and complains of what glassbox left.
func (h *Host) clean() {
	h.t.Helper()
	h.Run("sh", "-c", "glassbox rm -f -v $(glassbox ps -aq); glassbox network prune -f")
	left := h.Remains()
	for range 200 { // a process that has let go of all may take a moment to end
		if left == "" {
			return
		}
		time.Sleep(50 * time.Millisecond)
		left = h.Remains()
	}
	h.t.Errorf("left behind on %s: %s", h.Name, left)
}

// Remains is what no container and no network may leave: interfaces, elements of sets and maps, processes, files. The default bridge
// and the table may stay, and so may claims of addresses whose container is no more: the next one takes them over.
func (h *Host) Remains() string {
	return strings.TrimSpace(h.Run("sh", "-c", remains).Stdout)
}

const remains = `
ip -o link | grep -v -e ' lo:' -e ' eth[0-9]*@' -e ' glassbox0:'
pgrep -a glassrun
find /run/glassbox -type f 2>/dev/null | grep -v -e lock -e '/raised$' -e '/events'
find $GLASSBOX_ROOT/networks/*/addresses -mindepth 1 ! -xtype l 2>/dev/null
nft list table inet glassbox 2>/dev/null | grep -e veth -e ':.*tcp'`

// OK is the output of a script that must succeed.
func (h *Host) OK(script string) string {
	h.t.Helper()
	r := h.Run("sh", "-c", script)
	if r.Code != 0 {
		h.t.Fatalf("%s $ %s\nexit %d\n%s%s", h.Name, script, r.Code, r.Stdout, r.Stderr)
	}
	return strings.TrimSpace(r.Stdout)
}

// OnTerminal runs a script on a terminal, where glassbox says more, and returns all that appears there. It must end with the code.
func (h *Host) OnTerminal(code int, script string) string {
	h.t.Helper()
	r := h.Run("script", "-qec", script, "/dev/null") // script(1), of Debian's essential bsdutils
	if r.Code != code {
		h.t.Fatalf("%s $ %s\nexit %d, not %d\n%s%s", h.Name, script, r.Code, code, r.Stdout, r.Stderr)
	}
	return strings.ReplaceAll(r.Stdout, "\r\n", "\n")
}

// Is wants a script to print this.
func (h *Host) Is(script, want string) {
	h.t.Helper()
	if have := h.OK(script); have != want {
		h.t.Errorf("%s $ %s\nprinted %q\nnot     %q", h.Name, script, have, want)
	}
}

// Fails wants a script to end with a code and to say this somewhere.
func (h *Host) Fails(code int, script, say string) {
	h.t.Helper()
	if r := h.Run("sh", "-c", script); r.Code != code || !strings.Contains(r.Stdout+r.Stderr, say) {
		h.t.Errorf("%s $ %s\nexit %d, not %d; to be said: %s\n%s%s", h.Name, script, r.Code, code, say, r.Stdout, r.Stderr)
	}
}

// Soon repeats a script until it prints this, for programs that take a moment to come up.
func (h *Host) Soon(script, want string) {
	h.t.Helper()
	var r Result
	for deadline := time.Now().Add(Patient(10 * time.Second)); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if r = h.Run("sh", "-c", script); r.Code == 0 && strings.TrimSpace(r.Stdout) == want {
			return
		}
	}
	h.t.Fatalf("%s $ %s\nnever printed %q: exit %d: %s%s", h.Name, script, want, r.Code, r.Stdout, r.Stderr)
}
