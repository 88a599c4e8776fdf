package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
		{"run", "run [--bundle DIR] [--detach] [--explain FILE] [--step] ID", "Create and start the container of an OCI bundle", true, runContainer},
		{"exec", "exec [--process FILE] ID COMMAND [ARGUMENT...]", "Start a further process in a container", true, execProcess},
		{"list", "list [--quiet] [--format json]", "Show the containers", false, listContainers},
		{"ps", "ps ID [ARGUMENT-OF-PS...]", "Show a container's processes", false, showProcesses},
		{"pause", "pause ID", "Stop a container's processes where they stand", false, pauseContainer},
		{"resume", "resume ID", "Let them go on", false, resumeContainer},
		{"update", "update [--memory BYTES] [--resources FILE] ... ID", "Change a container's limits", false, updateContainer},
		{"events", "events [--stats] ID", "Show what a container uses, and who is killed for want of memory", false, showEvents},
		{"spec", "spec [--bundle DIR] [--rootless]", "Write a config.json to begin with", false, writeSpec},
		{"features", "features", "Show which words of config.json glassrun understands", false, showFeatures},
		{"explain", "explain [--bundle DIR] [--format json]", "Show what run would ask of the kernel, and ask nothing", false, explainBundle},
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

// coded is an error with an exit code other than 1.
type coded struct {
	code int
	error
}

func (c *coded) Unwrap() error { return c.error }

// run carries out a command line and returns its exit code.
func run(args []string) int {
	if filepath.Base(os.Args[0]) == initName {
		return globals{}.report(runInit(args))
	}
	g, words, err := parseGlobals(args)
	if err == nil {
		err = g.run(words)
	}
	return g.report(err)
}

func (g globals) run(words []string) error {
	switch {
	case g.version:
		return version(os.Stdout)
	case len(words) == 0:
		return help(os.Stdout)
	case words[0] == "help" || words[0] == "h":
		if len(words) == 1 {
			return help(os.Stdout)
		}
		words = []string{words[1], "--help"}
	}
	for _, c := range commands() {
		if c.name == words[0] {
			return c.start(g, words[1:])
		}
	}
	return &coded{3, fmt.Errorf("unknown command %q: see glassrun help", words[0])}
}

// start runs the command, or explains it.
func (c command) start(g globals, args []string) error {
	if c.entersContainers {
		if err := sealed.Self(); err != nil {
			return err
		}
		nameSelf()
	}
	err := c.run(g, args)
	if h := (*helpWanted)(nil); errors.As(err, &h) {
		return c.explain(os.Stdout, h.flags)
	}
	return err
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
