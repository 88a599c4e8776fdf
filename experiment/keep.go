package experiment

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"glassbox/cgroups"

	"golang.org/x/sys/unix"
)

// Three processes play a run. The command (Play) talks to the user. The keeper (Keep), in a session of its own, makes the stage. The stage (Act) is the
// first process of its PID namespace. What the kernel does not take away by itself are the control groups of the stage's containers, and any of the three
// does that for the others: when the command ends, however that comes about, the keeper reads end-of-file and ends the stage; when the keeper ends, the
// stage reads end-of-file, and ends all that is on it and itself. Whoever is left sweeps. Should all three be killed at once, the next experiment does.

// Request is what is to be run.
type Request struct {
	Stage   string // names it: its containers' groups are below a group of this name
	Name    string // the experiment
	Whole   bool   // nothing is left out
	Image   string
	Probe   string // of the user's own; empty: the built-in one
	Timeout time.Duration
}

// The words by which the command line calls Keep and Act.
const (
	KeepWord = "keep"
	ActWord  = "act"
)

// Play runs one half of an experiment; argv calls the command line with KeepWord added.
func Play(ctx context.Context, argv []string, r Request) (*Run, error) {
	name := make([]byte, 4)
	rand.Read(name) //nolint:errcheck // it never fails
	r.Stage = hex.EncodeToString(name)
	line, alive, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer line.Close()
	c := exec.CommandContext(ctx, argv[0], append(argv[1:], KeepWord)...)
	c.Stdin, c.Stderr, c.SysProcAttr = line, os.Stderr, &syscall.SysProcAttr{Setsid: true}
	c.Cancel = alive.Close // the keeper ends the stage
	c.WaitDelay = patience
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		alive.Close()
		return nil, err
	}
	run, err := result(out, json.NewEncoder(alive).Encode(r))
	alive.Close() //nolint:errcheck // or it is closed
	if ended := c.Wait(); ctx.Err() != nil {
		err = ctx.Err()
	} else if run == nil && err == nil {
		err = fmt.Errorf("the run broke off: %w", ended)
	}
	return run, errors.Join(err, sweep(r.Stage))
}

// patience is how long the keeper may take to end a stage.
const patience = 20 * time.Second

// result reads what the stage has written; nothing, if it did not get so far.
func result(out io.Reader, sent error) (*Run, error) {
	if sent != nil {
		return nil, sent
	}
	var a struct {
		Run   *Run
		Error string
	}
	if err := decode(out, &a); err != nil {
		return nil, nil
	}
	if a.Error != "" {
		return nil, errors.New(a.Error)
	}
	return a.Run, nil
}

func decode(r io.Reader, v any) error { return json.NewDecoder(r).Decode(v) }

func answer(w io.Writer, run *Run, err error) error {
	a := struct {
		Run   *Run
		Error string
	}{Run: run}
	if err != nil {
		a.Error = err.Error()
	}
	return json.NewEncoder(w).Encode(a)
}

// Keep makes a stage, ends it when in ends, and takes away what is left. argv calls the command line with ActWord added.
func Keep(argv []string, in io.Reader, out *os.File) error {
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	var r Request
	if err := json.Unmarshal(line, &r); err != nil {
		return err
	}
	c := exec.Command(argv[0], append(argv[1:], ActWord)...)
	c.Stdout, c.Stderr = out, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET,
	}
	stdin, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return answer(out, nil, fmt.Errorf("making namespaces for the experiment: %w", err))
	}
	go func() {
		_, _ = io.Copy(io.Discard, lines) // until the command ends
		_ = c.Process.Kill()
	}()
	_, _ = stdin.Write(line) // it stays open as long as this process lives; what comes of it the command knows by what it reads
	_ = c.Wait()
	return sweep(r.Stage)
}

// group is the group below which a stage's containers have theirs.
func group(stage string) string { return "/glassbox-experiment-" + stage }

// sweep removes the groups of a stage. Its processes have been killed; the kernel takes a moment to let go of them.
func sweep(stage string) error {
	facts, err := cgroups.Observe(nil)
	if err != nil || facts.Mount == "" {
		return err
	}
	top := filepath.Join(facts.Mount, group(stage))
	for range 500 {
		if err = removeGroup(top); err == nil || err == unix.ENOENT {
			return sweepForgotten(facts.Mount)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return &os.PathError{Op: "rmdir", Path: top, Err: err}
}

// removeGroup removes a group and those below it; where there are processes, nothing happens to it.
func removeGroup(top string) error {
	below, _ := filepath.Glob(top + "/*/cgroup.procs")
	for _, procs := range below {
		_ = unix.Rmdir(filepath.Dir(procs))
	}
	return unix.Rmdir(top)
}

// forgotten is how old a group without processes has to be, so that it is none in which a stage is about to make a container.
const forgotten = time.Minute

// sweepForgotten removes what was left where all three were killed at the same time.
func sweepForgotten(mount string) error {
	tops, err := filepath.Glob(mount + group("*"))
	for _, top := range tops {
		if info, gone := os.Stat(top); gone == nil && time.Since(info.ModTime()) > forgotten {
			_ = removeGroup(top) // or it is in use
		}
	}
	return err
}
