package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glassbox/test/machines"
	"glassbox/test/world"
)

// builder is one of those that build a case.
type builder struct {
	*machines.Machine
	outside *machines.Machine // beside it
	name    string
	engine  string // runs containers; empty: none
	pull    string // an image's name follows
	command string // the arguments of `build` follow
	inspect string // prints JSON as `docker image inspect` does; an image's name follows
	// config reads what an image's id is the digest of.
	config func(id string) ([]byte, error)
}

// Outcome is what a command did.
type Outcome struct {
	Output string // both streams, as they came
	Code   int
	Took   time.Duration
}

// run runs a script in a directory.
func (b *builder) run(t testing.TB, dir, script string) Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), machines.Patient(2*time.Minute))
	defer cancel()
	c := b.Command(ctx, "sh", "-c", script)
	var out bytes.Buffer
	c.Dir, c.Stdout, c.Stderr = dir, &out, &out
	start := time.Now()
	err := b.Start(c)
	if err == nil {
		err = c.Wait()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %s: %v\n%s", b.name, script, err, &out)
	}
	return Outcome{out.String(), c.ProcessState.ExitCode(), time.Since(start)}
}

// build builds what a directory holds, and gives it a name.
func (b *builder) build(t testing.TB, dir, name, args string) Outcome {
	t.Helper()
	return b.run(t, dir, b.command+" -t "+name+" "+args)
}

// Picture is what there is of an image.
type Picture struct {
	ID     string
	Tree   []string   // its files
	Layers [][]string // what each layer holds, the lowest first
	Config []byte     // as the builder keeps it
}

type inspected struct {
	ID          string `json:"Id"`
	GraphDriver struct {
		Data struct{ LowerDir, UpperDir string }
	}
}

// picture looks at an image.
func (b *builder) picture(t testing.TB, name string) Picture {
	t.Helper()
	out, err := b.Output("sh", "-c", b.inspect+" "+name)
	if err != nil {
		t.Fatal(err)
	}
	var all []inspected
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("%s: inspecting %s: %v\n%s", b.name, name, err, out)
	}
	p := Picture{ID: all[0].ID}
	data := all[0].GraphDriver.Data
	var layers []string
	for dir := range strings.SplitSeq(data.UpperDir+":"+data.LowerDir, ":") {
		if dir != "" {
			layers = append(layers, dir)
			p.Layers = append([][]string{files(t, dir)}, p.Layers...)
		}
	}
	p.Tree = merged(t, layers)
	if p.Config, err = b.config(strings.TrimPrefix(p.ID, "sha256:")); err != nil {
		t.Fatal(err)
	}
	return p
}

func ofGlassbox(t testing.TB) *builder {
	m, outside := host(t, "glassbox")
	return &builder{
		Machine: m, outside: outside, engine: "glassbox", name: "glassbox", pull: "glassbox pull -q", command: "glassbox build", inspect: "glassbox image inspect",
		config: func(id string) ([]byte, error) { return os.ReadFile(m.Root() + "/images/blobs/sha256/" + id) },
	}
}

// ofDocker are its two builders.
func ofDocker(t testing.TB) (classic, buildkit *builder) {
	m, outside := host(t, "docker")
	ground := world.Ground{Dir: m.Dir + "/docker", Config: engineConfig, Start: m.Daemon, Output: m.Output}
	d, err := ground.StartDocker(absolute(t, cache), "--userland-proxy-path", absolute(t, cache+"/docker-proxy"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Stop)
	if err := os.MkdirAll(m.Dir+"/.docker/cli-plugins", 0o755); err != nil {
		t.Fatal(err)
	}
	config := func(id string) ([]byte, error) {
		return os.ReadFile(d.Data + "/image/overlay2/imagedb/content/sha256/" + id)
	}
	classic = &builder{
		Machine: m, outside: outside, engine: d.CLI, name: "docker", pull: d.CLI + " pull -q", command: "DOCKER_BUILDKIT=0 " + d.CLI + " build", inspect: d.CLI + " image inspect", config: config,
	}
	buildkit = &builder{
		Machine: m, outside: outside, engine: d.CLI, name: "buildkit", command: "DOCKER_BUILDKIT=1 BUILDX_NO_DEFAULT_ATTESTATIONS=1 " + d.CLI + " build --progress plain",
		inspect: d.CLI + " image inspect", config: config,
	}
	if err := os.Symlink(buildx(t), m.Dir+"/.docker/cli-plugins/docker-buildx"); err != nil {
		t.Fatal(err)
	}
	return classic, buildkit
}

// buildx is Docker's plugin for BuildKit, which is inside of dockerd.
func buildx(t testing.TB) string {
	t.Helper()
	path := absolute(t, cache+"/docker-buildx")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: test/tools/buildx/build.sh test/.cache/docker", err)
	}
	return path
}

// ofBuildah keeps its images beside podman, which tells of them.
func ofBuildah(t testing.TB) *builder {
	m, _ := host(t, "buildah")
	m.Env = append(m.Env, "CONTAINERS_REGISTRIES_CONF="+m.Dir+"/registries.conf", "BUILDAH_FORMAT=docker", "BUILDAH_ISOLATION=oci", "BUILDAH_RUNTIME=runc", "TMPDIR="+m.Root())
	store := "--root " + m.Root() + "/storage --runroot /run/storage --storage-driver overlay "
	return &builder{
		Machine: m, name: "buildah", pull: "buildah " + store + "pull -q", command: "buildah " + store + "build --layers --pull-never --identity-label=false",
		inspect: "podman " + store + "image inspect",
		config: func(id string) ([]byte, error) {
			found, err := filepath.Glob(m.Root() + "/storage/overlay-images/" + id + "/=*")
			if err != nil {
				return nil, err
			}
			for _, path := range found {
				raw, err := os.ReadFile(path)
				if err == nil && strings.Contains(string(raw), `"rootfs"`) {
					return raw, nil
				}
			}
			return nil, fmt.Errorf("buildah has no configuration of %s", id)
		},
	}
}

// prepare pulls what most cases begin with and runs a container, so that no build tells of what is done once.
func (b *builder) prepare(t testing.TB, images ...string) *builder {
	t.Helper()
	var script strings.Builder
	for _, image := range images {
		fmt.Fprintf(&script, "%s %s && ", b.pull, image)
	}
	if b.engine != "" {
		script.WriteString(b.engine + " run --rm busybox ")
	}
	if out, err := b.Output("sh", "-c", script.String()+"true"); err != nil {
		t.Fatalf("%s%v\n%s", out, err, b.log())
	}
	return b
}

// log is the end of what its daemon wrote, if it has one.
func (b *builder) log() string {
	out, _ := exec.Command("tail", "-n", "20", world.Dir()+"/"+b.Name+"-dockerd.log").Output()
	return string(out)
}
