package tiny

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// terminal is a shell on a pseudo-terminal and all that it has shown.
type terminal struct {
	t    *testing.T
	pty  *os.File
	cmd  *exec.Cmd
	dir  string
	mu   sync.Mutex
	text bytes.Buffer
	seen int
}

func open(t *testing.T) *terminal {
	t.Helper()
	bin, dir := ours(t), t.TempDir()
	cmd := exec.Command(bin + "/sh")
	cmd.Args[0] = "sh"
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + bin, "HOME=/nowhere", "TERM=xterm", "PS1=ready> "}
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, pty: f, cmd: cmd, dir: dir}
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := f.Read(buf)
			x.mu.Lock()
			x.text.Write(buf[:n])
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); cmd.Process.Kill(); f.Close(); cmd.Wait() })
	x.await("ready> ")
	return x
}

func (x *terminal) send(text string) {
	x.t.Helper()
	if _, err := x.pty.WriteString(text); err != nil {
		x.t.Fatal(err)
	}
}

// await waits for text that has not been awaited yet.
func (x *terminal) await(text string) {
	x.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		x.mu.Lock()
		shown := x.text.String()
		x.mu.Unlock()
		if at := strings.Index(shown[x.seen:], text); at >= 0 {
			x.seen += at + len(text)
			return
		}
		if time.Now().After(deadline) {
			tail := shown[x.seen:]
			x.t.Fatalf("%q is not shown, but %q", text, tail[max(0, len(tail)-600):])
		}
	}
}

// job waits until the terminal's foreground is no longer the shell, which gives it away as soon as a program runs (tcsetpgrp(3)).
func (x *terminal) job() {
	x.t.Helper()
	eventually(x.t, "a job is in the foreground", func() bool {
		group, err := unix.IoctlGetInt(int(x.pty.Fd()), unix.TIOCGPGRP)
		return err == nil && group != x.cmd.Process.Pid
	})
}

// run types a command and waits for its output and the next prompt.
func (x *terminal) run(line, shows string) {
	x.t.Helper()
	x.send(line + "\r")
	x.await("\r\n" + shows)
	x.await("ready> ")
}

func TestPromptAndEditing(t *testing.T) {
	x := open(t)
	x.run("echo one", "one\r\n")
	x.run("echo on\x7fx", "ox\r\n")
	x.run("zzz\x15echo cut", "cut\r\n")                           // Ctrl-U
	x.run("echo a b\x17c", "a c\r\n")                             // Ctrl-W
	x.run("two\x01echo \x05 end", "two end\r\n")                  // Ctrl-A, Ctrl-E
	x.run("echo ac\x1b[Db", "abc\r\n")                            // left
	x.run("echo abc\x1b[D\x1b[D\x0b", "a\r\n")                    // Ctrl-K
	x.run("\x1b[A\x1b[A\x1b[A", "two end\r\n")                    // up
	x.run("\x12cut", "cut\r\n")                                   // Ctrl-R
	x.run("echo h\xc3\xa4l\x7f\xc3\xb6", "h\xc3\xa4\xc3\xb6\r\n") // UTF-8
	x.run("for i in 1 2\rdo echo n$i\rdone", "> do echo n$i\r\n> done\r\nn1\r\nn2\r\n")
	x.run("cat <<E\rbody\rE", "> body\r\n> E\r\nbody\r\n")
	x.send("not this\x03")
	x.await("^C\r\nready> ")
	x.run("echo $?", "130\r\n")
	x.send("\x04")
	if code := status(x.cmd, 5*time.Second); code != 130 && code != 0 {
		t.Errorf("Ctrl-D ends with %d", code)
	}
}

