package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// cloneText is the clone3 that makes the child, as strace prints it with pidfd and group by name.
func cloneText(flags uint64, group bool) string {
	flags |= unix.CLONE_PIDFD | unix.CLONE_CLEAR_SIGHAND
	cgroup := ""
	if group {
		flags |= unix.CLONE_INTO_CGROUP
		cgroup = ", cgroup=<group>"
	}
	return fmt.Sprintf("clone3({flags=%s, pidfd=<memory>, exit_signal=SIGCHLD, stack=NULL, stack_size=0%s}, 88)", program.CloneFlags(flags), cgroup)
}

func cloneReason(group bool) string {
	if group {
		return "make the process, in new namespaces and born in its cgroup"
	}
	return "make the process, in new namespaces"
}

// writeMap is the host's write of an id map of the child, user_namespaces(7).
func writeMap(pid *int, name, text, from, why string) program.Request {
	return program.Request{
		Call: fmt.Sprintf("write(\"/proc/PID/%s\", %q, %d)", name, text, len(text)),
		From: from, Why: why,
		Do: func() error {
			path := filepath.Join("/proc", strconv.Itoa(*pid), name)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString(text)
			return err
		},
	}
}

// carry carries out the host's requests of one phase and notes them.
func (c *Container) carry(requests []program.Request) error {
	return program.Carry(c.step.Requests(requests), c.note, &c.undo)
}
