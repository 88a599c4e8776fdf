package oci

import (
	"errors"
	"os"

	"glassbox/program"
	"glassbox/rootfs"
	"glassbox/runtime"
	"glassbox/sealed"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Start lets a created container's process become its program.
func (s Store) Start(id string, explain bool) ([]program.Account, error) {
	c, lock, err := s.Locked(id)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	switch c.Status() {
	case Created:
	case Stopped, Creating:
		return nil, errors.New("cannot start a container that has stopped")
	case Paused:
		return nil, errors.New("cannot start a paused container")
	default:
		return nil, errors.New("cannot start an already running container")
	}
	process, err := c.resume(explain, s.Warn)
	if err != nil {
		return accountOf(nil, explain, err), err
	}
	err = c.whyNotRun(process.Start())
	return accountOf(process, explain, err), err
}

// leaveCreated is called when the process is about to be let on: from here on it is seen as running.
func (c *Container) leaveCreated() error {
	return errors.Join(os.Remove(c.path(fileProgram)), os.Remove(c.path(fileSocket)))
}

// whyNotRun words a failed start. Only then is config.json needed.
func (c *Container) whyNotRun(failed error) error {
	if failed == nil {
		return nil
	}
	spec, err := c.Spec()
	if err != nil {
		return errors.Join(failed, err)
	}
	return runtime.WhyNotRun(spec.Process, failed)
}

// resume becomes the host of the container's process.
func (c *Container) resume(explain bool, warn func(error)) (*runtime.Container, error) {
	hooks, err := c.hooks()
	if err != nil {
		return nil, err
	}
	if hooks != nil && len(hooks.Spec.Hooks.StartContainer) > 0 {
		if err := sealed.Self(); err != nil { // our processes will be in the container
			return nil, err
		}
	}
	memory, err := os.Open(c.path(fileProgram))
	if err != nil {
		return nil, err
	}
	defer memory.Close()
	conn, err := store.Connect(c.path(fileSocket), patience)
	if err != nil {
		return nil, err
	}
	return runtime.Left{
		Pid: c.Pid, Group: c.Cgroup(), Memory: memory, Conn: conn, Explain: explain, Hooks: hooks, State: c.told(), Warn: warn,
		Recall: c.recall, Passing: c.leaveCreated,
	}.Resume()
}

// hooks are config.json's, nil if it has none.
func (c *Container) hooks() (*runtime.Hooks, error) {
	if !c.Hooks {
		return nil, nil
	}
	spec, err := c.Spec()
	if err != nil {
		return nil, err
	}
	return &runtime.Hooks{Spec: spec, State: c.told(), Group: c.Cgroup()}, nil
}

// recall reads what the container was created from.
func (c *Container) recall() (*specs.Spec, *rootfs.Layers, runtime.Facts, error) {
	var facts runtime.Facts
	spec, err := c.Spec()
	if err != nil {
		return nil, nil, facts, err
	}
	layers, err := readLayers(c.Bundle)
	if err != nil {
		return nil, nil, facts, err
	}
	err = readDocument(c.path(fileFacts), &facts)
	return spec, layers, facts, err
}

// Spec is config.json as it was at the container's creation.
func (c *Container) Spec() (*specs.Spec, error) {
	text, err := readConfig(c.path(fileConfig))
	if err != nil {
		return nil, err
	}
	spec, err := decodeConfig(text)
	if err == nil {
		c.complete(spec)
	}
	return spec, err
}
