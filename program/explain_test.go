package program

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// phases is a small start: two phases, a slot used again, a descriptor of the host's.
func phases() []Phase {
	var b Builder
	b.From("hostname")
	b.Call(unix.SYS_SETHOSTNAME, "box", 3).Why("give the container a name of its own")
	b.From("root.path")
	fd := b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, "/", unix.O_PATH|unix.O_CLOEXEC).Why("hold the root").Keep()
	b.Close(fd)
	first := b.Program()
	var c Builder
	c.Call(unix.SYS_READ, Sync, Out(1), 1).Why("wait")
	again := c.Call(unix.SYS_OPENAT, unix.AT_FDCWD, "/tmp", unix.O_PATH).Why("hold /tmp").Keep()
	c.Call(unix.SYS_FCHDIR, again).Why("go there")
	c.Call(unix.SYS_CHROOT, "/none").Why("change the root")
	return []Phase{
		{Name: "prepare", Why: "Before the container is seen.", Host: []Request{{Call: `mkdirat(AT_FDCWD, "/sys/fs/cgroup/a", 0755)`, From: "linux.cgroupsPath", Why: "a group of its own"}}, Child: first},
		{Name: "start", Why: "The last steps.", Child: c.Program()},
	}
}

const planText = `plan: the kernel was not asked

-- prepare
   Before the container is seen.
 host             mkdirat(AT_FDCWD, "/sys/fs/cgroup/a", 0755)
                    a group of its own [linux.cgroupsPath]
    1             sethostname("box", 3)
                    give the container a name of its own [hostname]
    2             openat(AT_FDCWD, "/", O_RDONLY|O_CLOEXEC|O_PATH)
                    hold the root [root.path]
    3             close(<fd:2>)
                    done with it [root.path]

-- start
   The last steps.
    4             read(<sync>, <memory>, 1)
                    wait
    5             openat(AT_FDCWD, "/tmp", O_RDONLY|O_PATH)
                    hold /tmp
    6             fchdir(<fd:5>)
                    go there
    7             chroot("/none")
                    change the root
`

func TestWritePlan(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, Plan(phases()), Style{}); err != nil {
		t.Fatal(err)
	}
	if out.String() != planText {
		t.Errorf("got\n%s\nwant\n%s", out.String(), planText)
	}
}

// live is the start as it went: the last step was refused.
func live() []Account {
	ran := []Ran{{At: 1500 * time.Microsecond}, {Result: 7}, {}, {Result: 1, Out: [][]byte{{1}}}, {Result: 9}, {}, {Result: -int64(unix.ENOENT)}}
	host := [][]Done{{{Call: `mkdirat(AT_FDCWD, "/sys/fs/cgroup/a", 0755)`, Result: "0", Why: "a group of its own"}}}
	return Live(phases(), host, ran, Numbers{Sync: 5})
}

func TestWriteLive(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, live(), Style{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"    1   1.500 ms  sethostname(\"box\", 3) = 0\n", " = 7\n", "close(7) = 0\n", `read(5, "\1", 1) = 1`, "fchdir(9) = 0",
		"-1 ENOENT (No such file or directory)\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "plan:") || strings.Contains(out.String(), "\x1b") {
		t.Errorf("a plan, or coloured:\n%s", out.String())
	}
	out.Reset()
	if err := Write(&out, live(), Style{Colour: true}); err != nil || !strings.Contains(out.String(), red+`chroot("/none") = -1`) {
		t.Errorf("%v: the refused step is not red:\n%s", err, out.String())
	}
}

// Steps that did not come to run are not told, and phases without any neither.
func TestLiveStopsWhereTheStartDid(t *testing.T) {
	a := Live(phases(), nil, []Ran{{}, {Result: -int64(unix.ENOENT)}}, nil)
	if len(a) != 1 || len(a[0].Child) != 2 || !a[0].Child[1].Failed {
		t.Errorf("%+v", a)
	}
}

func TestFailedIsWhatTheInterpreterStopsAt(t *testing.T) {
	tolerant := Step{Call: unix.SYS_MKDIRAT, Tolerate: []unix.Errno{unix.EEXIST}}
	read := Step{Call: unix.SYS_READ, Args: []Arg{{}, {}, {Int: 1}}}
	for _, c := range []struct {
		step   Step
		result int64
		want   bool
	}{{tolerant, 0, false}, {tolerant, -int64(unix.EEXIST), false}, {tolerant, -int64(unix.EPERM), true}, {read, 1, false}, {read, 0, true}, {read, -int64(unix.EBADF), true}} {
		if got := c.step.refused(c.result); got != c.want {
			t.Errorf("%d of %d: %v", c.result, c.step.Call, got)
		}
	}
}

