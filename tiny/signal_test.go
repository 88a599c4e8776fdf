package tiny

import (
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(8 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("it does not come about that %s", what)
}

// mask reads a line of signals from /proc/PID/status.
func mask(t *testing.T, pid int, field string) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/" + itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(rest), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s is not in the status", field)
	return 0
}

func bit(sig syscall.Signal) uint64 { return 1 << (sig - 1) }

// start runs an applet, as PID 1 of a namespace of its own or plainly, and waits until its dispositions are set.
func start(t *testing.T, bin string, init bool, words ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(bin+"/"+words[0], words[1:]...)
	cmd.Env = []string{"PATH=" + bin}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if words[0] == "cat" {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = r
		t.Cleanup(func() { r.Close(); w.Close() })
	}
	if init {
		if os.Geteuid() != 0 {
			t.Skip("a PID namespace needs root")
		}
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); cmd.Wait() })
	eventually(t, "signals have their defaults, the last one too", func() bool {
		return isUp(cmd.Process.Pid, words) && mask(t, cmd.Process.Pid, "SigCgt")&bit(64) == 0
	})
	return cmd
}

// isUp says whether the process is the last one that the words lead to, and Go's runtime has started in it: before that a fresh
// program has no handlers either. Go starts its second thread after it has installed them.
func isUp(pid int, words []string) bool {
	last := words[0]
	if rest, ok := strings.CutPrefix(words[len(words)-1], "exec "); ok {
		last, _, _ = strings.Cut(rest, " ")
	}
	command, err := os.ReadFile("/proc/" + itoa(pid) + "/cmdline")
	first, _, _ := strings.Cut(string(command), "\x00")
	threads, _ := os.ReadDir("/proc/" + itoa(pid) + "/task")
	return err == nil && path.Base(first) == last && len(threads) > 1
}

// status is how a command ended within a time; -1 when it still runs.
func status(cmd *exec.Cmd, within time.Duration) int {
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(within):
		return -1
	}
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// TestInitIgnoresTERM is the lesson of `docker stop`: the kernel drops SIGTERM for a PID 1 that has no handler.
func TestInitIgnoresTERM(t *testing.T) {
	bin := ours(t)
	for _, words := range [][]string{{"sleep", "1000"}, {"cat"}, {"sh", "-c", "while true; do sleep 1; done"}, {"sh", "-c", "exec sleep 100"}, {"sh", "-c", "sleep 100; :"}} {
		t.Run(strings.Join(words, " "), func(t *testing.T) {
			cmd := start(t, bin, true, words...)
			if caught := mask(t, cmd.Process.Pid, "SigCgt"); caught&(bit(syscall.SIGTERM)|bit(syscall.SIGINT)|bit(syscall.SIGUSR1)) != 0 {
				t.Errorf("SigCgt is %x: a handler for TERM, INT or USR1", caught)
			}
			cmd.Process.Signal(syscall.SIGTERM)
			time.Sleep(300 * time.Millisecond)
			if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
				t.Errorf("it has ended: %v", err)
			}
			cmd.Process.Kill()
			if code := status(cmd, 5*time.Second); code != 137 {
				t.Errorf("SIGKILL gives %d", code)
			}
		})
	}
}

func TestTERMEndsOthers(t *testing.T) {
	bin := ours(t)
	for _, words := range [][]string{{"sleep", "1000"}, {"cat"}, {"sh", "-c", "while true; do sleep 1; done"}} {
		cmd := start(t, bin, false, words...)
		cmd.Process.Signal(syscall.SIGTERM)
		if code := status(cmd, 5*time.Second); code != 143 {
			t.Errorf("%v ends with %d", words, code)
		}
	}
}

func TestTrapsAsInit(t *testing.T) {
	bin := ours(t)
	for script, want := range map[string]int{
		"trap 'exit 5' TERM; echo ready; while true; do sleep 0.2; done":      5,
		"trap 'exit 6' TERM; sleep 1000 & echo ready; wait":                   6,
		"trap 'x=7' TERM; sleep 1000 & echo ready; wait $!; exit $((x + $?))": 7 + 143,
		"trap 'exit 8' TERM; echo ready; read line </dev/zero":                8,
	} {
		t.Run(script, func(t *testing.T) {
			if os.Geteuid() != 0 {
				t.Skip("a PID namespace needs root")
			}
			cmd := exec.Command(bin+"/sh", "-c", script)
			cmd.Env = []string{"PATH=" + bin}
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			var ready [6]byte
			if _, err := out.Read(ready[:]); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			cmd.Process.Signal(syscall.SIGTERM)
			if code := status(cmd, 5*time.Second); code != want {
				t.Errorf("it ends with %d, not %d", code, want)
			}
		})
	}
}

// TestIgnoredStaysIgnored: what the parent ignores, the child ignores, through our shell too.
func TestIgnoredStaysIgnored(t *testing.T) {
	bin := ours(t)
	cmd := exec.Command(bin+"/sh", "-c", "trap '' TERM HUP USR1; exec sleep 100")
	cmd.Env = []string{"PATH=" + bin}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	want := bit(syscall.SIGTERM) | bit(syscall.SIGHUP) | bit(syscall.SIGUSR1)
	eventually(t, "sleep ignores TERM, HUP and USR1", func() bool {
		name, _ := os.ReadFile("/proc/" + itoa(cmd.Process.Pid) + "/comm")
		return string(name) == "sleep\n" && mask(t, cmd.Process.Pid, "SigIgn")&want == want
	})
	env, _ := os.ReadFile("/proc/" + itoa(cmd.Process.Pid) + "/environ")
	if !strings.Contains(string(env), "PATH=") {
		t.Errorf("the environment is %q", env)
	}
	have := runLine(t, bin, t.TempDir(), "trap '' TERM; env | grep -c TINY")
	if have.stdout != "0\n" {
		t.Errorf("env shows our own variable: %q", have.stdout)
	}
}

func TestInitReapsOrphans(t *testing.T) {
	bin := ours(t)
	cmd := start(t, bin, true, "sh", "-c", "while true; do sleep 0.1; sh -c '(sleep 0.05 &)'; done")
	time.Sleep(1500 * time.Millisecond)
	out, err := exec.Command("ps", "-o", "stat=", "--ppid", itoa(cmd.Process.Pid)).Output()
	if err != nil {
		t.Skip("procps is missing: ", err)
	}
	if n := strings.Count(string(out), "Z"); n > 2 {
		t.Errorf("%d zombies below the shell", n)
	}
}
