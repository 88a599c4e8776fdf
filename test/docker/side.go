package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"glassbox/test/machines"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/txtar"
)

// Side is one of the two: a machine on which `docker` is the real one or a link to glassbox.
type Side struct {
	*machines.Machine
	Bin  string   // first in PATH
	Work string   // the working directory, made anew for each session
	Home string   // where the test sees the directory above it, which is another one on each side
	Data string   // where its engine keeps what it has
	More []string // environment beside what both have

	Registry string // where Prepare pulls from
	kept     string // its images, as Images tells of them
}

// Outcome is what one command did.
type Outcome struct {
	Stdout, Stderr string
	Code           int
	Took           time.Duration
}

const commandLimit = 90 * time.Second

// Play runs a session and returns its masked outcomes, then removes whatever it left.
func (s *Side) Play(session *Session, known []string) ([]Outcome, error) {
	if err := s.furnish(session.Files); err != nil {
		return nil, err
	}
	mask := &Mask{known: known, root: s.Data}
	var outcomes []Outcome
	for _, step := range session.Steps {
		start := time.Now()
		o, err := s.run(step)
		if err != nil {
			return nil, fmt.Errorf("%s: %s:%d: %s: %w", s.Name, session.Name, step.Line, step.Command, err)
		}
		o.Took = time.Since(start)
		o.Stdout, o.Stderr = mask.Apply(o.Stdout), mask.Apply(o.Stderr)
		outcomes = append(outcomes, o)
	}
	return outcomes, s.sweep()
}

// furnish makes the home and the working directory anew.
func (s *Side) furnish(files []txtar.File) error {
	old, err := filepath.Glob(s.Home + "/*")
	if err != nil {
		return err
	}
	for _, path := range append(old, s.Home+"/.docker") {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	work := filepath.Join(s.Home, filepath.Base(s.Work))
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(work, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Data, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes the containers, networks, volumes and images that a session left. Sessions are played in any order: the next one
// finds the images that prepare made, and nothing else.
func (s *Side) sweep() error {
	_, err := s.run(Step{Command: `for c in $(docker ps -aq --no-trunc); do docker unpause $c; docker rm -f -v $c; done
docker network ls -q -f type=custom | xargs -r docker network rm; docker volume ls -q | xargs -r docker volume rm -f; docker builder prune -a -f`})
	if err != nil {
		return err
	}
	have, err := s.images()
	if err != nil || have == s.kept {
		return err
	}
	_, err = s.run(Step{Command: "docker images --format '{{.Repository}}:{{.Tag}}' | xargs -r docker rmi -f; docker images -aq --no-trunc | xargs -r docker rmi -f"})
	return errors.Join(err, s.Prepare())
}

// images are the names and ids of all that are there.
func (s *Side) images() (string, error) {
	o, err := s.run(Step{Command: "docker images -a --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' | sort"})
	return o.Stdout, err
}

// Prepare pulls what the sessions use by short names.
func (s *Side) Prepare() (err error) {
	for _, name := range []string{"bb", "web", "store"} {
		command := fmt.Sprintf("docker pull %[1]s/%[2]s && docker tag %[1]s/%[2]s %[2]s && docker rmi %[1]s/%[2]s", s.Registry, name)
		if o, err := s.run(Step{Command: command}); err != nil || o.Code != 0 {
			return fmt.Errorf("%s: %s: %w\n%s%s", s.Name, command, err, o.Stdout, o.Stderr)
		}
	}
	s.kept, err = s.images()
	return err
}

func (s *Side) command(ctx context.Context, text string) *exec.Cmd {
	c := exec.CommandContext(ctx, "sh", "-c", text)
	c.Dir = s.Work
	c.Env = append([]string{
		"PATH=" + s.Bin + ":/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + filepath.Dir(s.Work), "LANG=C.UTF-8", "TERM=xterm",
		"FROM_HOST=a value",
	}, s.More...)
	c.WaitDelay = time.Second
	return c
}

func (s *Side) run(step Step) (Outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	c := s.command(ctx, step.Command)
	if step.TTY {
		return s.terminal(ctx, c, step.Keys)
	}
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	var input strings.Builder
	for _, k := range step.Keys {
		input.WriteString(k.Type)
	}
	if len(step.Keys) > 0 {
		c.Stdin = strings.NewReader(input.String())
	}
	// A group of its own, so that a command that hangs can be ended with all that it started.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	err := s.Start(c)
	if err == nil {
		err = c.Wait()
	}
	return outcome(ctx, err, stdout.String(), stderr.String())
}

func outcome(ctx context.Context, err error, stdout, stderr string) (Outcome, error) {
	o := Outcome{Stdout: stdout, Stderr: stderr}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		o.Stderr += fmt.Sprintf("\n(killed by the test after %v)\n", commandLimit)
		o.Code = -1
	case errors.As(err, &exit):
		o.Code = exit.ExitCode()
	case errors.Is(err, exec.ErrWaitDelay): // something it started keeps the pipe open: its own code was 0
	case err != nil:
		return o, err
	}
	return o, nil
}

// terminal runs a command as the session leader of a new terminal and types.
func (s *Side) terminal(ctx context.Context, c *exec.Cmd, keys []Key) (Outcome, error) {
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	var master *os.File
	err := s.Enter(func() (err error) {
		master, err = pty.StartWithAttrs(c, &pty.Winsize{Rows: 24, Cols: 80}, c.SysProcAttr)
		return err
	})
	if err != nil {
		return Outcome{}, err
	}
	defer master.Close()
	screen := &screen{}
	drained := make(chan struct{})
	go func() {
		io.Copy(screen, master)
		close(drained)
	}()
	for _, k := range keys {
		time.Sleep(k.Pause)
		if k.Await != "" {
			if err := screen.await(k.Await); err != nil {
				c.Process.Kill()
				c.Wait()
				return outcome(ctx, nil, screen.text(), err.Error())
			}
			continue
		}
		screen.mark()
		if _, err := io.WriteString(master, strings.ReplaceAll(k.Type, "\n", "\r")); err != nil {
			return Outcome{}, err
		}
	}
	err = c.Wait()
	select {
	case <-drained:
	case <-time.After(time.Second):
	}
	return outcome(ctx, err, screen.text(), "")
}

// screen is what the terminal has shown; seen is where the last key was typed.
type screen struct {
	mu   sync.Mutex
	all  bytes.Buffer
	seen int
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

func (s *screen) mark() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = s.all.Len()
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

func (s *screen) await(text string) error {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		found := strings.Contains(s.all.String()[s.seen:], text)
		s.mu.Unlock()
		if found {
			return nil
		}
	}
	return fmt.Errorf("%q did not appear within 30 s", text)
}
