package runtime

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// NotRun is a program that cannot be executed, in runc's words: docker and podman read from them whether to end with 126 or 127.
type NotRun struct {
	Name  string // process.args[0]
	Errno unix.Errno
	Cause error // the step that failed, if it came to that
}

func (e *NotRun) Error() string {
	text := fmt.Sprintf("unable to start container process: exec: %q: %v", e.Name, e.Errno)
	switch {
	case e.Errno != unix.ENOENT:
	case strings.Contains(e.Name, "/"):
		text = fmt.Sprintf("unable to start container process: exec: %q: stat %s: no such file or directory", e.Name, e.Name)
	default:
		text = fmt.Sprintf("unable to start container process: exec: %q: executable file not found in $PATH", e.Name)
	}
	var f *program.Failure
	if errors.As(e.Cause, &f) {
		return fmt.Sprintf("%s (step %d, asked for by %s)", text, f.Index+1, f.Step.From)
	}
	return text
}

func (e *NotRun) Unwrap() error { return e.Cause }

// WhyNotRun words the failure of a process's start: where execve failed, it is a *NotRun.
func WhyNotRun(p *specs.Process, err error) error {
	var f *program.Failure
	switch {
	case p == nil || len(p.Args) == 0 || !errors.As(err, &f):
	case f.Step.Call == unix.SYS_EXECVE:
		return &NotRun{p.Args[0], f.Errno, err}
	case f.Step.Call == unix.SYS_MOVE_MOUNT && f.Errno == unix.EINVAL && strings.HasPrefix(f.Step.From, "mounts["):
		// Where mount(2) has ENOTDIR, by which docker knows what the user did.
		return fmt.Errorf("%w: one of the two, what is mounted and where, is not a directory", err)
	}
	return err
}

// Lookup finds the container's program while its process waits for the start: an engine wants to hear of a program that is not there
// when it creates the container. What only the process itself can tell (a right of its user's, a magic link) is left to execve.
func (c *Container) Lookup(p *specs.Process) error {
	root, err := unix.Open("/proc/"+strconv.Itoa(c.Pid)+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("looking for %q: %w", p.Args[0], err)
	}
	defer unix.Close(root)
	missing := unix.ENOENT
	for _, name := range candidates(p) {
		if !path.IsAbs(name) {
			name = p.Cwd + "/" + name
		}
		switch errno := executable(root, name); errno {
		case unix.ENOENT, unix.ENOTDIR:
		case unix.EACCES:
			missing = errno
		default:
			return nil
		}
	}
	return &NotRun{Name: p.Args[0], Errno: missing}
}

// executable says by an errno whether a file below root is there, and one that somebody may execute. What is mounted there is not looked
// into (EXDEV): the container's /proc/self is not ours.
func executable(root int, name string) unix.Errno {
	fd, err := unix.Openat2(root, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_XDEV})
	if err != nil {
		errno, _ := err.(unix.Errno)
		return errno
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0) {
		return unix.EACCES
	}
	return 0
}
