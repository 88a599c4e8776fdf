package stepper

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"glassbox/program"
	"glassbox/screen"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// stops are those of a short start.
func stops() []program.Stop {
	phases := []string{"cgroup", "namespaces", "files", "start"}
	host := func(call, from, why string) program.Stop {
		return program.Stop{Phase: "cgroup", Phases: phases, Steps: 4, Request: 1, Requests: 2, Next: []program.Done{{Call: call, From: from, Why: why}}}
	}
	child := func(n int, phase, call, from, why string) program.Stop {
		return program.Stop{Phase: phase, Phases: phases, Steps: 4, Number: n, Pid: os.Getpid(), Next: []program.Done{{Call: call, From: from, Why: why}}}
	}
	all := []program.Stop{
		host(`mkdirat(AT_FDCWD, "/sys/fs/cgroup/glassbox/`+strings.Repeat("0123456789abcdef", 4)+`", 0755)`, "linux.cgroupsPath", "the container's group"),
		child(1, "namespaces", `sethostname("web", 3)`, "hostname", "name the container"),
		child(2, "files", `pivot_root(".", ".")`, "root.path", "make it the root"),
		child(3, "files", `move_mount(5, "", 6, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)`, "mounts[2]", "put it at /dev/pts"),
		child(4, "start", `execve("/bin/sh", ["sh"], [])`, "process.args", "become the program"),
	}
	for i := range all[1:] {
		all[i+1].Gave = []program.Done{{Call: all[i].Next[0].Call, Result: "0"}}
	}
	return all
}

// play answers the stops by a script and returns what was shown and answered.
func play(t *testing.T, from, commands string, width int) (shown string, answers []program.Answer, err error) {
	t.Helper()
	script, err := ReadScript("script", strings.NewReader(commands))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s, err := New(Options{From: from, Script: script, Out: &out, Style: screen.Style{Width: width}})
	if err != nil {
		t.Fatal(err)
	}
	for _, stop := range stops() {
		a, stopped := s.Ask(context.Background(), stop)
		if stopped != nil {
			err = stopped
			break
		}
		answers = append(answers, a)
	}
	s.Close()
	return out.String(), answers, err
}

