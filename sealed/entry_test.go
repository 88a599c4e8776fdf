package sealed

import (
	"os/exec"
	"strings"
	"testing"

	"glassbox/test/need"
)

// The entry seals before there is a runtime: the file is executed again as soon as it was executed, by a process that has made no thread.
// And it seals the commands that enter containers only.
func TestEntry(t *testing.T) {
	need.Root(t)
	strace := need.Program(t, "strace")
	path := t.TempDir() + "/glassrun"
	build := exec.Command("go", "build", "-ldflags=-E glassbox/sealed.entry", "-o", path, "glassbox/cmd/glassrun")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	calls := func(args ...string) string {
		c := exec.Command(strace, append([]string{"-qq", "-e", "trace=execve,execveat,mmap,open_tree", path}, args...)...)
		out, _ := c.CombinedOutput()
		return string(out)
	}
	before, after, found := strings.Cut(calls("--root", "/nonexistent", "run", "--bundle", "/nonexistent", "x"), "execveat(3, \"\", ")
	if !found || strings.Contains(before, "mmap(") {
		t.Errorf("the runtime had begun, or nothing was sealed: %s", before)
	}
	if strings.Contains(after, "exec") || strings.Contains(after, "open_tree") {
		t.Errorf("sealed twice: %s", after)
	}
	if out := calls("help"); strings.Contains(out, "open_tree") {
		t.Errorf("sealed for help: %s", out)
	}
}
