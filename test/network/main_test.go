// Package network holds glassbox's networks against real components: nginx, redis, dnsmasq, iperf3, tcpdump, on machines made of network
// namespaces (test/machines) with images collected from this Debian (test/debian). The same tests can be asked of real Docker:
//
//	go test ./test/network -engine docker
package network

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glassbox/image"
	"glassbox/test/debian"
	"glassbox/test/machines"
	"glassbox/test/world"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var engine = flag.String("engine", "glassbox", "`glassbox`, or docker to hold the tests themselves against the real one")

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: tests of networks need root")
		return
	}
	if *engine == "docker" {
		os.Exit(world.Run(realDocker, inside(m)))
	}
	os.Exit(world.Run(world.BuildGlassbox, inside(m)))
}

// realDocker puts Docker's command line in glassbox's place.
func realDocker(dir string) error {
	cache, err := filepath.Abs("../.cache/docker")
	if err == nil {
		err = os.Mkdir(dir+"/glassbox", 0o755)
	}
	return errors.Join(err, os.Symlink(cache+"/docker", dir+"/glassbox/glassbox"))
}

// inside makes the image kit once; every machine gets its own links to it.
func inside(m *testing.M) func() int {
	return func() int {
		if err := makeKit(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}
}

func kitFile() string { return world.Dir() + "/kit.tar" }
func kitRoot() string { return world.Dir() + "/kit" }

func makeKit() error {
	files, err := debian.Kit()
	if err != nil {
		return err
	}
	layer, err := world.Layer(files)
	if err != nil {
		return err
	}
	packed, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	if *engine == "docker" {
		out, err := os.Create(kitFile())
		if err != nil {
			return err
		}
		_, err = io.Copy(out, packed)
		return errors.Join(err, out.Close())
	}
	_, err = image.Open(kitRoot()+"/images").ImportTar(packed, "kit:latest", ocispec.Image{Config: ocispec.ImageConfig{
		Cmd: []string{"sh"}, Env: []string{path}, ExposedPorts: map[string]struct{}{"80/tcp": {}},
	}})
	return err
}

const path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"

// host is a machine with an engine, on which the image is called kit.
type host struct {
	*machines.Machine
	t *testing.T
}

func newHost(t *testing.T, name string) *host {
	t.Helper()
	h := &host{newMachine(t, name), t}
	if *engine == "docker" {
		h.startDocker()
		return h
	}
	if out, err := exec.Command("cp", "-al", kitRoot()+"/.", h.Root()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(h.clean)
	return h
}

func newMachine(t *testing.T, name string) *machines.Machine {
	t.Helper()
	m, err := machines.New(name)
	if err != nil {
		t.Fatal(err)
	}
	m.Env = append(m.Env, "PATH="+world.Dir()+"/glassbox:"+os.Getenv("PATH"))
	t.Cleanup(m.Halt)
	return m
}

func (h *host) startDocker() {
	h.t.Helper()
	bin, err := filepath.Abs("../.cache/docker")
	if err != nil {
		h.t.Fatal(err)
	}
	d, err := h.StartDocker(bin, "--userland-proxy-path", bin+"/docker-proxy")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(d.Stop)
	h.ok("glassbox import -c 'EXPOSE 80' -c 'ENV " + path + "' " + kitFile() + " kit")
	h.t.Cleanup(func() { h.Run("sh", "-c", "glassbox rm -f $(glassbox ps -aq)") })
}

// clean removes what a test left, and complains of what glassbox left.
func (h *host) clean() {
	h.t.Helper()
	h.Run("sh", "-c", "glassbox rm -f -v $(glassbox ps -aq); glassbox network prune -f")
	if left := h.remains(); left != "" {
		h.t.Errorf("left behind: %s", left)
	}
}

// remains is what no container and no network may leave: interfaces, elements of sets and maps, processes, files. The default bridge
// and the table may stay.
func (h *host) remains() string {
	return strings.TrimSpace(h.Run("sh", "-c", `
ip -o link | grep -v -e ' lo:' -e ' eth[0-9]*@' -e ' glassbox0:'
pgrep -a glassrun
find /run/glassbox -type f 2>/dev/null | grep -v -e lock
find $GLASSBOX_ROOT/networks -name 'addresses' -type d -exec find {} -mindepth 1 \; 2>/dev/null
nft list table inet glassbox 2>/dev/null | grep -e dnat.to -e 'elements = .*:.*tcp'`).Stdout)
}

// ok is the output of a script that must succeed.
func (h *host) ok(script string) string {
	h.t.Helper()
	return ok(h.t, h.Machine, script)
}

func ok(t *testing.T, m *machines.Machine, script string) string {
	t.Helper()
	r := m.Run("sh", "-c", script)
	if r.Code != 0 {
		t.Fatalf("%s $ %s\nexit %d\n%s%s", m.Name, script, r.Code, r.Stdout, r.Stderr)
	}
	return strings.TrimSpace(r.Stdout)
}

// is wants a script to print this.
func (h *host) is(script, want string) {
	h.t.Helper()
	is(h.t, h.Machine, script, want)
}

func is(t *testing.T, m *machines.Machine, script, want string) {
	t.Helper()
	if have := ok(t, m, script); have != want {
		t.Errorf("%s $ %s\nprinted %q\nnot     %q", m.Name, script, have, want)
	}
}

// fails wants a script to end with a code and to say this somewhere.
func (h *host) fails(code int, script, say string) {
	h.t.Helper()
	fails(h.t, h.Machine, code, script, say)
}

func fails(t *testing.T, m *machines.Machine, code int, script, say string) {
	t.Helper()
	if r := m.Run("sh", "-c", script); r.Code != code || !strings.Contains(r.Stdout+r.Stderr, say) {
		t.Errorf("%s $ %s\nexit %d, not %d; to be said: %s\n%s%s", m.Name, script, r.Code, code, say, r.Stdout, r.Stderr)
	}
}

// soon repeats a script until it prints this, for programs that take a moment to come up.
func soon(t *testing.T, m *machines.Machine, script, want string) {
	t.Helper()
	var r machines.Result
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if r = m.Run("sh", "-c", script); r.Code == 0 && strings.TrimSpace(r.Stdout) == want {
			return
		}
	}
	t.Fatalf("%s $ %s\nnever printed %q: exit %d: %s%s", m.Name, script, want, r.Code, r.Stdout, r.Stderr)
}

func (h *host) soon(script, want string) {
	h.t.Helper()
	soon(h.t, h.Machine, script, want)
}

// site is a host with glassbox and another machine beside it.
type site struct {
	*host
	other *machines.Machine
}

// Addresses of documentation: RFC 5737, RFC 3849.
const (
	hostAddress   = "192.0.2.1"
	hostAddress6  = "2001:db8::1"
	otherAddress  = "192.0.2.2"
	otherAddress6 = "2001:db8::2"
)

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{newHost(t, "host"), newMachine(t, "other")}
	err := machines.Cable(
		machines.Plug{Machine: s.Machine, Interface: "eth0", Addresses: []string{hostAddress + "/24", hostAddress6 + "/64"}},
		machines.Plug{Machine: s.other, Interface: "eth0", Addresses: []string{otherAddress + "/24", otherAddress6 + "/64"}})
	if err == nil {
		err = s.Route("default", otherAddress)
	}
	if err == nil {
		err = s.Route("default", otherAddress6)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}
