package runtime

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// kinds are the names under /proc/PID/ns and their flags, namespaces(7).
var kinds = []struct {
	name string
	flag uint64
}{
	{"user", unix.CLONE_NEWUSER}, {"mnt", unix.CLONE_NEWNS}, {"pid", unix.CLONE_NEWPID}, {"net", unix.CLONE_NEWNET},
	{"ipc", unix.CLONE_NEWIPC}, {"uts", unix.CLONE_NEWUTS}, {"cgroup", unix.CLONE_NEWCGROUP}, {"time", unix.CLONE_NEWTIME},
}

// differing is the set of namespaces in which a process is not with us: setns(2) into our own user namespace is an error.
func differing(pid int) (uint64, error) {
	dir := "/proc/" + strconv.Itoa(pid) + "/ns/"
	var set uint64
	for _, k := range kinds {
		theirs, err := os.Readlink(dir + k.name)
		if err != nil {
			return 0, fmt.Errorf("comparing %s namespaces with process %d: %w", k.name, pid, err)
		}
		ours, err := os.Readlink("/proc/self/ns/" + k.name)
		if err != nil {
			return 0, fmt.Errorf("comparing %s namespaces with process %d: %w", k.name, pid, err)
		}
		if ours != theirs {
			set |= k.flag
		}
	}
	return set, nil
}
