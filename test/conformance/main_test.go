// Package conformance holds glassrun to the OCI's own tests: the validation programs of github.com/opencontainers/runtime-tools, which
// test/tools/conformance builds. The table says of each that it passes, or what it has against glassrun and why that is no fault.
//
// RUNTIME=/usr/sbin/runc runs them with another runtime and only tells how it does.
package conformance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/world"
)

const programs = "../.cache/conformance"

func TestMain(m *testing.M) {
	os.Exit(world.Run(build, m.Run))
}

func build(dir string) error {
	c := exec.Command("../tools/conformance/build.sh", programs)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("building the validation programs: %w", err)
	}
	if _, ours := tested(); !ours {
		return nil
	}
	return world.BuildGlassbox(dir)
}

// tested is the runtime that the programs try, and whether the table speaks of it.
func tested() (path string, ours bool) {
	if other := os.Getenv("RUNTIME"); other != "" {
		return other, false
	}
	return filepath.Join(world.Dir(), "glassbox", "glassrun"), true
}

// listed are the programs that were built.
func listed() ([]string, error) {
	b, err := os.ReadFile(programs + "/programs")
	if err != nil {
		return nil, err
	}
	if names := strings.Fields(string(b)); len(names) > 0 {
		return names, nil
	}
	return nil, errors.New("runtime-tools has no validation programs")
}
