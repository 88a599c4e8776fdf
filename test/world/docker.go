package world

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Docker is the real one: Debian's containerd and runc, and the dockerd and docker that test/tools/docker built.
type Docker struct {
	CLI                string
	Data               string // --data-root
	containerd, daemon *Process
}

// Ground is where a Docker is started: the world, or a machine in it. Its /run is its own.
type Ground struct {
	Dir    string // of its data
	Config string // daemon.json; the machine's own does not count
	Start  func(ready func() error, name string, args ...string) (*Process, error)
	Output func(name string, args ...string) (string, error)
}

// StartDocker runs it in the world itself, as Docker comes, userland proxy included. bin holds docker, dockerd and docker-proxy.
func StartDocker(bin string) (*Docker, error) {
	for _, need := range []string{bin + "/docker", bin + "/dockerd", bin + "/docker-proxy", "containerd", "runc", "iptables", "/usr/bin/tini-static"} {
		if _, err := exec.LookPath(need); err != nil {
			return nil, fmt.Errorf("%w (make test installs it)", err)
		}
	}
	return Ground{Dir: Dir() + "/docker", Start: Start, Output: Output}.StartDocker(bin, "--userland-proxy-path", bin+"/docker-proxy")
}

// StartDocker starts containerd and dockerd, with these flags more, on their default sockets.
func (g Ground) StartDocker(bin string, flags ...string) (*Docker, error) {
	config, daemon := g.Dir+"/containerd.toml", g.Dir+"/daemon.json"
	if g.Config == "" {
		g.Config = "{}"
	}
	err := errors.Join(
		os.MkdirAll(g.Dir, 0o755),
		os.WriteFile(daemon, []byte(g.Config), 0o644),
		os.WriteFile(config, fmt.Appendf(nil, "version = 2\nroot = %q\nstate = \"/run/containerd\"\n"+
			"disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"/run/containerd/containerd.sock\"\n", g.Dir+"/containerd"), 0o644))
	if err != nil {
		return nil, err
	}
	d := &Docker{CLI: bin + "/docker", Data: g.Dir + "/data"}
	d.containerd, err = g.Start(func() error {
		_, err := g.Output("test", "-S", "/run/containerd/containerd.sock")
		return err
	}, "containerd", "--config", config)
	if err != nil {
		return nil, err
	}
	d.daemon, err = g.Start(func() error {
		_, err := g.Output(d.CLI, "version")
		return err
	}, bin+"/dockerd", append([]string{"--containerd", "/run/containerd/containerd.sock", "--data-root", d.Data,
		"--config-file", daemon, "--storage-driver", "overlay2", "--init-path", "/usr/bin/tini-static"}, flags...)...)
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
