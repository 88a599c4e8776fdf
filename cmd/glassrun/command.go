package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"glassbox/attendant"
	"glassbox/monitor"
	"glassbox/sealed"

	"golang.org/x/sys/unix"
)

// command is one word after glassrun.
type command struct {
	name, usage, help string
	entersContainers  bool // so it must run from a sealed file
	run               func(g globals, args []string) error
}

// commands is the whole command line, in the order of the help.
func commands() []command {
	return []command{
		{"create", "create [--bundle DIR] ID", "Create the container of an OCI bundle; start lets it run", true, createContainer},
		{"start", "start ID", "Let a created container run", false, startContainer},
		{"state", "state ID", "Show what a container is doing, as JSON", false, showState},
		{"kill", "kill [--all] ID [SIGNAL]", "Send a container a signal: SIGTERM, if none is named", false, killContainer},
		{"delete", "delete [--force] ID", "Remove a stopped container", false, deleteContainer},
		{"run", "run [--bundle DIR] [--explain FILE] ID", "Run the container of an OCI bundle to its end", true, runBundle},
		{"init", "init -- COMMAND [ARGUMENT...]", "Be PID 1 of a container: start COMMAND, pass signals on, reap (run --init)", false, alone(runInit)},
		{"monitor", "monitor [--adopt] DIR", "Stay with the container whose state directory is DIR (started by glassbox)", true, alone(monitor.Run)},
		{"compress", "compress FILE SECONDS NANOSECONDS", "Compress a log file, open as standard input (started by the monitor)", false, alone(monitor.Compress)},
		{"attend", "attend DIR", "Stay with the network of the container whose state directory is DIR (started by glassbox)", true, alone(attendant.Run)},
	}
}

// alone is a command that no global flag means anything to.
func alone(run func(args []string) error) func(globals, []string) error {
	return func(_ globals, args []string) error { return run(args) }
}

// exit is a command that has said everything and ends with this code.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// report prints the error, unless the command has said everything, and returns the exit code.
func report(err error) int {
	var e exit
	if errors.As(err, &e) {
		return int(e)
	}
	fmt.Fprintf(os.Stderr, "glassrun: %v\n", err)
	return 1
}

func run(args []string) error {
	if filepath.Base(os.Args[0]) == initName {
		return runInit(args)
	}
	g, args, err := parseGlobals(args)
	if err != nil {
		return err
	}
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		return help(os.Stdout)
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		if c.entersContainers {
			if err := sealed.Self(); err != nil {
				return err
			}
			nameSelf()
		}
		return c.run(g, args[1:])
	}
	return fmt.Errorf("unknown command %q: see glassrun help", args[0])
}

// nameSelf gives this process the name that ps and top show. A program executed by descriptor is called by its number. Raw calls: an
// os.File would open Go's epoll descriptor, which the monitor's own clearing of inherited descriptors would then close.
func nameSelf() {
	fd, err := unix.Open("/proc/self/comm", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	unix.Write(fd, []byte("glassrun")) //nolint:errcheck // a courtesy
	unix.Close(fd)
}

func help(w io.Writer) error {
	fmt.Fprint(w, "Usage: glassrun [--root DIR] [--log FILE] [--log-format text|json] [--debug] [--systemd-cgroup] COMMAND [ARGUMENT...]\n\n")
	t := tabwriter.NewWriter(w, 0, 1, 3, ' ', 0)
	for _, c := range commands() {
		fmt.Fprintf(t, "  %s\t%s\n", c.usage, c.help)
	}
	return t.Flush()
}
