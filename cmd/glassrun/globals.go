package main

import (
	"fmt"
	"os"
	"path/filepath"

	"glassbox/oci"
)

// globals are the flags before the command.
type globals struct {
	root          string // where the containers are kept
	logFile       string // for errors; empty: stderr only
	logFormat     string // text or json
	debug         bool
	systemdCgroup bool
	rootless      oci.RootlessMode
	version       bool
	given         []string // all of them, as they were written
}

// parseGlobals reads the flags before the command, and returns the rest: the command and what follows it.
func parseGlobals(args []string) (globals, []string, error) {
	g := globals{root: defaultRoot(), logFormat: "text"}
	flags := flagSet("glassrun")
	format, rootless := "text", "auto"
	stringVar(flags, &g.root, "root")
	stringVar(flags, &g.logFile, "log")
	stringVar(flags, &format, "log-format")
	boolVar(flags, &g.debug, "debug")
	boolVar(flags, &g.systemdCgroup, "systemd-cgroup")
	stringVar(flags, &rootless, "rootless")
	boolVar(flags, &g.version, "version", "v")
	if err := flags.Parse(args); err != nil {
		return g, nil, wanted(flags, err)
	}
	if format != "text" && format != "json" {
		return g, nil, fmt.Errorf("invalid log-format: %s", format)
	}
	g.logFormat = format
	var err error
	if g.rootless, err = oci.NewRootlessMode(rootless); err == nil {
		g.root, err = filepath.Abs(g.root)
	}
	g.given = args[:len(args)-flags.NArg()]
	return g, flags.Args(), err
}

// defaultRoot is private to a user who is not root.
func defaultRoot() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" && os.Geteuid() != 0 {
		return filepath.Join(dir, "glassrun")
	}
	return "/run/glassrun"
}

func (g globals) store() oci.Store {
	return oci.Store{Root: g.root, Warn: g.warn, Systemd: g.systemdCgroup, Rootless: g.rootless}
}
