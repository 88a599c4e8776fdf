package engine

import (
	"os"
	"slices"
	"strings"

	"glassbox/namespaces"
)

// ipcSysctls belong to the IPC namespace: ipc_namespaces(7).
var ipcSysctls = []string{
	"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
}

// sysctls are those that were asked for, and two that Docker sets in every new network namespace: ping and
// ports below 1024 without privileges.
func (d *drawing) sysctls() error {
	set := map[string]string{}
	if d.HostConfig.NetworkMode.IsPrivate() {
		// The range is refused in a user namespace that does not map all these groups.
		if len(d.IDMap) == 0 && !namespaces.Nested() {
			preset(set, "net.ipv4.ping_group_range", "0 2147483647")
		}
		preset(set, "net.ipv4.ip_unprivileged_port_start", "0")
	}
	for k, v := range d.HostConfig.Sysctls {
		if err := d.ownSysctl(k); err != nil {
			return err
		}
		set[k] = v
	}
	if len(set) > 0 {
		d.spec.Linux.Sysctl = set
	}
	return nil
}

func preset(set map[string]string, key, value string) {
	if _, err := os.Stat("/proc/sys/" + strings.ReplaceAll(key, ".", "/")); err == nil {
		set[key] = value
	}
}

// ownSysctl refuses what would change the host.
func (d *drawing) ownSysctl(key string) error {
	h := d.HostConfig
	switch {
	case strings.HasPrefix(key, "net."):
		if h.NetworkMode.IsHost() {
			return invalid("sysctl %q not allowed in host network namespace", key)
		}
	case slices.Contains(ipcSysctls, key) || strings.HasPrefix(key, "fs.mqueue."):
		if h.IpcMode.IsHost() {
			return invalid("sysctl %q is not allowed in the hosts ipc namespace", key)
		}
	case key == "kernel.domainname" || key == "kernel.hostname":
		if h.UTSMode.IsHost() {
			return invalid("sysctl %q is not allowed in the hosts uts namespace", key)
		}
	default:
		return invalid("sysctl %q is not in a separate kernel namespace", key)
	}
	return nil
}
