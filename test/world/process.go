package world

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is a daemon of the world with its log.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// Start runs a daemon in a session of its own and returns when ready says so, within startLimit.
func Start(ready func() error, name string, args ...string) (*Process, error) {
	return Launch(filepath.Base(name), exec.Command(name, args...), (*exec.Cmd).Start, ready)
}

// Launch runs a prepared command as a daemon; start starts it, perhaps elsewhere. Its log has this name.
func Launch(name string, c *exec.Cmd, start func(*exec.Cmd) error, ready func() error) (*Process, error) {
	p := &Process{name: name, cmd: c, log: filepath.Join(Dir(), name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := start(c); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	return p, p.await(ready)
}

// startLimit is far beyond what any takes: in the VM's emulation dockerd takes half a minute. One that ends is not waited for.
const startLimit = 3 * time.Minute

func (p *Process) await(ready func() error) error {
	deadline := time.After(startLimit)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended:\n%s", p.name, p.Tail())
		case <-deadline:
			p.Stop()
			return fmt.Errorf("%s was not ready within %v: %w\n%s", p.name, startLimit, err, p.Tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop asks the daemon to end, and kills it after ten seconds.
func (p *Process) Stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// Tail is the end of the daemon's log.
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// Output runs a command to its end, within two minutes, and returns its standard output; the error holds what it said.
func Output(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	var errs strings.Builder
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s%s", name, strings.Join(args, " "), err, out, errs.String())
	}
	return string(out), nil
}
