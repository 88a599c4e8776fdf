package main

import (
	"os"
	"path/filepath"
	"testing"

	"glassbox/test/script"
	"glassbox/test/world"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts call this test binary as glassbox and as docker; with FAKE set they get the fake engine. The tests run in a
// world of their own, for containers change the network of the machine that they run on.
func TestMain(m *testing.M) {
	commands := map[string]func(){
		"glassbox": func() { os.Exit(runFaked("glassbox")) },
		"docker":   func() { os.Exit(runFaked("docker")) },
	}
	tests := func() int {
		testscript.Main(m, commands) // ends the program
		return 1
	}
	if commands[filepath.Base(os.Args[0])] != nil || os.Geteuid() != 0 {
		tests()
	}
	os.Exit(world.Run(world.BuildGlassbox, tests))
}

func runFaked(name string) int {
	if len(os.Args) > 2 && os.Args[1] == guardCommand {
		return guardTerminal(os.Args[2])
	}
	if os.Getenv("FAKE") == "" {
		return run(os.Stdin, os.Stdout, os.Stderr, append([]string{name}, os.Args[1:]...))
	}
	s := newSession(name, os.Stdin, os.Stdout, os.Stderr)
	s.open = openFake
	return s.run(os.Args[1:])
}

// TestSessions runs the scripts of testdata/fake: flags, errors, help, tables, exit codes. No root, no kernel.
func TestSessions(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/fake",
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"code": script.Code},
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("FAKE", "1")
			e.Setenv("DOCKER_CONFIG", e.WorkDir+"/docker")
			return nil
		},
	})
}
