package bundle

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glassbox/test/need"
)

// Answer is how a command of glassrun's ended.
type Answer struct {
	Out, Errs string
	Code      int
}

// Patience is the most that one command may take: the VM is fifty times slower than the machine.
const Patience = 2 * time.Minute

// Glassrun runs a command of it to its end.
func Glassrun(t *testing.T, args ...string) Answer {
	t.Helper()
	return Run(t, Command(t, args...))
}

// Command is glassrun, to be given what the test wants it to inherit.
func Command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return exec.Command(filepath.Join(need.Programs(t), "glassrun"), args...)
}

// Run runs it to its end, and keeps what it says where the test has not asked for that to go elsewhere. That goes to files: a container
// that stays holds them open.
func Run(t *testing.T, c *exec.Cmd) Answer {
	t.Helper()
	var out, errs *os.File
	if c.Stdout == nil {
		out = scratch(t)
		defer out.Close()
		c.Stdout = out
	}
	if c.Stderr == nil {
		errs = scratch(t)
		defer errs.Close()
		c.Stderr = errs
	}
	c.WaitDelay = time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stop := time.AfterFunc(Patience, func() { c.Process.Kill() })
	defer stop.Stop()
	err := c.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", strings.Join(c.Args, " "), err)
	}
	return Answer{strings.TrimRight(text(t, out), " \n"), strings.TrimSpace(text(t, errs)), c.ProcessState.ExitCode()}
}

func scratch(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// text is what was written to the file; none means nothing.
func text(t *testing.T, f *os.File) string {
	t.Helper()
	if f == nil {
		return ""
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
