package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"glassbox/test/need"
	"glassbox/test/world"

	"golang.org/x/sys/unix"
)

// stepped is a container whose start waits at a terminal.
type stepped struct {
	*onTerminal
	data, run string
	id        string
	pid       int // of the half-made process
}

// halt starts a container and waits until it pauses with a process.
func halt(t *testing.T, args ...string) *stepped {
	t.Helper()
	need.Root(t)
	need.Hierarchy(t)
	s := newStepped(t)
	s.onTerminal = startWith(t, "FAKE=", append([]string{"glassbox", "run", "--name", "web", "--network", "none", "--step=files"}, args...)...)
	eventually(t, "a pause", func() bool { return strings.HasSuffix(s.text(), "? help > ") })
	files, _ := filepath.Glob(s.run + "/containers/*/step.json")
	if len(files) != 1 {
		t.Fatalf("%d starts are said to wait", len(files))
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`"Pid":(\d+),.*"Phase":"files"`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("step.json: %s", text)
	}
	s.id = filepath.Base(filepath.Dir(files[0]))
	s.pid, _ = strconv.Atoi(string(found[1]))
	return s
}

// says waits for the last words.
func (s *stepped) says(t *testing.T, words string) {
	t.Helper()
	eventually(t, "the terminal's end", s.ended.Load)
	if text := s.text(); !strings.Contains(text, words) {
		t.Errorf("%q is not said: %s", words, text)
	}
}

// newStepped has a store of its own, with the image bb.
func newStepped(t *testing.T) *stepped {
	dir := t.TempDir()
	s := &stepped{data: dir + "/data", run: dir + "/run"}
	for name, value := range map[string]string{"GLASSBOX_ROOT": s.data, "GLASSBOX_RUN": s.run, "GLASSBOX_GLASSRUN": world.Dir() + "/glassbox/glassrun"} {
		t.Setenv(name, value)
	}
	if err := importBusybox(s.data, need.Program(t, "busybox")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(t, s.data, s.run) })
	return s
}

// other is another command, which must not wait for the one that is stepped.
func (s *stepped) other(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &exec.Cmd{Path: exe, Args: append([]string{"glassbox"}, args...), Env: append(os.Environ(), "FAKE=")}
	text, _ := c.CombinedOutput()
	return string(text), c.ProcessState.ExitCode()
}

// gone: nothing of the start is left but, perhaps, the container.
func (s *stepped) gone(t *testing.T) {
	t.Helper()
	eventually(t, "the end of the process", func() bool { return unix.Kill(s.pid, 0) == unix.ESRCH })
	eventually(t, "no mount left", func() bool {
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		return err == nil && !strings.Contains(string(mounts), s.run)
	})
	if out, code := s.other(t, "system", "check"); code != 0 || strings.Contains(out, s.id) {
		t.Errorf("system check: %d: %s", code, out)
	}
}

// The container is half made: what is in its own terminal goes on while others look at it, and end it.
func TestOthersMeetAStepper(t *testing.T) {
	for _, c := range []struct {
		end  []string
		left string // what ps says of the container then
	}{
		{[]string{"rm", "-f", "web"}, ""},
		{[]string{"kill", "web"}, "Created"},
		{[]string{"stop", "web"}, "Created"},
	} {
		s := halt(t, "bb", "true")
		if out, _ := s.other(t, "ps", "-a", "--format", "{{.Status}}"); out != "Created\n" {
			t.Errorf("ps: %s", out)
		}
		if out, _ := s.other(t, "inspect", "-f", "{{.State.Status}} {{.State.Running}}", "web"); out != "created false\n" {
			t.Errorf("inspect: %s", out)
		}
		busy := fmt.Sprintf("container web is being started step by step: process %d waits in the phase files: answer there, or end it with rm -f", s.Process.Pid)
		for _, args := range [][]string{{"start", "web"}, {"rm", "web"}, {"rename", "web", "other"}} {
			if out, code := s.other(t, args...); code != 1 || !strings.Contains(out, busy) {
				t.Errorf("%v: %d: %s", args, code, out)
			}
		}
		if out, code := s.other(t, "exec", "web", "true"); code != 1 || !strings.Contains(out, "is not running") {
			t.Errorf("exec: %d: %s", code, out)
		}
		if out, code := s.other(t, c.end...); code != 0 || out != "web\n" {
			t.Errorf("%v: %d: %s", c.end, code, out)
		}
		_ = s.Wait()
		eventually(t, "the stepper's word", func() bool { return strings.Contains(s.text(), "stopped by SIGTERM before step ") })
		if code := s.ProcessState.ExitCode(); code != 125 {
			t.Errorf("the stepper ended with %d", code)
		}
		if out, _ := s.other(t, "ps", "-a", "--format", "{{.Status}}"); strings.TrimSpace(out) != c.left {
			t.Errorf("after %v: ps: %s", c.end, out)
		}
		s.gone(t)
	}
}

