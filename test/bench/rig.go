package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"glassbox/test/world"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// rig is the world's furniture: a registry with the images, the peers, and one bundle that all OCI runtimes run.
type rig struct {
	registry *world.Process
	docker   *world.Docker
	address  string
	bundle   string // config.json and rootfs
}

func newRig() (*rig, error) {
	r := &rig{bundle: world.Dir() + "/bundle"}
	os.Setenv("GLASSBOX_ROOT", world.Dir()+"/glassbox")
	os.Setenv("GLASSBOX_RUN", "/run/glassbox")
	os.Setenv("HOME", world.Dir())
	var err error
	if r.registry, r.address, err = world.StartRegistry(); err != nil {
		return nil, err
	}
	if r.docker, err = world.StartDocker(*docker); err != nil {
		return nil, err
	}
	program, err := os.ReadFile(*floor)
	if err != nil {
		return nil, err
	}
	files := []world.File{
		{Name: "bin/", Mode: 0o755}, {Name: "bin/true", Mode: 0o755, Body: program},
		{Name: "etc/", Mode: 0o755}, {Name: "proc/", Mode: 0o755}, {Name: "sys/", Mode: 0o755}, {Name: "dev/", Mode: 0o755},
	}
	image, err := world.Image(files, v1.Config{Cmd: []string{"/bin/true"}})
	if err != nil {
		return nil, err
	}
	if err := world.Push(image, r.address+"/true"); err != nil {
		return nil, err
	}
	return r, r.makeBundle(program)
}

func (r *rig) stop() {
	r.docker.Stop()
	r.registry.Stop()
}

// makeBundle takes runc's own default configuration, with another command and without a terminal.
func (r *rig) makeBundle(program []byte) error {
	for _, dir := range []string{"bin", "etc", "proc", "sys", "dev"} {
		if err := os.MkdirAll(filepath.Join(r.bundle, "rootfs", dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(r.bundle+"/rootfs/bin/true", program, 0o755); err != nil {
		return err
	}
	if _, err := world.Output("runc", "spec", "-b", r.bundle); err != nil {
		return err
	}
	text, err := os.ReadFile(r.bundle + "/config.json")
	if err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return err
	}
	process := config["process"].(map[string]any)
	process["terminal"], process["args"] = false, []string{"/bin/true"}
	if text, err = json.MarshalIndent(config, "", "\t"); err != nil {
		return err
	}
	return os.WriteFile(r.bundle+"/config.json", text, 0o644)
}

// sleeper is a bundle whose container stays.
func (r *rig) sleeper() (string, error) {
	dir := world.Dir() + "/sleeper"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	text, err := os.ReadFile(r.bundle + "/config.json")
	if err != nil {
		return "", err
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err == nil {
		err = os.WriteFile(r.bundle+"/rootfs/bin/sleep", busybox, 0o755)
	}
	if err != nil {
		return "", err
	}
	text = bytes.Replace(text, []byte(`"/bin/true"`), []byte(`"/bin/sleep", "100000"`), 1)
	text = bytes.Replace(text, []byte(`"path": "rootfs"`), fmt.Appendf(nil, `"path": %q`, r.bundle+"/rootfs"), 1)
	return dir, os.WriteFile(dir+"/config.json", text, 0o644)
}

// glassbox is a command of the program under test.
func glassbox(args ...string) []string { return append([]string{*bin + "/glassbox"}, args...) }

// podman is a command of podman with its storage in the world and what it needs where no systemd runs.
func podman(args ...string) []string {
	dir := world.Dir() + "/podman"
	return append([]string{"podman", "--root", dir, "--runroot", "/run/podman", "--tmpdir", "/run/podman-tmp",
		"--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", "runc"}, args...)
}

func run(argv []string) error {
	_, err := world.Output(argv[0], argv[1:]...)
	return err
}

func installed(name string) error {
	_, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("%w (test/bench/run.sh installs it)", err)
	}
	return nil
}
