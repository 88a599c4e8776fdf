package oci

import (
	"encoding/json"
	"io"
	"time"

	"glassbox/cgroups"
	"glassbox/runtime"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// record is state.json.
type record struct {
	Version     string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations"`
	Owner       int               `json:"owner"`   // uid of who created it
	Pid         int               `json:"pid"`     // of its process; 0 while it is being created
	Began       uint64            `json:"began"`   // when that process was made, in clock ticks since boot: another one of this number has another
	Group       string            `json:"group"`   // its cgroup; empty: none
	Shares      bool              `json:"shares"`  // it has no PID namespace of its own: its processes outlive the first
	Hooks       bool              `json:"hooks"`   // config.json has some
	Systemd     bool              `json:"systemd"` // systemd has made the group
	Sockets     int               `json:"sockets"` // how many its process got of systemd's, sd_listen_fds(3)
}

// Status is what a container is doing.
type Status string

// The runtime specification's, and runc's "paused".
const (
	Creating Status = "creating"
	Created  Status = "created"
	Running  Status = "running"
	Paused   Status = "paused"
	Stopped  Status = "stopped"
)

// State is what `state` prints.
type State struct {
	Version     string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Pid         int               `json:"pid"`
	Status      Status            `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owner       string            `json:"owner"`
}

// State looks at the container.
func (c *Container) State() State {
	s := State{Version: c.Version, ID: c.ID, Status: c.Status(), Bundle: c.Bundle, Rootfs: c.Rootfs, Created: c.Created, Annotations: c.Annotations}
	if s.Status != Stopped {
		s.Pid = c.Pid
	}
	return s
}

// told is what hooks, and who decides about calls, are told; the runtime puts in the rest.
func (r *record) told() specs.State {
	return specs.State{Version: r.Version, ID: r.ID, Bundle: r.Bundle, Annotations: r.Annotations}
}

// Print writes it as runc does.
func (s State) Print(w io.Writer) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// Status looks what the container is doing.
func (c *Container) Status() Status {
	switch {
	case c.Pid == 0 && c.locked():
		return Creating
	case !c.alive():
		return Stopped
	case c.frozen():
		return Paused
	case c.waits():
		return Created
	}
	return Running
}

// waits: whoever starts it removes the socket before it lets the process go on.
func (c *Container) waits() bool {
	var st unix.Stat_t
	return unix.Lstat(c.path(fileSocket), &st) == nil
}

// locked says whether a command is at work on the container.
func (c *Container) locked() bool {
	held, err := store.Held(c.dir)
	return err == nil && held
}

// Cgroup is the container's group.
func (c *Container) Cgroup() cgroups.Group { return cgroups.Group{Path: c.Group} }

func (c *Container) frozen() bool {
	frozen, err := c.Cgroup().Frozen()
	return err == nil && frozen
}

// alive says whether the container's process is there.
func (c *Container) alive() bool { return c.Pid != 0 && runtime.Alive(c.Pid, c.Began) }
