package machines

import (
	"errors"
	"fmt"
	"os"

	"glassbox/test/world"
)

// Docker is a real one on a machine: what tests and benchmarks hold glassbox against.
type Docker struct {
	CLI                string
	Data               string // --data-root
	containerd, daemon *world.Process
}

// StartDocker starts containerd and dockerd, with these flags more. bin holds docker and dockerd.
func (m *Machine) StartDocker(bin string, flags ...string) (*Docker, error) {
	data := m.Dir + "/docker"
	config, daemon := m.Dir+"/containerd.toml", m.Dir+"/daemon.json"
	err := errors.Join(
		os.MkdirAll(data, 0o755),
		os.WriteFile(daemon, []byte("{}"), 0o644), // so that the machine's own does not count
		os.WriteFile(config, fmt.Appendf(nil, "version = 2\nroot = %q\nstate = \"/run/containerd\"\n"+
			"disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"/run/containerd/containerd.sock\"\n", data+"/containerd"), 0o644))
	if err != nil {
		return nil, err
	}
	d := &Docker{CLI: bin + "/docker", Data: data + "/data"}
	d.containerd, err = m.Daemon(func() error {
		_, err := m.Output("test", "-S", "/run/containerd/containerd.sock")
		return err
	}, "containerd", "--config", config)
	if err != nil {
		return nil, err
	}
	d.daemon, err = m.Daemon(func() error {
		_, err := m.Output(d.CLI, "version")
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
