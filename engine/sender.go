package engine

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Notes of a kill event, which `why` reads. The kernel itself keeps no record of who has sent a signal.
const (
	NoteCommand = "command" // of glassbox, without its arguments: "glassbox stop"
	NotePid     = "pid"     // of that process
	NoteUID     = "uid"     // its real user
	NoteSudo    = "sudo"    // the user who called sudo
	NoteTTY     = "tty"     // the terminal that it was typed at
	NoteHandler = "handler" // what PID 1 does with the signal: the words below
	NoteName    = "name"    // PID 1's name then
)

// What PID 1 does with a signal: /proc/PID/status, SigCgt, SigIgn and SigBlk, when it was sent.
const (
	Caught  = "caught"
	Ignores = "ignored"
	Blocked = "blocked"
	Default = "default" // of PID 1 of a PID namespace the kernel drops it then
)

// tellSignal tells of a signal to the container's first process, who sends it, and what that will do with it.
func (c *Containers) tellSignal(r *record, pid int, sig unix.Signal) {
	e := r.event("kill", "signal", strconv.Itoa(int(sig)))
	e.Notes = map[string]string{NotePid: strconv.Itoa(os.Getpid()), NoteUID: strconv.Itoa(os.Getuid())}
	for name, value := range map[string]string{NoteCommand: c.Command, NoteSudo: os.Getenv("SUDO_USER"), NoteTTY: terminal()} {
		if value != "" {
			e.Notes[name] = value
		}
	}
	if status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status"); err == nil {
		e.Notes[NoteName], e.Notes[NoteHandler] = statusField(status, "Name"), disposition(status, sig)
	}
	c.tellAll(e)
}

// Disposition is what a process does with a signal now: one of the words above; empty where it cannot be read.
func Disposition(pid int, sig unix.Signal) string {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return ""
	}
	return disposition(status, sig)
}

// disposition reads what a process does with a signal from the text of /proc/PID/status.
func disposition(status []byte, sig unix.Signal) string {
	has := func(field string) bool {
		mask, err := strconv.ParseUint(statusField(status, field), 16, 64)
		return err == nil && mask&(1<<(sig-1)) != 0
	}
	switch {
	case has("SigCgt"):
		return Caught
	case has("SigIgn"):
		return Ignores
	case has("SigBlk"):
		return Blocked
	}
	return Default
}

// terminal is the one that this process was typed at, if one of its three streams is one.
func terminal() string {
	for _, fd := range []string{"0", "2", "1"} {
		name, err := os.Readlink("/proc/self/fd/" + fd)
		if err == nil && (strings.HasPrefix(name, "/dev/pts/") || strings.HasPrefix(name, "/dev/tty") || name == "/dev/console") {
			return name
		}
	}
	return ""
}
