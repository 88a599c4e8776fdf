// Command glassbox is Docker's command line on an engine without a daemon, and a view into it.
package main

import (
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"glassbox/tiny"
)

// Most commands are over before their garbage would fill the memory that a collection gives back: the first comes at 16 MiB, not
// at 4. A large build keeps within what it would take without, runtime/debug.SetMemoryLimit.
const (
	collectAt = 400      // percent of what lives, GOGC
	keepTo    = 96 << 20 // bytes
)

func main() {
	if code, is := tiny.Run(os.Args[0], os.Args[1:]); is {
		os.Exit(code)
	}
	debug.SetGCPercent(collectAt)
	debug.SetMemoryLimit(keepTo)
	os.Exit(run(os.Stdin, os.Stdout, os.Stderr, os.Args))
}

// run is the whole program: args[0] says whether it was called as glassbox or as docker.
func run(stdin io.Reader, stdout, stderr io.Writer, args []string) int {
	name := filepath.Base(args[0])
	if len(args) > 2 && args[1] == guardCommand {
		return guardTerminal(args[2])
	}
	if name != "docker" {
		name = "glassbox"
	}
	s := newSession(name, stdin, stdout, stderr)
	return s.run(args[1:])
}
