package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// onTerminal is this program, with the fake engine, as the foreground of a terminal of its own.
type onTerminal struct {
	*exec.Cmd
	master *os.File
	mu     sync.Mutex
	seen   bytes.Buffer
	ended  atomic.Bool // nothing more will be seen
}

func startOnTerminal(t *testing.T, args ...string) *onTerminal {
	t.Helper()
	return startWith(t, "FAKE=1", args...)
}

// startWith is for the real engine, too: FAKE is empty then.
func startWith(t *testing.T, fake string, args ...string) *onTerminal {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &onTerminal{Cmd: &exec.Cmd{Path: exe, Args: args, Env: append(os.Environ(), fake, "DOCKER_CONFIG="+t.TempDir())}}
	p.master, err = pty.StartWithSize(p.Cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(time.Minute, func() { _ = p.Process.Kill() })
	t.Cleanup(func() { late.Stop(); p.master.Close(); _ = p.Process.Kill() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := p.master.Read(buf)
			p.mu.Lock()
			p.seen.Write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				p.ended.Store(true)
				return
			}
		}
	}()
	return p
}

func (p *onTerminal) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.ReplaceAll(p.seen.String(), "\r\n", "\n")
}

// cooked says whether the terminal collects lines and echoes, as a shell left it.
func (p *onTerminal) cooked(t *testing.T) bool {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(p.master.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return mode.Lflag&unix.ICANON != 0 && mode.Lflag&unix.ECHO != 0
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}

func TestHintsAreForTerminals(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"glassbox", "run", "--foo"}, "glassbox: unknown flag: --foo\n  fix:   glassbox run --help\n"},
		{[]string{"glassbox", "--porcelain", "run", "--foo"}, "glassbox: unknown flag: --foo\n"},
		{[]string{"glassbox", "imagse"}, "glassbox: unknown command: glassbox imagse\n  fix:   glassbox images\n"},
		{[]string{"glassbox", "foo"}, "glassbox: unknown command: glassbox foo\n  fix:   glassbox --help\n"},
		{[]string{"glassbox", "container", "prun"}, "glassbox: unknown command: glassbox container prun\n  fix:   glassbox container prune\n"},
		{[]string{"glassbox", "stop", "nope"}, "glassbox: No such container: nope\n  check: glassbox ps -a\n"},
		{[]string{"docker", "stop", "nope"}, "Error response from daemon: No such container: nope\n"},
		{[]string{"docker", "stop", "-h"}, "Flag shorthand -h has been deprecated, use --help\n"},
		{[]string{"glassbox", "port", "web"}, "glassbox: port 80/tcp is published, but the process listens on 127.0.0.1:80 only\n"},
		{[]string{"glassbox", "run", "alpine", "shy"}, "glassbox: port 80/tcp is published, but the process listens on 127.0.0.1:80 only\n"},
		{[]string{"docker", "run", "alpine", "shy"}, ""},
		{[]string{"glassbox", "start", webID}, webID + "\nglassbox: packets between the container's network and others do not pass: the policy of chain FORWARD of table ip filter is drop\n  why:   that is Docker's; every base chain that hooks into forwarding must let\n         a packet pass, and glassbox changes no rule but its own\n  check: nft list ruleset; iptables-legacy -S FORWARD\n  fix:   iptables ...\n"},
		{[]string{"glassbox", "run", "alpine", "exit", "13"}, "glassbox: the process may not write /s/file, which is /srv/file on this host\n  why:   the rule\n" +
			"         -rw-r--r--        inside           host\n         process's user    1000 (no name)   1000 ann\n         process's group   0 (no name)      0 (no name)\n" +
			"         file's owner      0 root           0 root\n         file's group      0 (no name)      0 (no name)\n         its other groups: 10 20\n  check: ls -ldn /srv/file\n  fix:   the cure\n"},
		{[]string{"docker", "run", "alpine", "exit", "13"}, ""},
		{[]string{"glassbox", "run", "alpine", "exit", "30"}, "glassbox: the process may not change /sys/fs/cgroup/x: /sys/fs/cgroup is mounted ro by policy, not by rights\n" +
			"  why:   the rule\n  check: a look\n  fix:   the cure\n  learn: glassbox lab start cgroup-namespace\n"},
		{[]string{"docker", "run", "alpine", "exit", "30"}, ""},
		{[]string{"glassbox", "run", "alpine", "exit", "137"}, "glassbox: ended by SIGKILL (137 = 128 + 9), which glassbox did not send\n  why:   it came from outside"},
		{[]string{"glassbox", "--porcelain", "run", "alpine", "exit", "137"}, ""},
		{[]string{"docker", "run", "alpine", "exit", "137"}, ""},
		{[]string{"glassbox", "network", "inspect", "nosuch"}, "[]\nglassbox: network nosuch not found\n  check: glassbox network ls\n"},
		{[]string{"glassbox", "run", "-d", "alpine"}, newID + "\nglassbox: web exited (3) after "},
	} {
		p := startOnTerminal(t, c.args...)
		_ = p.Wait()
		eventually(t, c.want+"\ngot:\n"+p.text(), func() bool { return strings.HasPrefix(p.text(), c.want) })
	}
}

