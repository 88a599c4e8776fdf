// Package probe is the program that tests run inside a container: each word prints one thing that the kernel knows of this process.
package probe

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
)

// words are the probe's commands, in the order of files.
var words = map[string]func(args []string) error{
	"status":      status,
	"mountinfo":   mountinfo,
	"wait":        wait,
	"prctl":       process,
	"scheduler":   scheduler,
	"ioprio":      ioPriority,
	"affinity":    affinity,
	"mempolicy":   memoryPolicy,
	"personality": personality,
	"keyring":     keyring,
	"call":        call,
}

// Run carries out the commands, which + separates, and returns the exit code.
func Run(args []string) int {
	for _, line := range strings.Split(strings.Join(args, " "), " + ") {
		w := strings.Fields(line)
		if len(w) == 0 || words[w[0]] == nil {
			fmt.Fprintf(os.Stderr, "probe: unknown command %q\n", line)
			return 2
		}
		if err := words[w[0]](w[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "probe: %s: %v\n", line, err)
			return 1
		}
	}
	return 0
}

// status prints these lines of /proc/self/status, blanks made one.
func status(fields []string) error {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for _, f := range fields {
		_, rest, found := strings.Cut("\n"+string(text), "\n"+f+":")
		if !found {
			return fmt.Errorf("no field %s", f)
		}
		line, _, _ := strings.Cut(rest, "\n")
		fmt.Println(f+":", strings.Join(strings.Fields(line), " "))
	}
	return nil
}

// mountinfo prints what is mounted on these paths, topmost last: file system, options of the mount, optional fields (propagation), options
// of the file system; proc_pid_mountinfo(5).
func mountinfo(paths []string) error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, path := range paths {
		for line := range strings.Lines(string(text)) {
			left, right, _ := strings.Cut(strings.TrimSpace(line), " - ")
			w, fs := strings.Fields(left), strings.Fields(right)
			if w[4] == path {
				fmt.Println(path, fs[0], w[5], "["+strings.Join(w[6:], " ")+"]", fs[len(fs)-1])
			}
		}
	}
	return nil
}

// wait stays until a signal ends it.
func wait([]string) error {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGTERM, unix.SIGINT)
	<-c
	return nil
}

var errArguments = errors.New("wrong number of arguments")
