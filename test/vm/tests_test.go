package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestNeeding: the machine runs the tests that say so, also through a helper of their own.
func TestNeeding(t *testing.T) {
	dir := t.TempDir()
	source := `package x
import "glassbox/test/need"
func TestPure(t *testing.T) {}
func TestRoot(t *testing.T) { need.Root(t) }
func TestLimits(t *testing.T) { need.CgroupV2(t, "memory") }
func TestHelped(t *testing.T) { t.Run("a", func(t *testing.T) { helper(t) }) }
func helper(t *testing.T) { deeper(t) }
func deeper(t *testing.T) { need.SecondKernel(t) }
func TestPlay(t *testing.T) { need.Classroom(t); need.CgroupV2(t) }
func TestUnit(t *testing.T) { need.CgroupV2(t); need.Systemd(t) }
func TestMain(m *testing.M) { need.SecondKernel(nil) }
`
	if err := os.WriteFile(filepath.Join(dir, "x_test.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind kind
		all  bool
		want []string
	}{
		{ordinary, false, []string{"TestHelped", "TestLimits"}},
		{ordinary, true, []string{"TestHelped", "TestLimits", "TestPure", "TestRoot"}},
		{classroom, false, []string{"TestPlay"}},
		{managed, false, []string{"TestUnit"}},
	} {
		got, err := testPackage{dir: dir}.needing(c.kind, c.all)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("kind %v, all %v: %v, %v; want %v", c.kind, c.all, got, err, c.want)
		}
	}
}