// What a new process does by itself is told at its birth, and met there by a break.
func TestBirth(t *testing.T) {
	script, err := ReadScript("script", strings.NewReader("b close\n"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s, err := New(Options{Script: script, Out: &out, Style: screen.Style{Width: 60}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	birth := program.Stop{
		Phase: "namespaces", Phases: []string{"cgroup", "namespaces"}, Request: 1, Requests: 1, Bound: "without a process there is no container",
		Next: []program.Done{{Call: "clone3({flags=CLONE_NEWPID}, 88)", From: "linux.namespaces", Why: "make the process"}},
		Then: []program.Done{{Call: "close(<host's end of sync>)", Why: "close the host's end of the gates"}},
	}
	for _, stop := range []program.Stop{stops()[0], birth} {
		if _, err := s.Ask(context.Background(), stop); err != nil {
			t.Fatal(err)
		}
	}
	const want = `-- namespaces: a request of the host's
  clone3({flags=CLONE_NEWPID}, 88)
  why       make the process
  asked by  linux.namespaces
  without   there is no process: nobody for whom anything
            could be isolated
  then      the new process makes its first calls by itself.
            It cannot be asked before them: as long as it
            holds our end of its line to us, it would wait
            for ever for a glassbox that was killed
  close(<host's end of sync>)
    close the host's end of the gates
> continue
`
	if _, shown, _ := strings.Cut(out.String(), "> break close\n"); shown != want {
		t.Errorf("shown:\n%s\nwant:\n%s", shown, want)
	}
}

// TestScreens: 80 columns.
func TestScreens(t *testing.T) {
	shown, answers, err := play(t, "", "n\ns\ns\nn\nb start\n", 80)
	if err != nil {
		t.Fatal(err)
	}
	const want = `-- cgroup: the host's request 1 of 2
  mkdirat(AT_FDCWD, "/sys/fs/cgroup/glassbox/0123456789ab…", 0755)
  why       the container's group
  asked by  linux.cgroupsPath
  without   there is no group: nothing limits, counts, freezes or kills the
            container's processes as one
> next
  mkdirat  = 0

-- namespaces: step 1 of 4
  sethostname("web", 3)
  why       name the container
  asked by  hostname
  without   the container has the host's name, in a UTS namespace of its own
> skip
  sethostname  = 0

-- files: step 2 of 4
  pivot_root(".", ".")
  why       make it the root
  asked by  root.path
  without   the container's root is the host's: every path leads into it
> skip
pivot_root cannot be skipped: the host would be open to the container. Without
it: the container's root is the host's: every path leads into it
> next
  pivot_root  = 0

-- files: step 3 of 4
  move_mount(5, "", 6, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)
  why       put it at /dev/pts
  asked by  mounts[2]
  without   /dev/pts is empty: no further terminal can be had inside (script,
            ssh, screen)
> break start
  move_mount  = 0

-- start: step 4 of 4
  execve("/bin/sh", ["sh"], [])
  why       become the program
  asked by  process.args
  without   the process ends without having become the program
> continue
`
	if shown != want {
		t.Errorf("shown:\n%s\nwant:\n%s", shown, want)
	}
	if len(answers) != 5 || answers[1] != program.Skip || answers[2] != program.Go {
		t.Errorf("answers %v", answers)
	}
	shown, _, _ = play(t, "", "n\nn\nn\nn\n", 40)
	for line := range strings.Lines(shown) {
		if len([]rune(line)) > 60 { // of single words only
			t.Errorf("at 40 columns: %s", line)
		}
	}
}

// A break is met by the name of a call, phase, mechanism or field; a mechanism that has a call's name is met at that call.
func TestBreaks(t *testing.T) {
	for name, want := range map[string]string{
		"pivot_root": "files: step 2", "files": "files: step 2", "uts": "namespaces: step 1", "mounts": "files: step 3", "mounts[2]": "files: step 3",
		"root": "files: step 2", "process": "start: step 4", "execve": "start: step 4", "limits": "", "mount": "",
	} {
		shown, _, err := play(t, "", "b "+name+"\nq\n", 80)
		last := shown[strings.LastIndex("\n"+shown, "\n-- "):]
		switch {
		case want == "" && (err != nil || !strings.Contains(shown, "the break at "+name+" was not reached: 4 calls were made")):
			t.Errorf("b %s: %v: %s", name, err, shown)
		case want != "" && !strings.HasPrefix(last, "-- "+want):
			t.Errorf("b %s: %s", name, last)
		}
	}
}

// Pausing begins at a phase; one that this start does not have is refused before anything is made.
func TestFrom(t *testing.T) {
	shown, _, err := play(t, "files", "q\n", 80)
	var quit *program.Quit
	if !errors.As(err, &quit) || err.Error() != "stopped before step 2 of 4 (pivot_root, in the phase files), as you asked for" {
		t.Errorf("got %v", err)
	}
	if !strings.HasPrefix(shown, "... 2 calls were made\n  sethostname  = 0\n\n-- files: step 2 of 4\n") {
		t.Errorf("shown %s", shown)
	}
	_, answers, err := play(t, "ids", "q\n", 80)
	if err == nil || err.Error() != "--step=ids: there is no such phase this time: there are cgroup, namespaces, files, start" || len(answers) > 0 {
		t.Errorf("got %v after %d answers", err, len(answers))
	}
}

func TestScripts(t *testing.T) {
	for text, want := range map[string]string{
		"# nothing\n\n n # on\nbreak a\nb b\nskip\ns\ncontinue\ninspect\nhelp\n?\nquit\n": "",
		"n\njump": `f:2: "jump" is no command`, "b": "f:1: b wants one name: of a system call, a phase, a mechanism, or a field of config.json",
		"b a c": "f:1: b wants one name: of a system call, a phase, a mechanism, or a field of config.json", "n 3": "f:1: n takes no more words",
	} {
		s, err := ReadScript("f", strings.NewReader(text))
		if want == "" && (err != nil || len(s.commands) != 10) || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// keys is a stepper at a terminal.
func keys(t *testing.T) (*Stepper, *os.File, *os.File) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close(); slave.Close() })
	s, err := New(Options{In: slave, Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, master, slave
}

// A line is read up to its end and not a byte further; a word that is none asks again.
func TestKeys(t *testing.T) {
	s, master, slave := keys(t)
	if _, err := master.WriteString("what\ni\ns\n\nrest\n"); err != nil {
		t.Fatal(err)
	}
	for i, want := range []program.Answer{program.Skip, program.Go} {
		if a, err := s.Ask(context.Background(), stops()[1]); a != want || err != nil {
			t.Errorf("answer %d: %v, %v", i, a, err)
		}
	}
	rest := make([]byte, 10)
	if n, err := slave.Read(rest); string(rest[:n]) != "rest\n" || err != nil {
		t.Errorf("left for the container: %q, %v", rest[:n], err)
	}
}

// Who waits for an answer may be gone, the process may have died, a signal may come: no key is needed then.
func TestNobodyWaits(t *testing.T) {
	s, _, _ := keys(t)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := s.Ask(ctx, stops()[1]); !errors.Is(err, program.ErrEnded) {
		t.Errorf("cancelled: %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stop := stops()[1]
	stop.Pidfd = r
	time.AfterFunc(10*time.Millisecond, func() { w.Close() })
	if _, err := s.Ask(context.Background(), stop); !errors.Is(err, program.ErrEnded) {
		t.Errorf("dead: %v", err)
	}
	time.AfterFunc(10*time.Millisecond, func() { unix.Kill(os.Getpid(), unix.SIGINT) })
	for _, how := range []string{"waiting", "by then"} {
		_, err = s.Ask(context.Background(), stops()[1])
		if err == nil || err.Error() != "stopped by SIGINT before step 1 of 4 (sethostname, in the phase namespaces)" {
			t.Errorf("%s: %v", how, err)
		}
	}
}
