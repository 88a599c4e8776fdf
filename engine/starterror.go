package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"

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
	switch {
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
	head := make([]byte, 4096)
	n, err := io.ReadFull(look, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil
	}
	head = head[:n]
	switch {
	case errno == unix.EACCES:
		return &Hint{Why: name + " exists but may not be executed: its mode has no x for this user", Check: "ls -l " + name + " in the image", Fix: "chmod +x " + name}
	case strings.HasPrefix(string(head), "#!"):
		return whyNotScript(head, name, f)
	case strings.HasPrefix(string(head), "\x7fELF"):
		return whyNotELF(head, name, f)
	case errno == unix.ENOEXEC:
		return &Hint{Why: name + " is neither an ELF program nor a script: its first line does not begin with #!", Fix: "put #!/bin/sh on its first line, or run it as `sh " + name + "`"}
	}
	return nil
}

// whyNotScript: execve(2) reports the interpreter's absence as if the script were missing.
func whyNotScript(head []byte, name string, f files) *Hint {
	line, _, _ := strings.Cut(string(head[2:]), "\n")
	if strings.HasSuffix(line, "\r") {
		return &Hint{
			Why:   fmt.Sprintf("the first line of %s names the interpreter %q: the file has Windows line ends (CRLF)", name, strings.TrimLeft(line, " \t")),
			Check: "head -1 " + name + " | od -c",
			Fix:   "sed -i 's/\\r$//' " + name,
		}
	}
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return &Hint{Why: "the first line of " + name + " names no interpreter", Fix: "put #!/bin/sh on its first line"}
	}
	if look, err := f.open(fields[0]); err == nil {
		look.Close()
		return nil
	}
	return &Hint{Why: fmt.Sprintf("%s is a script for %s, and the image has no such file", name, fields[0]), Fix: "name an interpreter that the image has, such as /bin/sh"}
}

// machines are ELF's e_machine values (elf(5)) of what people build images for.
var machines = map[uint16]string{3: "386", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64", 21: "ppc64le", 22: "s390x"}

func whyNotELF(head []byte, name string, f files) *Hint {
	if len(head) < 64 {
		return nil
	}
	machine := machines[uint16(head[18])|uint16(head[19])<<8]
	if machine != "" && machine != runtime.GOARCH {
		return &Hint{Why: fmt.Sprintf("%s is a program for %s, and this machine is %s", name, machine, runtime.GOARCH), Fix: "use an image for linux/" + runtime.GOARCH}
	}
	loader := loaderOf(head)
	if loader == "" {
		return nil
	}
	if look, err := f.open(loader); err == nil {
		look.Close()
		return nil
	}
	return &Hint{
		Why:   fmt.Sprintf("%s needs the loader %s, and the image has none", name, loader),
		Check: "ls " + loader + " in the image: glibc programs need /lib64/ld-linux-x86-64.so.2, musl ones /lib/ld-musl-x86_64.so.1",
		Fix:   "build it statically (CGO_ENABLED=0, or -static), or use a base image with that C library",
	}
}

// loaderOf is the PT_INTERP of a 64-bit little-endian ELF file, as far as its first bytes show it.
func loaderOf(head []byte) string {
	number := func(at, size int) uint64 {
		var v uint64
		for i := size - 1; i >= 0 && at+i < len(head); i-- {
			v = v<<8 | uint64(head[at+i])
		}
		return v
	}
	if head[4] != 2 || head[5] != 1 {
		return ""
	}
	table, size, count := number(32, 8), number(54, 2), number(56, 2)
	for i := uint64(0); i < min(count, 64); i++ {
		at := int(min(table+i*size, uint64(len(head))))
		if number(at, 4) != 3 { // PT_INTERP
			continue
		}
		from, length := number(at+8, 8), number(at+32, 8)
		if from+length <= uint64(len(head)) && length > 1 {
			return string(head[from : from+length-1])
		}
	}
	return ""
}
