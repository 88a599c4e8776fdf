package engine

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"glassbox/binfmt"
	"glassbox/cgroups"
	"glassbox/monitor"
	"glassbox/program"

	"golang.org/x/sys/unix"
)

const (
	createFailed = "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: "
	execFailed   = monitor.ExecFailed
)

// startError puts a failed start into the words that Docker's users know, and keeps step and errno below.
func (c *Containers) startError(r *record, cause error) error {
	if quit := (*program.Quit)(nil); errors.As(cause, &quit) {
		return &Error{Text: quit.Error(), Cause: cause}
	}
	var there *monitor.Error
	if errors.As(cause, &there) {
		if err := r.unwritable(); err != nil {
			return logFailed(err)
		}
	}
	return runError(createFailed, r.Path, environment(r, r.Config.Tty), r.tree(), cause)
}

// runError words the failure of a start or exec of the program name.
func runError(words, name string, env []string, f files, cause error) error {
	var known *Error
	var limit *cgroups.LimitError
	var there *monitor.Error
	var failure *program.Failure
	var quit *program.Quit
	switch {
	case errors.As(cause, &quit):
		return &Error{Text: quit.Error(), Cause: cause}
	case name == "":
		return &Error{Text: words + `exec: "": executable file not found in $PATH: unknown`, Class: InvalidParameter, Cause: cause, Exit: 127}
	case errors.As(cause, &known):
		return cause
	case errors.As(cause, &limit):
		return limitRefused(cause)
	case errors.As(cause, &failure):
	case errors.As(cause, &there):
		return &Error{Text: words + cause.Error() + ": unknown", Cause: cause, Exit: exitFor(there.Errno)}
	default:
		return cause // it did not come as far as the runtime
	}
	if mismatched(failure) {
		return &Error{Exit: 127, Text: words + failure.Error() + ": unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type", Cause: cause}
	}
	if failure.Step.Call != unix.SYS_EXECVE && failure.Step.Call != unix.SYS_EXECVEAT {
		return &Error{Text: words + failure.Error() + ": unknown", Cause: cause, Exit: exitFor(failure.Errno)}
	}
	e := execError(inPath(name, env, f), f, failure.Errno)
	e.Text, e.Cause = words+e.Text+": unknown", cause
	return e
}

// mismatched: a file was to be mounted on a directory, for which move_mount(2) has EINVAL, or a directory on a file.
func mismatched(f *program.Failure) bool {
	kind := f.Errno == unix.ENOTDIR || f.Errno == unix.EINVAL && f.Step.Call == unix.SYS_MOVE_MOUNT
	return kind && strings.HasPrefix(f.Step.From, "mounts[")
}

// exitFor is what Docker's daemon reads off the text: 126 for EACCES, 127 for ENOENT and ENOTDIR.
func exitFor(errno unix.Errno) int {
	switch errno {
	case unix.EACCES, unix.EISDIR:
		return 126
	case unix.ENOENT, unix.ENOTDIR:
		return 127
	}
	return 128
}

// inPath is the file that a bare name means. execve(2) says ENOENT also of a script whose interpreter is missing, so only the
// tree tells whether there is one; a name that no directory of PATH has stays as it is.
func inPath(name string, env []string, f files) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, e := range env {
		dirs, is := strings.CutPrefix(e, "PATH=")
		if !is {
			continue
		}
		for _, dir := range strings.Split(dirs, ":") {
			if found := path.Join(dir, name); path.IsAbs(found) && executable(found, f) {
				return found
			}
		}
	}
	return name
}

func executable(name string, f files) bool {
	look, err := f.open(name)
	if err != nil {
		return false
	}
	defer look.Close()
	info, err := look.Stat()
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func execError(name string, f files, errno unix.Errno) *Error {
	e := &Error{Class: InvalidParameter, Exit: exitFor(errno)}
	switch {
	case errno == unix.ENOENT && !strings.Contains(name, "/"):
		e.Text = fmt.Sprintf("exec: %q: executable file not found in $PATH", name)
		return e
	case errno == unix.ENOEXEC:
		e.Exit = 126
	}
	e.Text = fmt.Sprintf("exec: %q: %v", name, errno)
	look, err := f.open(name)
	switch {
	case err != nil && errno == unix.ENOENT:
		e.Text = fmt.Sprintf("exec: %q: stat %s: no such file or directory", name, name)
	case err == nil:
		defer look.Close()
		e.Hint = whyNotRun(look, name, f, errno)
	}
	return e
}

// whyNotRun reads the first bytes of a file that exists and yet could not be executed.
func whyNotRun(look *os.File, name string, f files, errno unix.Errno) *Hint {
	refused, err := binfmt.Examine(f.open, name)
	switch {
	case err != nil:
		return nil
	case refused != nil && refused.Errno == errno:
		return &Hint{Why: refused.Why, Check: refused.Check, Fix: refused.Fix, Learn: "first-container"}
	case errno == unix.EACCES:
		mode := "its mode"
		if info, err := look.Stat(); err == nil {
			mode += ", " + info.Mode().String() + ","
		}
		return &Hint{Why: name + " exists but may not be executed: " + mode + " has no x for this user", Check: "ls -l " + name + " in the image", Fix: "chmod +x " + name}
	}
	return nil
}
