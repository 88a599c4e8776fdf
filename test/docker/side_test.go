package docker

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/test/machines"
	"glassbox/test/world"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/sys/unix"
)

var (
	transcript = flag.String("transcript", "", "write what each side printed to this `directory`")
	only       = flag.String("only", "", "play `docker` or `glassbox` alone and compare nothing (with -transcript)")
)

const cache = "../.cache/docker"

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "3") // as many as there are hosts: commands wait more than they compute
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: the side-by-side sessions need root")
		return
	}
	if _, err := os.Stat(cache + "/dockerd"); err != nil {
		fmt.Println("SKIP: the side-by-side sessions need Docker 28.5.2: test/tools/docker/build.sh test/.cache/docker")
		return
	}
	os.Setenv("MOBY_DISABLE_PIGZ", "true") // where pigz is installed, Docker has it unpack, and its words are those of errors
	os.Exit(world.Run(build, m.Run))
}

func build(dir string) error {
	if *only == "docker" {
		return nil
	}
	return world.BuildGlassbox(dir)
}

// sides are hosts of one kind that are free to play a session.
type sides chan *Side

// furnished makes hosts with Docker and one with glassbox, and gives all what the sessions find there. A session takes Docker several
// times as long: it gets two hosts when many sessions are played.
func furnished(t *testing.T) (real, ours sides, known []string) {
	registry, address, err := world.StartRegistry()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registry.Stop)
	known = push(t, address)
	real, ours = make(sides, 2), make(sides, 1)
	if *only != "glassbox" {
		real <- dockerSide(t, "docker", address)
		if selected := flag.Lookup("test.run").Value.String(); !strings.Contains(selected, "/") {
			real <- dockerSide(t, "docker2", address)
		}
	}
	if *only != "docker" {
		ours <- glassboxSide(t, address)
	}
	return real, ours, known
}

