package engines

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"glassbox/test/need"
	"glassbox/test/world"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// engines start what sessions need, once: all ends with the world.
var engines = map[string]func() error{
	"docker": sync.OnceValue(startDocker),
	"ctr":    sync.OnceValue(startCtr),
	"podman": sync.OnceValue(func() error { return run("podman", "load", "-q", "-i", image()) }),
}

// startDocker starts dockerd, and the containerd that it shares with ctr.
var startDocker = sync.OnceValue(func() error {
	config, err := shown("daemon.json")
	if err != nil {
		return err
	}
	ground := world.Ground{Dir: world.Dir() + "/docker", Config: config, Start: world.Start, Output: world.Output}
	if _, err := ground.StartDocker(bin(), "--userland-proxy-path", bin()+"/docker-proxy"); err != nil {
		return err
	}
	return run("docker", "load", "-q", "-i", image())
})

func startCtr() error {
	return errors.Join(startDocker(), run("ctr", "images", "import", image()))
}

func run(name string, args ...string) error {
	_, err := world.Output(name, args...)
	return err
}

func bin() string   { return world.Dir() + "/bin" }
func image() string { return world.Dir() + "/bb.tar" }

// dockerBin is where test/tools/docker builds it.
const dockerBin = "../.cache/docker"

// present says which engine is missing.
func present() error {
	for _, program := range []string{dockerBin + "/dockerd", "containerd", "ctr", "podman", "conmon"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w (make test installs it)", err)
		}
	}
	return nil
}

// podman keeps to the world: what it needs where no systemd runs, and a storage of its own.
const podman = `#!/bin/sh
exec /usr/bin/podman --root $DIR/podman --runroot /run/podman --tmpdir /run/podman-tmp --network-config-dir $DIR/networks \
	--storage-driver overlay --events-backend file "$@"
`

// recorder stands in the runtime's place and keeps what an engine asks for.
const recorder = `#!/bin/sh
echo "$*" >>$CAPTURE/calls
bundle= process= id=
for word; do
	case $last in --bundle|-b) bundle=$word;; --process|-p) process=$word;; esac
	last=$word id=$word
done
[ -z "$bundle" ] || cp "$bundle/config.json" "$CAPTURE/$id.config.json"
[ -z "$process" ] || cp "$process" "$CAPTURE/$id.process.json"
exec $RUNTIME "$@"
`

// furnish makes what all sessions find: programs first in PATH, podman's configuration, and an image as a file.
func furnish() error {
	if err := os.Mkdir(bin(), 0o755); err != nil {
		return err
	}
	for _, program := range []string{"docker", "dockerd", "docker-proxy"} {
		if err := os.Symlink(absolute(filepath.Join(dockerBin, program)), filepath.Join(bin(), program)); err != nil {
			return err
		}
	}
	fill := strings.NewReplacer("$DIR", world.Dir(), "$CAPTURE", absolute(*capture), "$RUNTIME", runtimeProgram()).Replace
	config, err := shown("containers.conf")
	if err != nil {
		return err
	}
	os.Setenv("PATH", bin()+":"+os.Getenv("PATH"))
	os.Setenv("CONTAINERS_CONF", world.Dir()+"/containers.conf")
	return errors.Join(
		os.WriteFile(bin()+"/podman", []byte(fill(podman)), 0o755),
		os.WriteFile(bin()+"/recorder", []byte(fill(recorder)), 0o755),
		os.WriteFile(world.Dir()+"/containers.conf", []byte(config+unlimited()), 0o644),
		writeImage(),
		fetchPrograms(),
	)
}

// unlimited keeps podman, where the pids controller is in cgroup v1, from its default of 2048 processes, which cannot be had there.
func unlimited() string {
	if have, _ := os.ReadFile("/sys/fs/cgroup/cgroup.controllers"); strings.Contains(string(have), "pids") {
		return ""
	}
	return "[containers]\npids_limit = 0\n"
}

// writeImage writes a small distribution as `docker save` does: every engine reads that.
func writeImage() error {
	busybox, err := world.Busybox()
	if err != nil {
		return err
	}
	tag, err := name.NewTag("docker.io/library/bb:latest")
	if err != nil {
		return err
	}
	return tarball.WriteToFile(image(), tag, busybox)
}

// fetchPrograms: in the VM, the engines' programs come over 9p, where a page fault ends in SIGBUS when a signal meets it. Opened for
// writing, a file is copied to the overlay's upper directory, which is on the VM's own disk.
func fetchPrograms() error {
	if !need.VM() {
		return nil
	}
	for _, program := range []string{"docker", "dockerd", "docker-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "/usr/bin/podman", "conmon", "runc"} {
		path, err := exec.LookPath(program)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("fetching: %w", err)
		}
		f.Close()
	}
	return nil
}

// runtimeProgram is what stands in for glassrun, and driven is what engines call.
func runtimeProgram() string {
	if *runtimePath != "" {
		return *runtimePath
	}
	return world.Dir() + "/glassbox/glassrun"
}

func driven() string {
	if *capture != "" {
		return bin() + "/recorder"
	}
	return runtimeProgram()
}

func absolute(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return full
}
