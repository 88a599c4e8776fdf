package trace

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"glassbox/program"
	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// TestMain is also the tracer, which must have no other children.
func TestMain(m *testing.M) {
	if os.Getenv("TRACE_TEST") == "tracer" {
		follow()
	}
	os.Exit(m.Run())
}

// waiting is a process of one thread that waits at a gate, the end of its standard input's first line, and then becomes the program. Go's have
// many threads.
func waiting(dir string, args ...string) *exec.Cmd {
	c := exec.Command("/bin/sh", append([]string{"-c", `read word; exec "$@"`, "sh"}, args...)...)
	c.Dir, c.Env = dir, environment
	return c
}

var environment = []string{"PATH=/bin:/usr/bin"}

// told is what a sink was told, one JSON line each.
type told struct {
	Pid    int
	Call   string `json:",omitempty"`
	Result string `json:",omitempty"`
	Event  string `json:",omitempty"`
}

type lines struct{ *json.Encoder }

func (l lines) Call(t Task, d program.Done) {
	l.Encode(told{Pid: t.Pid, Call: d.Call, Result: d.Result})
}
func (l lines) Signal(t Task, s unix.Signal, from string) {
	l.Encode(told{Pid: t.Pid, Event: unix.SignalName(s) + " from " + from})
}
func (l lines) End(t Task, how string) { l.Encode(told{Pid: t.Pid, Event: how}) }

