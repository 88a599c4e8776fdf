package main

import (
	"os"
	"strings"

	"glassbox/test/debian"
	"glassbox/test/machines"
	"glassbox/test/world"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// host is a machine of its own for one engine, with another one beside it: engines on one host would filter each other's packets.
type host struct {
	*machines.Machine
	name    string
	command []string // the engine's command line, up to the verb
	beside  *machines.Machine
	docker  *world.Docker
}

// The addresses of a host and of the machine beside it.
const hostAddress, besideAddress = "192.0.2.1", "192.0.2.2"

// newHost starts the machines and lays the cable.
func newHost(name string, command ...string) (*host, error) {
	h := &host{name: name, command: command}
	var err error
	if h.Machine, err = machines.New(name); err != nil {
		return nil, err
	}
	if h.beside, err = machines.New(name + "-beside"); err != nil {
		return nil, err
	}
	err = machines.Cable(
		machines.Plug{Machine: h.Machine, Interface: "eth0", Addresses: []string{hostAddress + "/24"}},
		machines.Plug{Machine: h.beside, Interface: "eth0", Addresses: []string{besideAddress + "/24"}})
	if err == nil {
		err = h.Route("default", besideAddress)
	}
	return h, err
}

// halt ends the machines and whatever runs there.
func (h *host) halt() {
	if h.docker != nil {
		h.docker.Stop()
	}
	h.Halt()
	h.beside.Halt()
}

// run runs a command of the engine.
func (h *host) run(args ...string) (string, error) {
	words := append(append([]string{}, h.command...), args...)
	out, err := h.Output(words[0], words[1:]...)
	return strings.TrimSpace(out), err
}

// runner is a command of the engine in a race.
func (h *host) runner(name string, args ...string) *runner {
	return &runner{name: name, on: h.Machine, argv: always(append(append([]string{}, h.command...), args...)...)}
}

// pushKit uploads what the containers of the network parts are made of: real programs, the C program and this one.
func (r *rig) pushKit() error {
	files, err := debian.Kit()
	if err != nil {
		return err
	}
	files = append(files, world.File{Name: "opt/", Mode: 0o755})
	for name, path := range map[string]string{"opt/true": *floor, "opt/bench": "/proc/self/exe"} {
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files = append(files, world.File{Name: name, Mode: 0o755, Body: body})
	}
	image, err := world.Image(files, v1.Config{Cmd: []string{"/opt/true"}, Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}})
	if err != nil {
		return err
	}
	return world.Push(image, r.address+"/kit")
}

// glassboxHost, dockerHost and podmanHost have the image kit.
func (r *rig) glassboxHost() (*host, error) {
	h, err := newHost("glassbox", *bin+"/glassbox")
	if err != nil {
		return nil, err
	}
	return r.give(h)
}

func (r *rig) dockerHost(flags ...string) (*host, error) {
	h, err := newHost("docker", *docker+"/docker")
	if err != nil {
		return nil, err
	}
	if h.docker, err = h.StartDocker(*docker, flags...); err != nil {
		return nil, err
	}
	return r.give(h)
}

func (r *rig) podmanHost() (*host, error) {
	h, err := newHost("podman")
	if err != nil {
		return nil, err
	}
	h.command = []string{"podman", "--root", h.Dir + "/podman", "--runroot", "/run/podman", "--tmpdir", "/run/podman-tmp", "--network-config-dir", h.Dir + "/networks",
		"--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", "runc"}
	return r.give(h, "--tls-verify=false")
}

// give lets the engine pull kit, from a registry on the host's own loopback.
func (r *rig) give(h *host, flags ...string) (*host, error) {
	registry, err := h.Daemon(func() error {
		_, err := h.Output("curl", "-s", "http://"+r.address+"/v2/")
		return err
	}, "docker-registry", "serve", world.Dir()+"/registry.yml")
	if err != nil {
		return nil, err
	}
	defer registry.Stop()
	_, err = h.run(append(append([]string{"pull"}, flags...), r.kit())...)
	return h, err
}

func (r *rig) kit() string { return r.address + "/kit" }