func dockerSide(t *testing.T, name, registry string) *Side {
	s := side(t, name, map[string]string{"docker": absolute(t, cache+"/docker")})
	docker, err := s.StartDocker(absolute(t, cache), "--userland-proxy-path", absolute(t, cache+"/docker-proxy"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(docker.Stop)
	s.Data, s.Registry = docker.Data, registry
	if err := s.Prepare(); err != nil {
		t.Fatal(err)
	}
	return s
}

func glassboxSide(t *testing.T, registry string) *Side {
	built := world.Dir() + "/glassbox/"
	s := side(t, "glassbox", map[string]string{"docker": built + "glassbox", "glassbox": built + "glassbox", "glassrun": built + "glassrun"})
	s.Data, s.Registry = s.Root(), registry
	s.More = []string{"GLASSBOX_ROOT=" + s.Data, "GLASSBOX_RUN=/run/glassbox"}
	if err := s.Prepare(); err != nil {
		t.Fatal(err)
	}
	return s
}

func absolute(t *testing.T, path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// What the machine beside each host serves: names, and who asks.
const (
	hostAddress    = "192.0.2.10"
	outsideAddress = "192.0.2.1"
	hosts          = "127.0.0.1 localhost\n::1 localhost\n"
	whoAsks        = "#!/bin/sh\necho; echo $REMOTE_ADDR\n"
)

// side is a host at 192.0.2.10 and 2001:db8::10 whose neighbour outside, 192.0.2.1, knows names below example.test and tells over
// HTTP who asks it; `outside COMMAND` in a session runs there.
func side(t *testing.T, name string, links map[string]string) *Side {
	dir := world.Dir()
	s := &Side{Bin: dir + "/bin-" + name, Work: dir + "/home/work", Home: dir + "/home-" + name}
	neighbour := machine(t, name+"-outside")
	// The neighbour's processes are not to be seen from the host: its network is found by a file.
	network := dir + "/" + neighbour.Name + ".net"
	file(t, network, "")
	if err := unix.Mount(fmt.Sprintf("/proc/%d/ns/net", neighbour.Pid()), network, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	file(t, s.Bin+"/outside", "#!/bin/sh\nexec nsenter --net="+network+" -- \"$@\"\n")
	for link, target := range links {
		if err := os.Symlink(target, s.Bin+"/"+link); err != nil {
			t.Fatal(err)
		}
	}
	s.Machine = machine(t, name)
	file(t, s.Dir+"/hosts", hosts)
	if err := errors.Join(
		s.Nameservers("nameserver "+outsideAddress, "search example.test"),
		machines.Cable(
			machines.Plug{Machine: s.Machine, Interface: "eth0", Addresses: []string{hostAddress + "/24", "2001:db8::10/64"}},
			machines.Plug{Machine: neighbour, Interface: "eth0", Addresses: []string{outsideAddress + "/24", "2001:db8::1/64"}}),
		s.Route("default", outsideAddress),
		s.Route("default", "2001:db8::1"),
	); err != nil {
		t.Fatal(err)
	}
	serve(t, neighbour, dir+"/"+name+"-www")
	daemon(t, s.Machine, func() error {
		_, err := s.Output("/bin/busybox", "wget", "-qO-", "http://127.0.0.1:5000/v2/")
		return err
	}, "docker-registry", "serve", world.RegistryConfig())
	// Outputs name the directory: it has the same path on every side.
	for _, dir := range []string{s.Home + "/work", filepath.Dir(s.Work)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Output("mount", "--bind", s.Home, filepath.Dir(s.Work)); err != nil {
		t.Fatal(err)
	}
	return s
}

func machine(t *testing.T, name string) *machines.Machine {
	m, err := machines.New(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Halt)
	return m
}

func daemon(t *testing.T, m *machines.Machine, ready func() error, name string, args ...string) {
	p, err := m.Daemon(ready, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
}

func file(t *testing.T, path, text string) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// serve runs the neighbour's servers.
func serve(t *testing.T, neighbour *machines.Machine, dir string) {
	file(t, dir+"/cgi-bin/who", whoAsks)
	daemon(t, neighbour, func() error {
		_, err := neighbour.Output("/bin/busybox", "wget", "-qO-", "http://"+outsideAddress+"/cgi-bin/who")
		return err
	}, "/bin/busybox", "httpd", "-f", "-p", "80", "-h", dir)
	daemon(t, neighbour, func() error {
		_, err := neighbour.Output("/bin/busybox", "nslookup", "outside.example.test", outsideAddress)
		return err
	}, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=",
		"--bind-interfaces", "--listen-address="+outsideAddress, "--local=/#/", "--address=/outside.example.test/"+outsideAddress,
		"--address=/outside.example.test/2001:db8::1")
}

// push fills the registry and returns the digests that will be the same on both sides.
func push(t *testing.T, address string) (known []string) {
	odd := []world.File{
		{Name: "bin/badshebang", Mode: 0o755, Body: []byte("#!/no/such/interpreter\n")},
		{Name: "bin/crlf", Mode: 0o755, Body: []byte("#!/bin/sh\r\necho hi\r\n")},
		{Name: "bin/noshebang", Mode: 0o755, Body: []byte("echo hi\n")},
		{Name: "tmp/noexec.sh", Mode: 0o644, Body: []byte("#!/bin/sh\necho hi\n")},
	}
	bb, err := world.Busybox(odd...)
	if err != nil {
		t.Fatal(err)
	}
	second, err := world.Busybox(append(odd, world.File{Name: "second", Mode: 0o644, Body: []byte("2\n")})...)
	if err != nil {
		t.Fatal(err)
	}
	configured, err := world.Busybox()
	if err != nil {
		t.Fatal(err)
	}
	configured, err = world.Configure(configured, v1.Config{
		Entrypoint: []string{"echo", "entry"}, Cmd: []string{"default"}, User: "user", WorkingDir: "/tmp", StopSignal: "SIGINT",
		Env: []string{"PATH=/bin", "GREETING=hello"}, Labels: map[string]string{"from": "image"},
		ExposedPorts: map[string]struct{}{"80/tcp": {}},
	})
	if err != nil {
		t.Fatal(err)
	}
	checked, checkedWrongly := healthChecked(t, "CMD-SHELL", `echo "$0 $GREETING"`), healthChecked(t, "CMD", "/nosuch", "x")
	for name, image := range map[string]v1.Image{
		"bb": bb, "bb:second": later(t, second, 1), "configured": later(t, configured, 2), "web": web(t), "store": store(t),
		"checked": later(t, checked, 3), "missing-check": later(t, checkedWrongly, 4),
	} {
		if err := world.Push(image, address+"/"+name); err != nil {
			t.Fatal(err)
		}
		for _, digest := range []func() (v1.Hash, error){image.ConfigName, image.Digest} {
			h, err := digest()
			if err != nil {
				t.Fatal(err)
			}
			known = append(known, h.Hex)
		}
		layers, err := image.Layers()
		if err != nil {
			t.Fatal(err)
		}
		for _, layer := range layers {
			h, err := layer.Digest()
			if err != nil {
				t.Fatal(err)
			}
			known = append(known, h.Hex)
		}
	}
	return known
}

// later was made some seconds after bb: Docker lists images of the same second in any order.
func later(t *testing.T, image v1.Image, seconds int) v1.Image {
	image, err := mutate.CreatedAt(image, v1.Time{Time: time.Date(2026, 1, 1, 0, 0, seconds, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// healthChecked has a health check and a shell of its own.
func healthChecked(t *testing.T, check ...string) v1.Image {
	image, err := world.Busybox()
	if err == nil {
		image, err = world.Configure(image, v1.Config{
			Cmd: []string{"sleep", "1000"}, User: "user", WorkingDir: "/tmp", Env: []string{"PATH=/bin", "GREETING=hello"}, Shell: []string{"/bin/sh", "-ec"},
			Healthcheck: &v1.HealthConfig{Test: check, Interval: 200 * time.Millisecond, Retries: 1},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// web serves a page, its name and who asks for it.
func web(t *testing.T) v1.Image {
	image, err := world.Busybox(
		world.File{Name: "www/", Mode: 0o755},
		world.File{Name: "www/index.html", Mode: 0o644, Body: []byte("hello\n")},
		world.File{Name: "www/cgi-bin/", Mode: 0o755},
		world.File{Name: "www/cgi-bin/name", Mode: 0o755, Body: []byte("#!/bin/sh\necho; hostname\n")},
		world.File{Name: "www/cgi-bin/who", Mode: 0o755, Body: []byte(whoAsks)},
	)
	if err == nil {
		image, err = world.Configure(image, v1.Config{
			Cmd: []string{"httpd", "-f", "-p", "80", "-h", "/www"}, Env: []string{"PATH=/bin"},
			ExposedPorts: map[string]struct{}{"80/tcp": {}},
		})
	}
	if err == nil {
		image, err = mutate.CreatedAt(image, v1.Time{Time: time.Date(2025, 12, 2, 0, 0, 0, 0, time.UTC)})
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// store has volumes: one with files of several owners and modes, one empty.
func store(t *testing.T) v1.Image {
	image, err := world.Busybox(
		world.File{Name: "data/", Mode: 0o750, Owner: 1000},
		world.File{Name: "data/mine", Mode: 0o640, Owner: 1000, Body: []byte("mine\n")},
		world.File{Name: "data/sub/", Mode: 0o1777},
		world.File{Name: "data/sub/root", Mode: 0o4755, Body: []byte("root\n")},
		world.File{Name: "data/link", Link: "mine", Mode: 0o777},
		world.File{Name: "empty/", Mode: 0o700, Owner: 1000},
	)
	if err == nil {
		image, err = world.Configure(image, v1.Config{
			Cmd: []string{"sh"}, Env: []string{"PATH=/bin"}, Volumes: map[string]struct{}{"/data": {}, "/empty": {}},
		})
	}
	if err == nil {
		image, err = mutate.CreatedAt(image, v1.Time{Time: time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC)})
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func TestSessions(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no sessions", err)
	}
	real, ours, known := furnished(t)
	commands := 0
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		session, err := Parse(filepath.Base(name), data)
		if err != nil {
			t.Fatal(err)
		}
		if needs, without := strings.CutPrefix(session.Needs, "!"); needs != "" && controller(t, needs) == without {
			t.Logf("%s is for machines where cgroup v2 has the controller %s, or has not (!): %s", session.Name, needs, session.Needs)
			continue
		}
		commands += len(session.Steps)
		t.Run(strings.TrimSuffix(session.Name, ".txtar"), func(t *testing.T) {
			t.Parallel()
			want := real.play(t, "docker", session, known)
			have := ours.play(t, "glassbox", session, known)
			if want == nil || have == nil {
				return
			}
			for i, step := range session.Steps {
				if d := Compare(step, want[i], have[i]); d != "" {
					t.Errorf("%s:%d: $ %s\n%s", session.Name, step.Line, step.Command, d)
				}
			}
		})
	}
	t.Logf("%d commands in %d sessions", commands, len(names))
}

func controller(t *testing.T, name string) bool {
	b, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(strings.Fields(string(b)), name)
}

// play takes a host that is free, or waits for one; nil when -only names the other kind.
func (all sides) play(t *testing.T, kind string, session *Session, known []string) []Outcome {
	if *only != "" && *only != kind {
		return nil
	}
	side := <-all
	defer func() { all <- side }()
	outcomes, err := side.Play(session, known)
	if err != nil {
		t.Fatal(err)
	}
	if *transcript != "" {
		write(t, filepath.Join(*transcript, session.Name+"."+kind), session, outcomes)
	}
	return outcomes
}

func write(t *testing.T, path string, session *Session, outcomes []Outcome) {
	var b strings.Builder
	for i, step := range session.Steps {
		o := outcomes[i]
		fmt.Fprintf(&b, "$ %s\n%s", step.Command, o.Stdout)
		if o.Stderr != "" {
			fmt.Fprintf(&b, "--- stderr\n%s", o.Stderr)
		}
		fmt.Fprintf(&b, "--- exit %d, %.2f s\n\n", o.Code, o.Took.Seconds())
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
