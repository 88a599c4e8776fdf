package docker

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glassbox/test/world"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

var (
	transcript = flag.String("transcript", "", "write what each side printed to this `directory`")
	only       = flag.String("only", "", "play `docker` or `glassbox` alone and compare nothing (with -transcript)")
)

const cache = "../.cache/docker"

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: the side-by-side sessions need root")
		return
	}
	if _, err := os.Stat(cache + "/dockerd"); err != nil {
		fmt.Println("SKIP: the side-by-side sessions need Docker 28.5.2: test/tools/docker/build.sh test/.cache/docker")
		return
	}
	os.Exit(world.Run(build, m.Run))
}

func build(dir string) error {
	if *only == "docker" {
		return nil
	}
	return world.BuildGlassbox(dir)
}

// sides starts the registry and Docker, pushes the images and gives both sides what the sessions find there: bb.
func sides(t *testing.T) (real, ours *Side, known []string) {
	registry, address, err := world.StartRegistry()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registry.Stop)
	bin, err := filepath.Abs(cache)
	if err != nil {
		t.Fatal(err)
	}
	docker, err := world.StartDocker(bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(docker.Stop)
	known = push(t, address)
	dir := world.Dir()
	real = &Side{Name: "docker", Bin: dir + "/bin-docker", Work: dir + "/home/work"}
	ours = &Side{Name: "glassbox", Bin: dir + "/bin-glassbox", Work: dir + "/home/work",
		Env: []string{"GLASSBOX_ROOT=" + dir + "/glassbox/root", "GLASSBOX_RUN=/run/glassbox"}}
	links := map[string]string{real.Bin + "/docker": docker.CLI}
	for _, name := range []string{"docker", "glassbox", "glassrun"} {
		links[ours.Bin+"/"+name] = dir + "/glassbox/" + strings.Replace(name, "docker", "glassbox", 1)
	}
	for link, target := range links {
		os.MkdirAll(filepath.Dir(link), 0o755)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*Side{real, ours} {
		if *only != "" && *only != s.Name {
			continue
		}
		os.MkdirAll(s.Work, 0o755)
		prepare := fmt.Sprintf("docker pull %[1]s/bb && docker tag %[1]s/bb bb && docker rmi %[1]s/bb", address)
		if o, err := s.run(Step{Command: prepare}); err != nil || o.Code != 0 {
			t.Fatalf("%s: %s: %v\n%s%s", s.Name, prepare, err, o.Stdout, o.Stderr)
		}
	}
	return real, ours, known
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
	for name, image := range map[string]v1.Image{"bb": bb, "bb:second": second, "configured": configured} {
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

func TestSessions(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no sessions", err)
	}
	real, ours, known := sides(t)
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
		if session.Name == "limits.txtar" && controllers(t, "memory") {
			t.Logf("limits.txtar is about machines whose v1 hierarchies hold the memory controller; this one's is free")
			continue
		}
		commands += len(session.Steps)
		t.Run(strings.TrimSuffix(session.Name, ".txtar"), func(t *testing.T) {
			want := play(t, real, session, known)
			have := play(t, ours, session, known)
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

func controllers(t *testing.T, name string) bool {
	b, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(strings.Fields(string(b)), name)
}

func play(t *testing.T, side *Side, session *Session, known []string) []Outcome {
	if *only != "" && *only != side.Name {
		return nil
	}
	outcomes, err := side.Play(session, known)
	if err != nil {
		t.Fatal(err)
	}
	if *transcript != "" {
		write(t, filepath.Join(*transcript, session.Name+"."+side.Name), session, outcomes)
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