func TestJSONKeepsTheAccount(t *testing.T) {
	var out bytes.Buffer
	if err := WriteJSON(&out, live()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"phase": "prepare"`, `"call": "sethostname(\"box\", 3)"`, `"at_ns": 1500000`, `"result": "-1 ENOENT (No such file or directory)"`, `"failed": true`, `"from": "hostname"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %s:\n%s", want, out.String())
		}
	}
	var back []Account
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || !reflect.DeepEqual(back, live()) {
		t.Errorf("%v: read back as %+v", err, back)
	}
}

// TestScripts: a request for nft(8) has lines of its own, which stay, below one another.
func TestScripts(t *testing.T) {
	const script = "table inet a {\n\tset b { type mark; }\n}\nadd element inet a b { 1, 2 }\n"
	const want = `
-- network
 host             table inet a {
                    set b { type mark; }
                  }
                  add element inet a b { 1, 2 } = 0
                    who may
`
	var out bytes.Buffer
	if err := Write(&out, []Account{{Phase: "network", Host: []Done{{Call: script, Result: "0", Why: "who may"}}}}, Style{}); err != nil || out.String() != want {
		t.Errorf("%v: got\n%s\nwant\n%s", err, out.String(), want)
	}
}

func TestLongLinesAreBrokenAtArguments(t *testing.T) {
	var b Builder
	env := make([]string, 50)
	for i := range env {
		env[i] = "NAME_" + strings.Repeat("x", i%7) + "=a, b"
	}
	b.Call(unix.SYS_MOUNT, "a|b", "/c", nil, 0x3ffffff, "x|y, z")
	b.Call(unix.SYS_EXECVE, "/bin/sh", []string{"sh"}, env).Why("become %s", strings.Repeat("the container's first process ", 8))
	accounts := Plan([]Phase{{Name: "start", Child: b.Program()}})
	for _, full := range []bool{false, true} {
		var out bytes.Buffer
		if err := Write(&out, accounts, Style{Full: full}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if len(line) > 101 {
				t.Errorf("%d columns: %s", len(line), line)
			}
		}
		whole := strings.Join(strings.Fields(out.String()), "")
		if want := strings.ReplaceAll(accounts[0].Child[0].Call, " ", ""); !strings.Contains(whole, want) {
			t.Errorf("the broken lines are not %s:\n%s", want, out.String())
		}
		if strings.Contains(out.String(), ", ... 44 more])") == full || strings.Count(out.String(), "NAME_") != map[bool]int{true: 50, false: 6}[full] {
			t.Errorf("full %v:\n%s", full, out.String())
		}
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		call   uintptr
		result int64
		want   string
	}{
		{unix.SYS_EXIT_GROUP, 0, "?"}, {unix.SYS_UMASK, 0o22, "022"}, {unix.SYS_MOUNT, -19, "-1 ENODEV (No such device)"},
		{unix.SYS_MOUNT, -524, "-1 ENOTSUPP (Unknown error 524)"}, {unix.SYS_MOUNT, -4000, "-1 (errno 4000)"}, {0xfff, -38, "-1 ENOSYS (Function not implemented)"},
		{0xfff, 12, "12"},
	} {
		if got := (Step{Call: c.call}).Answer(c.result); got != c.want {
			t.Errorf("%d of %d: %s, not %s", c.result, c.call, got, c.want)
		}
	}
}

func TestRequestsTellWhatTheKernelAnswered(t *testing.T) {
	write := Request{Call: `write("/sys/fs/cgroup/a/memory.max", "1, 2", 4)`}
	take := Request{Call: `open_tree(AT_FDCWD, "/a", OPEN_TREE_CLONE)`, Gives: "<layer>"}
	make := Request{Call: `mkdirat(AT_FDCWD, "/sys/fs/cgroup/a", 0755)`}
	for _, c := range []struct {
		r      Request
		err    error
		want   string
		failed bool
	}{
		{write, nil, "4", false}, {take, nil, "<layer>", false}, {make, nil, "0", false},
		{make, Tolerated{unix.EEXIST}, "-1 EEXIST (File exists)", false},
		{make, fmt.Errorf("making it: %w", unix.EACCES), "-1 EACCES (Permission denied)", true},
		{take, unix.ENOENT, "-1 ENOENT (No such file or directory)", true}, {make, errors.New("no bus"), "no bus", true},
	} {
		if d := c.r.Done(c.err, 0); d.Result != c.want || d.Failed != c.failed {
			t.Errorf("%s, %v: %s, failed %v", c.r.Call, c.err, d.Result, d.Failed)
		}
	}
}

// Calls that the table does not have are still told.
func TestUnknownCall(t *testing.T) {
	s := Step{Call: 0xfff, Args: []Arg{{Int: 18}, {Kind: KindStr, Str: "a"}, {Kind: KindStrs, Strs: []string{"b"}}, {Kind: KindOut, Int: 4}}}
	if got, want := s.Text(planned(nil), nil), `syscall_0xfff(0x12, "a", ["b"], <memory>)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
