package attacks

import (
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// waitFor waits until an attack in the background has said something.
func waitFor(t *testing.T, said func() string, what string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !regexp.MustCompile(what).MatchString(said()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the attack has not said %q within a minute, but:\n%s", what, said())
		}
	}
}

// watch does something to every process that comes, for ever.
func watch(args []string) {
	ways := map[string]func(pid string){"exe": hold, "trace": trace, "open": open}
	for {
		entries, err := os.ReadDir("/proc")
		if err != nil {
			held("looking for processes", err)
			return
		}
		for _, e := range entries {
			if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() {
				ways[args[0]](e.Name())
			}
		}
		again()
		reap()
	}
}

// reap: what an exec leaves becomes ours, who are PID 1.
func reap() {
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
			return
		}
	}
}

// kept are descriptors of a runtime's file.
var kept []int

// hold writes the runtime's file, and keeps it to write it again.
func hold(pid string) {
	if len(kept) < 100 {
		if fd := write("/proc/" + pid + "/exe"); fd >= 0 {
			kept = append(kept, fd)
		}
	}
}

// again writes what is kept.
func again() {
	for _, fd := range kept {
		overwriteHeld(fd)
	}
}

func trace(string)       {}
func open(string)        {}
func hidden([]string)    {}
func reachHost([]string) {}
func identity([]string)  {}
func terminal([]string)  {}
