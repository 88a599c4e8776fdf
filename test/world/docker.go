package world

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Docker is the real one: Debian's containerd and runc, and the dockerd and docker that test/tools/docker built.
type Docker struct {
	CLI                string
	containerd, daemon *Process
}

// StartDocker runs it on its default socket (the world's /run is its own) with its data in the world's directory, and otherwise as
// Docker comes, userland proxy included. bin holds docker, dockerd and docker-proxy.
func StartDocker(bin string) (*Docker, error) {
	for _, need := range []string{bin + "/docker", bin + "/dockerd", bin + "/docker-proxy", "containerd", "runc", "iptables", "/usr/bin/tini-static"} {
		if _, err := exec.LookPath(need); err != nil {
			return nil, fmt.Errorf("%w (make test installs it)", err)
		}
	}
	d := &Docker{CLI: bin + "/docker"}
	config := filepath.Join(Dir(), "containerd.toml")
	err := os.WriteFile(config, fmt.Appendf(nil, `version = 2
root = %q
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "/run/containerd/containerd.sock"
`, Dir()+"/containerd"), 0o644)
	if err != nil {
		return nil, err
	}
	d.containerd, err = Start(func() error {
		_, err := Output("test", "-S", "/run/containerd/containerd.sock")
		return err
	}, "containerd", "--config", config)
	if err != nil {
		return nil, err
	}
	// An empty configuration file, so that the machine's own does not count.
	if err := os.WriteFile(Dir()+"/daemon.json", []byte("{}"), 0o644); err != nil {
		return nil, err
	}
	d.daemon, err = Start(func() error {
		_, err := Output(d.CLI, "version")
		return err
	}, bin+"/dockerd", "--containerd", "/run/containerd/containerd.sock", "--data-root", Dir()+"/docker",
		"--config-file", Dir()+"/daemon.json", "--storage-driver", "overlay2", "--userland-proxy-path", bin+"/docker-proxy", "--init-path", "/usr/bin/tini-static")
	if err != nil {
		d.containerd.Stop()
		return nil, err
	}
	return d, nil
}

// Stop ends both daemons.
func (d *Docker) Stop() {
	d.daemon.Stop()
	d.containerd.Stop()
}

var errNoBusybox = errors.New("no static busybox at /bin/busybox (apt-get install busybox-static)")