func TestTerminalIsRestored(t *testing.T) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // where it is ignored (nohup make test), our children would ignore it too
	run := []string{"glassbox", "run", "-it", "--network", "none", "alpine", "untilquit"}
	exec := []string{"glassbox", "exec", "-it", "web", "untilquit"}
	for _, end := range []struct {
		how  string
		args []string
		kill func(p *onTerminal) error
	}{
		{"SIGKILL", run, func(p *onTerminal) error { return p.Process.Kill() }},
		{"SIGKILL to its process group", exec, func(p *onTerminal) error { return syscall.Kill(-p.Process.Pid, syscall.SIGKILL) }},
		{"SIGHUP", exec, func(p *onTerminal) error { return p.Process.Signal(syscall.SIGHUP) }},
		{"SIGQUIT, a crash with goroutines", exec, func(p *onTerminal) error { return p.Process.Signal(syscall.SIGQUIT) }},
		{"three SIGTERMs", run, func(p *onTerminal) error {
			for range 100 { // pending signals of one kind are one signal
				if p.cooked(t) {
					return nil
				}
				if err := p.Process.Signal(syscall.SIGTERM); err != nil {
					return err
				}
				time.Sleep(20 * time.Millisecond)
			}
			return errors.New("a hundred SIGTERMs did not end it")
		}},
		{"end of input", run, func(p *onTerminal) error { _, err := io.WriteString(p.master, "quit"); return err }},
	} {
		t.Run(end.how, func(t *testing.T) {
			p := startOnTerminal(t, end.args...)
			eventually(t, "raw mode", func() bool { return !p.cooked(t) })
			eventually(t, "a container that reads", func() bool { return strings.Contains(p.text(), "reading") })
			if err := end.kill(p); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the mode that the terminal had", func() bool { return p.cooked(t) })
			_ = p.Wait()
		})
	}
}

// TestGuardYields: a shell that has its own mode already keeps it.
func TestGuardYields(t *testing.T) {
	p := startOnTerminal(t, "glassbox", "run", "-it", "--network", "none", "alpine", "untilquit")
	eventually(t, "a container that reads", func() bool { return strings.Contains(p.text(), "reading") })
	mode, err := unix.IoctlGetTermios(int(p.master.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	mode.Lflag |= unix.ISIG
	if err := unix.IoctlSetTermios(int(p.master.Fd()), unix.TCSETS, mode); err != nil {
		t.Fatal(err)
	}
	_ = p.Process.Kill()
	_ = p.Wait()
	time.Sleep(200 * time.Millisecond)
	if p.cooked(t) {
		t.Error("the guard changed a mode that was not the command line's")
	}
}

// TestSignalsArePassed: without a terminal inside, Ctrl-C is the container's, and the command line waits for its end.
func TestSignalsArePassed(t *testing.T) {
	p := startOnTerminal(t, "glassbox", "run", "--network", "none", "alpine", "signals")
	eventually(t, "ready", func() bool { return strings.Contains(p.text(), "ready") })
	if _, err := p.master.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("the container ended with 0, the command line: %v", err)
	}
	eventually(t, "got interrupt", func() bool { return strings.Contains(p.text(), "got interrupt") })
}

func TestSizesArePassed(t *testing.T) {
	p := startOnTerminal(t, "glassbox", "run", "-t", "--network", "none", "alpine", "sizes")
	eventually(t, "the first size", func() bool { return strings.Contains(p.text(), "size {24 80}") })
	if err := pty.Setsize(p.master, &pty.Winsize{Rows: 50, Cols: 132}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second size", func() bool { return strings.Contains(p.text(), "size {50 132}") })
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

// TestInterruptedExec: Ctrl-C leaves the command in the container alone and ends the command line as a signal would.
func TestInterruptedExec(t *testing.T) {
	for _, args := range [][]string{
		{"glassbox", "exec", "web", "forever"},
		{"glassbox", "run", "--sig-proxy=false", "--network", "none", "alpine", "forever"},
	} {
		p := startOnTerminal(t, args...)
		eventually(t, "reading", func() bool { return strings.Contains(p.text(), "reading") })
		if _, err := p.master.Write([]byte{3}); err != nil {
			t.Fatal(err)
		}
		_ = p.Wait()
		if code := p.ProcessState.ExitCode(); code != 130 {
			t.Errorf("%v: exit code %d, not 130: %s", args, code, p.text())
		}
		if text := strings.ReplaceAll(p.text(), "^C", ""); text != "reading\n" {
			t.Errorf("%v printed %q", args, text)
		}
	}
}
