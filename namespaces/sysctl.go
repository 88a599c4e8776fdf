package namespaces

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ipcSysctls are those of an IPC namespace, ipc_namespaces(7), beside what is below fs.mqueue.
var ipcSysctls = []string{
	"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.msg_next_id", "kernel.auto_msgmni", "kernel.sem", "kernel.sem_next_id",
	"kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_next_id", "kernel.shm_rmid_forced",
}

// checkSysctls refuses kernel parameters that are not those of a namespace of the container's own: they would be the host's.
func (s Set) checkSysctls(sysctls map[string]string) error {
	for name := range sysctls {
		if err := s.checkSysctl(name); err != nil {
			return fmt.Errorf("linux.sysctl[%s]: %w", name, err)
		}
	}
	return nil
}

func (s Set) checkSysctl(name string) error {
	dots, flag := dotted(name), uint64(0)
	switch {
	case dots == "kernel.hostname":
		return fmt.Errorf("sysctl %q is not allowed as it conflicts with the OCI %q field", name, "hostname")
	case dots == "kernel.domainname":
		flag = unix.CLONE_NEWUTS
	case slices.Contains(ipcSysctls, dots), strings.HasPrefix(dots, "fs.mqueue."):
		flag = unix.CLONE_NEWIPC
	case strings.HasPrefix(dots, "net."):
		flag = unix.CLONE_NEWNET
	case strings.HasPrefix(dots, "user."):
		flag = unix.CLONE_NEWUSER
	default:
		return fmt.Errorf("sysctl %q is not in a separate kernel namespace", name)
	}
	if !s.Own(flag) {
		return fmt.Errorf("sysctl %q is not allowed: the container shares the host's %s", name, Title(flag))
	}
	return nil
}

// dotted is a name with dots between its parts: sysctl(8) takes slashes too, and then a dot stands for itself.
func dotted(name string) string {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '/' {
		return strings.NewReplacer("/", ".", ".", "/").Replace(name)
	}
	return name
}
