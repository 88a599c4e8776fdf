package runtime

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

// carry carries out the host's requests of one phase and notes them. After a failure what was done is taken back, last first.
func (c *Container) carry(requests []program.Request) error {
	for _, r := range requests {
		err := r.Do()
		c.note(r, err)
		if tolerated := (program.Tolerated{}); errors.As(err, &tolerated) {
			continue
		}
		if err != nil {
			return &HostFailure{Request: r, Err: err}
		}
		if r.Undo != nil {
			c.undo = append(c.undo, r.Undo)
		}
	}
	return nil
}

// HostFailure is a request of the host's half that the kernel refused.
type HostFailure struct {
	Request program.Request
	Err     error
}

func (f *HostFailure) Error() string {
	from := ""
	if f.Request.From != "" {
		from = " (asked for by " + f.Request.From + ")"
	}
	return fmt.Sprintf("host: %s%s: %s: %v", f.Request.Why, from, strings.TrimSpace(f.Request.Call), f.Err)
}

func (f *HostFailure) Unwrap() error { return f.Err }