func TestCompletion(t *testing.T) {
	x := open(t)
	for _, name := range []string{"longname.txt", "dir/inner", "pair1", "pair2"} {
		path := filepath.Join(x.dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte("content of "+name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	x.run("cat lo\t", "content of longname.txt\r\n")
	x.run("cat d\ti\t", "content of dir/inner\r\n")
	x.run("who\t", "") // whoami is the only command
	x.send("cat pa\t\t")
	x.await("pair1  pair2")
	x.send("2\r")
	x.await("content of pair2")
}

func TestKeysReachTheForeground(t *testing.T) {
	x := open(t)
	x.send("sleep 100\r")
	x.job()
	x.send("\x03")
	x.await("ready> ")
	x.run("echo $?", "130\r\n")
	x.send("cat\r")
	x.await("\r\n")
	x.send("typed\r")
	x.await("typed\r\ntyped\r\n")
	x.send("\x04")
	x.await("ready> ")
	x.send("echo go; while true; do :; done\r")
	x.await("\r\ngo\r\n")
	x.send("\x03")
	x.await("ready> ")
	x.run("echo $?", "130\r\n")
	x.send("(sleep 100; echo no) | cat\r")
	x.job()
	x.send("\x03")
	x.await("ready> ")
	x.run("sleep 0.1; echo still", "still\r\n")
}

func TestJobControl(t *testing.T) {
	x := open(t)
	x.send("sleep 100\r")
	x.job()
	x.send("\x1a")
	x.await("[1]+  Stopped                 sleep 100")
	x.await("ready> ")
	x.run("jobs", "[1]+  Stopped                 sleep 100\r\n")
	x.run("bg", "[1] sleep 100\r\n")
	x.run("jobs", "[1]+  Running                 sleep 100\r\n")
	x.send("fg\r")
	x.await("sleep 100\r\n")
	x.job()
	x.send("\x03")
	x.await("ready> ")
	x.run("sleep 100 & kill %1; wait %1; echo $?", "")
	x.run("sleep 100 &", "[")
	x.run("kill -9 $!; wait $!; echo is $?", "is 137\r\n")
	x.run("jobs; echo none", "")
	x.send("exit 4\r")
	if code := status(x.cmd, 5*time.Second); code != 4 {
		t.Errorf("exit 4 ends with %d", code)
	}
}

func TestPasteOfAMegabyte(t *testing.T) {
	x := open(t)
	const lines = 15000
	var paste strings.Builder
	fmt.Fprintf(&paste, "cat >pasted <<'END'\r")
	for i := range lines {
		fmt.Fprintf(&paste, "%06d %s\r", i, strings.Repeat("x", 62))
	}
	paste.WriteString("END\r")
	for text := paste.String(); text != ""; text = text[min(len(text), 4096):] {
		x.send(text[:min(len(text), 4096)])
	}
	x.run("\rwc -lc pasted; echo finis$((1+1))h", "")
	x.await("finis2h")
	data, err := os.ReadFile(filepath.Join(x.dir, "pasted"))
	if err != nil || bytes.Count(data, []byte("\n")) != lines || len(data) != lines*70 {
		t.Errorf("%d lines and %d bytes arrived: %v", bytes.Count(data, []byte("\n")), len(data), err)
	}
}

func TestLongLine(t *testing.T) {
	x := open(t)
	word := strings.Repeat("0123456789", 20000)
	for text := "echo " + word; text != ""; text = text[min(len(text), 4096):] {
		x.send(text[:min(len(text), 4096)])
	}
	x.send(" | wc -c >length\r")
	x.await("length\r\n")
	x.await("ready> ")
	data, err := os.ReadFile(filepath.Join(x.dir, "length"))
	if strings.TrimSpace(string(data)) != "200001" {
		t.Errorf("the length is %q: %v", data, err)
	}
}

func TestResize(t *testing.T) {
	x := open(t)
	x.run("stty size", "24 80\r\n")
	x.send("echo " + strings.Repeat("w", 90))
	x.await("www")
	if err := pty.Setsize(x.pty, &pty.Winsize{Rows: 10, Cols: 40}); err != nil {
		t.Fatal(err)
	}
	x.await("\x1b[J") // the line is drawn again
	x.await("ready> echo")
	x.send("\x15stty size\r")
	x.await("10 40\r\n")
}

func TestTypedAheadReachesTheCommand(t *testing.T) {
	x := open(t)
	x.send("sleep 0.3; head -n 1 >first\rfor the command\r")
	x.await("first\r\n")
	x.await("ready> ")
	data, _ := os.ReadFile(filepath.Join(x.dir, "first"))
	if string(data) != "for the command\n" {
		t.Errorf("the command reads %q", data)
	}
}

func TestTrapAtThePrompt(t *testing.T) {
	x := open(t)
	x.run("trap 'echo caught' USR1", "")
	x.send("half")
	x.await("half")
	x.cmd.Process.Signal(syscall.SIGUSR1)
	x.await("caught")
	x.await("ready> half")
	x.cmd.Process.Signal(syscall.SIGTERM) // an interactive shell is deaf to it
	x.send("\x15")
	x.run("echo alive", "alive\r\n")
}
