package runtime

import (
	"path/filepath"
	"strings"
	"testing"

	"glassbox/mechanism"
	"glassbox/program"

	"golang.org/x/tools/txtar"
)

// Whoever steps through a start is told of each call what would be missing without it, or why it cannot be left out.
func TestEveryStepIsGoodForSomething(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		phases, err := compileArchive(a)
		if err != nil {
			continue // the golden plan is that error
		}
		for _, p := range program.Plan(phases) {
			for _, d := range append(p.Host, p.Child...) {
				if m, known := mechanism.StepOf(d.Call, d.From, d.Why); !known || m.Missing == "" {
					t.Errorf("%s, phase %s: nothing is said of %s [%s]: %s", file, p.Phase, d.Call, d.From, d.Why)
				}
			}
		}
	}
}

// What would endanger the host may not be skipped, whatever the container; what is harmless may.
func TestWhatMayBeSkipped(t *testing.T) {
	a, err := txtar.ParseFile("testdata/docker.txtar")
	if err != nil {
		t.Fatal(err)
	}
	phases, err := compileArchive(a)
	if err != nil {
		t.Fatal(err)
	}
	kept, all := map[string]bool{}, 0
	for _, p := range program.Plan(phases) {
		for _, d := range append(p.Host, p.Child...) {
			m, _ := mechanism.StepOf(d.Call, d.From, d.Why)
			name, _, _ := strings.Cut(d.Call, "(")
			if kept[name] = kept[name] || m.Keep != ""; m.Keep == "" {
				all++
			}
		}
	}
	for _, name := range []string{"clone3", "pivot_root", "umount2", "chdir", "fchdir", "capset", "prctl", "setgroups", "setresuid", "close_range", "setsid", "keyctl", "mount", "mount_setattr", "dup3", "execve", "mkdirat"} {
		if !kept[name] {
			t.Errorf("%s may be skipped, or is not in the plan", name)
		}
	}
	for _, name := range []string{"sethostname", "ioctl", "symlinkat", "umask", "rt_sigaction"} {
		if was, is := kept[name]; was || !is {
			t.Errorf("%s may not be skipped, or is not in the plan", name)
		}
	}
	if all < 20 {
		t.Errorf("only %d calls of a start may be skipped", all)
	}
}
