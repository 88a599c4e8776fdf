package bundle

import (
	"bytes"
	"errors"
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

// patience is the most that one command may take: the VM is fifty times slower than the machine.
const patience = 2 * time.Minute

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

// Run runs it to its end, and keeps what it says where the test has not asked for that to go elsewhere.
func Run(t *testing.T, c *exec.Cmd) Answer {
	t.Helper()
	var out, errs bytes.Buffer
	if c.Stdout == nil {
		c.Stdout = &out
	}
	if c.Stderr == nil {
		c.Stderr = &errs
	}
	c.WaitDelay = time.Second
	stop := time.AfterFunc(patience, func() {
		if c.Process != nil {
			c.Process.Kill()
		}
	})
	defer stop.Stop()
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", strings.Join(c.Args, " "), err)
	}
	return Answer{strings.TrimRight(out.String(), " \n"), strings.TrimSpace(errs.String()), c.ProcessState.ExitCode()}
}
