package cgroups

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Delegated are the files that whoever a group is given to owns with it, cgroups(7): with these, but not with those that hold the group's
// own limits, groups can be made below it.
func Delegated() []string {
	text, err := os.ReadFile("/sys/kernel/cgroup/delegate")
	if err != nil {
		return []string{"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"} // as the runtime spec says
	}
	return strings.Fields(string(text))
}

// Delegate gives the group to a user. A file that this group does not have is none to give.
func (g Group) Delegate(uid uint32, files []string) []program.Request {
	if g.Path == "" {
		return nil
	}
	out := []program.Request{give(g.Path, uid, "the group itself")}
	for _, name := range files {
		out = append(out, give(filepath.Join(g.Path, name), uid, "what it takes to make groups below, and no more: the limits stay ours"))
	}
	return out
}

func give(path string, uid uint32, what string) program.Request {
	return program.Request{
		Call: fmt.Sprintf("fchownat(AT_FDCWD, %s, %d, -1, 0)", strconv.Quote(path), uid),
		From: "linux.cgroupsPath",
		Why:  "belongs to the container's user: " + what,
		Do: func() error {
			err := unix.Fchownat(unix.AT_FDCWD, path, int(uid), -1, 0)
			if errors.Is(err, unix.ENOENT) {
				return program.Tolerated{Errno: unix.ENOENT}
			}
			return err
		},
	}
}