func follow() {
	pid, _ := strconv.Atoi(os.Args[1])
	only, err := Select(os.Args[2])
	if err == nil {
		err = Follow(pid, Options{Only: only, Most: 80}, lines{json.NewEncoder(os.Stdout)}, func() error {
			_, err := os.NewFile(3, "ready").WriteString("x")
			return err
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// traced runs a program that is followed, and returns what was told.
func traced(t *testing.T, dir, only string, args ...string) []told {
	t.Helper()
	need.Root(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	waiting := waiting(dir, args...)
	gate, err := waiting.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := waiting.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { waiting.Process.Kill(); waiting.Wait() })
	ready, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	tracer := exec.Command(self, strconv.Itoa(waiting.Process.Pid), only)
	tracer.Env = []string{"TRACE_TEST=tracer"}
	tracer.ExtraFiles = []*os.File{tell}
	var out, complaint bytes.Buffer
	tracer.Stdout, tracer.Stderr = &out, &complaint
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	tell.Close()
	if n, _ := ready.Read(make([]byte, 1)); n == 0 {
		tracer.Wait()
		t.Fatalf("the tracer does not follow: %s", &complaint)
	}
	gate.Write([]byte("x\n"))
	gate.Close()
	waiting.Wait()
	if err := tracer.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &complaint)
	}
	var all []told
	for d := json.NewDecoder(&out); ; {
		var one told
		if err := d.Decode(&one); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

// straced is what strace sees of the same program.
func straced(t *testing.T, dir string, args ...string) []program.Traced {
	t.Helper()
	need.Program(t, "strace")
	file := t.TempDir() + "/trace"
	c := exec.Command("strace", append([]string{"-f", "-s", "80", "-e", "abbrev=!execve", "-o", file}, waiting(dir, args...).Args...)...)
	c.Dir, c.Env = dir, environment
	c.Run() // its exit code is the program's
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := program.Trace(f)
	if err != nil {
		t.Fatal(err)
	}
	gate := slices.IndexFunc(all[1:], func(c program.Traced) bool { return strings.HasPrefix(c.Call, "execve(") && c.Result == "0" })
	return all[gate+2:]
}

// The same programs followed and under strace, both ways: task by task, call by call, argument by argument. What differs from run to run is
// masked: addresses, and numbers of processes. A structure that we show by its address may be anything.
func TestTraceIsWhatStraceSees(t *testing.T) {
	need.Program(t, "busybox")
	for name, script := range map[string]string{
		"files":    `echo hello > f; cat f; mkdir -p d/e; ln -s f d/l; mv f g; chmod 600 g; ls -l d >/dev/null; rm -r d; cat nothing; exit 3`,
		"network":  `wget -q -O - http://127.0.0.1:1/; hostname; uname -a`,
		"children": `sleep 0.01; (exit 4); kill -TERM $$; true`,
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"/bin/busybox", "sh", "-c", script}
			dir := t.TempDir()
			ours := texts(traced(t, fresh(t, dir), "all", args...))
			theirs := seen(straced(t, fresh(t, dir), args...))
			compare(t, ours, theirs)
			if !t.Failed() && len(ours[0]) < 10 {
				t.Errorf("only %d calls were told of", len(ours[0]))
			}
		})
	}
}

func fresh(t *testing.T, dir string) string {
	t.Helper()
	work := dir + "/work"
	if err := errors.Join(os.RemoveAll(work), os.Mkdir(work, 0o755)); err != nil {
		t.Fatal(err)
	}
	return work
}

// TestComparisonCanFail: a call less, and another argument, are noticed.
func TestComparisonCanFail(t *testing.T) {
	same := func(ours, theirs []string) bool {
		var probe complaints
		compare(&probe, [][]string{ours}, [][]string{theirs})
		return probe == 0
	}
	list := []string{`close(3) = 0`, `openat(AT_FDCWD, "/etc", O_RDONLY) = 3`}
	if !same(list, list) || same(list[:1], list) || same(list, list[:1]) || same(list, []string{list[0], strings.Replace(list[1], "etc", "usr", 1)}) {
		t.Error("the comparison does not tell lists apart")
	}
}

// complaints counts them.
type complaints int

func (c *complaints) Errorf(string, ...any) { *c++ }
func (c *complaints) Helper()               {}

// texts are the calls of each task, in the order in which the tasks appear.
func texts(all []told) [][]string {
	var order []int
	calls := map[int][]string{}
	for _, one := range all {
		if one.Call == "" {
			continue
		}
		if calls[one.Pid] == nil {
			order = append(order, one.Pid)
		}
		calls[one.Pid] = append(calls[one.Pid], one.Call+" = "+one.Result)
	}
	return grouped(order, calls)
}

func seen(all []program.Traced) [][]string {
	var order []int
	calls := map[int][]string{}
	for _, one := range all {
		if calls[one.Pid] == nil {
			order = append(order, one.Pid)
		}
		calls[one.Pid] = append(calls[one.Pid], one.Call+" = "+one.Result)
	}
	return grouped(order, calls)
}

// grouped masks the numbers of the tasks, which each list has its own of. A task that forks tells of it after the child has begun, so that
// tasks are put into the order of their numbers.
func grouped(order []int, calls map[int][]string) [][]string {
	slices.Sort(order)
	var all [][]string
	for _, pid := range order {
		var lines []string
		for _, line := range calls[pid] {
			for i, other := range order {
				line = regexp.MustCompile(`\b`+strconv.Itoa(other)+`\b`).ReplaceAllString(line, fmt.Sprintf("TASK%d", i))
			}
			// When SIGCHLD comes is a matter of the moment: before a wait4 returns, or after.
			if !strings.Contains(line, "? ERESTART") && !strings.Contains(line, "? (interrupted") && !strings.HasPrefix(line, "rt_sigreturn(") {
				lines = append(lines, line)
			}
		}
		all = append(all, lines)
	}
	return all
}

func compare(t interface {
	Errorf(string, ...any)
	Helper()
}, ours, theirs [][]string) {
	t.Helper()
	if len(ours) != len(theirs) {
		t.Errorf("%d tasks were told of, strace saw %d", len(ours), len(theirs))
		return
	}
	for task := range ours {
		for i := range max(len(ours[task]), len(theirs[task])) {
			if i >= len(ours[task]) || i >= len(theirs[task]) || !agree(ours[task][i], theirs[task][i]) {
				t.Errorf("task %d, call %d:\n  told %s\n  seen %s", task, i, at(ours[task], i), at(theirs[task], i))
				return
			}
		}
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "(nothing)"
}

var (
	address = regexp.MustCompile(`0x[0-9a-f]+|<memory>`)
	clones  = regexp.MustCompile(`^(clone|rseq|prlimit64|getrandom|clock_nanosleep|set_robust_list|futex|sendto|recvfrom|getdents64|ioctl|arch_prctl|rt_sigaction|sysinfo)\(`)
)

// agree: where we show an address strace may show what is there.
func agree(told, seen string) bool {
	if told == seen || strings.HasPrefix(told, "getppid()") && strings.HasPrefix(seen, "getppid()") {
		return true
	}
	if m := clones.FindString(told); m != "" && strings.HasPrefix(seen, m) && clones.FindString(seen) == m {
		told, seen = m+result(told), m+result(seen) // written otherwise by us, or not the same twice
	}
	pattern := regexp.QuoteMeta(told)
	pattern = address.ReplaceAllString(pattern, `(0x[0-9a-f]+|NULL|"(\\.|[^"])*"(\.\.\.)?|\{.*\}|\[.*\])( /\* .* \*/)?`)
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(seen)
}

func result(line string) string { return line[strings.LastIndex(line, " = "):] }

// A signal says who sent it, an end how it came, and the tracer's death leaves the program alone.
func TestSignalsAndEnds(t *testing.T) {
	need.Program(t, "busybox")
	all := traced(t, t.TempDir(), "process", "/bin/busybox", "sh", "-c", "kill -TERM $$")
	if last := all[len(all)-1]; last.Event != "ended by SIGTERM" {
		t.Errorf("the last event is %+v", last)
	}
	if !slices.ContainsFunc(all, func(one told) bool { return strings.HasPrefix(one.Event, "SIGTERM from process ") }) {
		t.Errorf("nobody sent SIGTERM: %+v", all)
	}
	for _, one := range all {
		if name, _, _ := strings.Cut(one.Call, "("); one.Call != "" && !inClass("process", name) {
			t.Errorf("%s is not of the class that was asked for", one.Call)
		}
	}
}

func TestTracerThatIsKilledLetsGo(t *testing.T) {
	need.Root(t)
	need.Program(t, "busybox")
	self, _ := os.Executable()
	waiting := waiting("/", "/bin/busybox", "sh", "-c", "while read line; do echo got $line; done")
	in, _ := waiting.StdinPipe()
	out, _ := waiting.StdoutPipe()
	if err := waiting.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { waiting.Process.Kill(); waiting.Wait() }()
	ready, tell, _ := os.Pipe()
	tracer := exec.Command(self, strconv.Itoa(waiting.Process.Pid), "all")
	tracer.Env, tracer.ExtraFiles = []string{"TRACE_TEST=tracer"}, []*os.File{tell}
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	tell.Close()
	ready.Read(make([]byte, 1))
	lines := bufio.NewReader(out)
	fmt.Fprint(in, "x\none\n")
	if line, _ := lines.ReadString('\n'); line != "got one\n" {
		t.Fatalf("while it is followed it says %q", line)
	}
	tracer.Process.Kill()
	tracer.Wait()
	fmt.Fprint(in, "two\n")
	done := make(chan string, 1)
	go func() { line, _ := lines.ReadString('\n'); done <- line }()
	select {
	case line := <-done:
		if line != "got two\n" {
			t.Errorf("afterwards it says %q", line)
		}
	case <-time.After(10 * time.Second):
		t.Error("it is stuck")
	}
}

func TestSelect(t *testing.T) {
	s, err := Select("file,brk")
	if err != nil || !s.Has("openat") || !s.Has("brk") || s.Has("mmap") || s.Has("close") {
		t.Errorf("file,brk: %v, %v", s, err)
	}
	if s, err := Select("all"); err != nil || !s.Has("close") {
		t.Errorf("all: %v, %v", s, err)
	}
	if _, err := Select("file,nonsense"); err == nil || !strings.Contains(err.Error(), "nonsense") || !strings.Contains(err.Error(), "network") {
		t.Errorf("nonsense: %v", err)
	}
}
