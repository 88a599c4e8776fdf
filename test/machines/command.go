package machines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"glassbox/test/need"
	"glassbox/test/world"
)

// Result is what a command did.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// limit ends commands that hang.
var limit = Patient(time.Minute)

// Patient is how long to wait for what takes so long here: in the VM's emulation everything takes longer.
func Patient(d time.Duration) time.Duration {
	if need.VM() {
		return 10 * d
	}
	return d
}

// Command prepares a command of the machine; start it with Start.
func (m *Machine) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Env, c.Dir, c.WaitDelay = m.Env, m.Dir, time.Second
	// A group of its own, so that a command that hangs can be ended with all that it started.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	return c
}

// Start starts a prepared command inside.
func (m *Machine) Start(c *exec.Cmd) error { return m.Enter(c.Start) }

// Run runs a command to its end.
func (m *Machine) Run(name string, args ...string) Result { return m.Feed("", name, args...) }

// Feed does so with a standard input.
func (m *Machine) Feed(input, name string, args ...string) Result {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := m.Command(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(input), &stdout, &stderr
	err := m.Start(c)
	if err == nil {
		err = c.Wait()
	}
	r := Result{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		r.Code, r.Stderr = -1, r.Stderr+fmt.Sprintf("\n(killed by the test after %v)\n", limit)
	case errors.As(err, &exit):
		r.Code = exit.ExitCode()
	case errors.Is(err, exec.ErrWaitDelay): // something that it started keeps the pipe open: its own code was 0
	case err != nil:
		r.Code, r.Stderr = -1, err.Error()
	}
	return r
}

// Output is the standard output of a command that must succeed; the error holds what it said.
func (m *Machine) Output(name string, args ...string) (string, error) {
	r := m.Run(name, args...)
	if r.Code != 0 {
		return r.Stdout, fmt.Errorf("%s: %s %s: exit %d: %s%s", m.Name, name, strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout, nil
}

// Daemon starts a command that stays, and returns when ready says so.
func (m *Machine) Daemon(ready func() error, name string, args ...string) (*world.Process, error) {
	c := exec.Command(name, args...)
	c.Env, c.Dir = m.Env, m.Dir
	return world.Launch(m.Name+"-"+filepath.Base(name), c, m.Start, ready)
}