// However a stepped start ends, nothing is left paused or mounted, and the terminal is as it was.
func TestSteppedStartsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(s *stepped) error
		says string
		code int
	}{
		"Ctrl-C":           {func(s *stepped) error { _, err := s.master.WriteString("\x03"); return err }, "stopped by SIGINT before step ", 125},
		"Ctrl-D":           {func(s *stepped) error { _, err := s.master.WriteString("\x04"); return err }, "as you asked for", 125},
		"q":                {func(s *stepped) error { _, err := s.master.WriteString("q\n"); return err }, "as you asked for", 125},
		"its process dies": {func(s *stepped) error { return unix.Kill(s.pid, unix.SIGKILL) }, "the container's process was killed before step ", 125},
		"kill -9":          {func(s *stepped) error { return s.Process.Kill() }, "", -1},
	} {
		t.Run(name, func(t *testing.T) {
			s := halt(t, "--rm", "bb", "true")
			if err := c.end(s); err != nil {
				t.Fatal(err)
			}
			_ = s.Wait()
			if code := s.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			s.says(t, c.says)
			s.gone(t)
			if out, _ := s.other(t, "ps", "-a", "--format", "{{.Status}}"); c.code == 125 && out != "" {
				t.Errorf("with --rm it is still there: %s", out)
			}
			if out, code := s.other(t, "run", "--rm", "--network", "none", "bb", "echo", "again"); code != 0 || out != "again\n" {
				t.Errorf("the next start: %d: %s", code, out)
			}
		})
	}
}

// What is typed ahead is the container's, from the first byte behind the line that lets it run.
func TestTypedAhead(t *testing.T) {
	s := halt(t, "--rm", "-i", "bb", "sh", "-c", "read a; read b; echo got $a $b")
	if _, err := s.master.WriteString("n\nc\nfirst\nsecond\n"); err != nil {
		t.Fatal(err)
	}
	_ = s.Wait()
	eventually(t, "both lines", func() bool { return strings.Contains(s.text(), "got first second") })
}

// A stepped exec whose command line is killed leaves nothing in the container, which goes on; and one whose container ends is told of that.
func TestSteppedExecsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(t *testing.T, s *stepped) error
		says string
		runs string // what ps says then
	}{
		"kill -9":            {func(_ *testing.T, s *stepped) error { return s.Process.Kill() }, "", "web"},
		"its container ends": {func(t *testing.T, s *stepped) error { s.other(t, "stop", "-t", "0", "web"); return nil }, "is not running", ""},
	} {
		t.Run(name, func(t *testing.T) {
			need.Root(t)
			need.Hierarchy(t)
			s := newStepped(t)
			if out, code := s.other(t, "run", "-d", "--name", "web", "--network", "none", "bb", "sleep", "1000"); code != 0 {
				t.Fatal(out)
			}
			s.onTerminal = startWith(t, "FAKE=", "glassbox", "exec", "--step=start", "web", "sleep", "2000")
			eventually(t, "a pause", func() bool { return strings.HasSuffix(s.text(), "? help > ") })
			if out, code := s.other(t, "exec", "web", "echo", "meanwhile"); code != 0 || out != "meanwhile\n" {
				t.Errorf("another exec: %d: %s", code, out)
			}
			if err := c.end(t, s); err != nil {
				t.Fatal(err)
			}
			_ = s.Wait()
			s.says(t, c.says)
			if out, _ := s.other(t, "ps", "--format", "{{.Names}}"); strings.TrimSpace(out) != c.runs {
				t.Errorf("ps: %s", out)
			}
			eventually(t, "nobody else in the container", func() bool {
				out, code := s.other(t, "top", "web", "-o", "pid")
				return code != 0 && c.runs == "" || code == 0 && strings.Count(out, "\n") == 2
			})
		})
	}
}
