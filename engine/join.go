package engine

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// join finds the running containers whose namespaces r wants to share.
func (c *Containers) join(r *record) (map[specs.LinuxNamespaceType]int, error) {
	h := r.HostConfig
	joined := map[specs.LinuxNamespaceType]int{}
	if id := h.NetworkMode.ConnectedContainer(); id != "" {
		pid, err := c.donor(r, id)
		if err != nil {
			return nil, err
		}
		joined[specs.NetworkNamespace] = pid
	}
	for _, want := range []struct {
		kind specs.LinuxNamespaceType
		id   string
		name string
	}{
		{specs.PIDNamespace, h.PidMode.Container(), "PID namespace"},
		{specs.IPCNamespace, h.IpcMode.Container(), "IPC namespace"},
	} {
		if want.id == "" {
			continue
		}
		other, err := c.load(want.id)
		if err != nil {
			return nil, err
		}
		s, err := c.state(other)
		if err != nil {
			return nil, err
		}
		if !s.Running {
			return nil, conflict("failed to join %s: cannot join %s of a non running container: %s", want.name, want.name, other.ID)
		}
		if s.Restarting {
			return nil, prefixed("failed to join "+want.name, restarting(other.ID))
		}
		if want.kind == specs.IPCNamespace && !other.HostConfig.IpcMode.IsShareable() {
			return nil, invalid("failed to join IPC namespace: non-shareable IPC (hint: use IpcMode:shareable for the donor container)")
		}
		joined[want.kind] = s.Pid
	}
	return joined, nil
}

// donor is the process whose network namespace r shares.
func (c *Containers) donor(r *record, ref string) (pid int, err error) {
	other, err := c.load(ref)
	if err != nil {
		return 0, prefixed("joining network namespace of container", err)
	}
	if other.ID == r.ID {
		return 0, invalid("cannot join own network namespace")
	}
	s, err := c.state(other)
	if err == nil && !s.Running {
		err = conflict("cannot join network namespace of a non running container: container %s is %s", other.Name, s.word())
	}
	if err == nil && s.Restarting {
		err = prefixed("cannot join network namespace of container", restarting(ref))
	}
	return s.Pid, err
}

// namespacePath is where proc_pid_ns(5) has a process's namespace.
func namespacePath(pid int, kind specs.LinuxNamespaceType) string {
	file := map[specs.LinuxNamespaceType]string{
		specs.NetworkNamespace: "net", specs.PIDNamespace: "pid", specs.IPCNamespace: "ipc", specs.UserNamespace: "user",
	}[kind]
	return "/proc/" + strconv.Itoa(pid) + "/ns/" + file
}
