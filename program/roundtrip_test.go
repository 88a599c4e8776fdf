package program

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// The round trip: a process under strace makes the calls of askings one after the other, with arguments that change
// nothing, and what we write of each must be what strace wrote, whole lines.

func TestMain(m *testing.M) {
	if file := os.Getenv("GLASSBOX_ASK"); file != "" {
		if err := ask(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// mark is a call that nobody else makes: our calls lie between two of them.
const mark = "fcntl(-4242, F_GETFD)"

// ask makes the calls with the frozen program's own arguments and keeps the answers in file.
func ask(file string) error {
	runtime.LockOSThread()
	p := askings()
	f, err := freeze(p, Numbers{"nowhere": 4711}, nil)
	if err != nil {
		return err
	}
	debug.SetGCPercent(-1)
	answers := make([]Ran, len(p))
	unix.RawSyscall(unix.SYS_FCNTL, ^uintptr(4241), unix.F_GETFD, 0)
	for i := range f.code {
		in := &f.code[i]
		args := in.args
		for a := range args {
			if in.inSlots&(1<<a) != 0 {
				args[a] = f.state.slots[args[a]]
			}
		}
		r, _, errno := unix.RawSyscall6(in.call, args[0], args[1], args[2], args[3], args[4], args[5])
		if answers[i].Result = int64(r); errno != 0 {
			answers[i].Result = -int64(errno)
		}
		f.state.slots[in.result] = uintptr(answers[i].Result)
	}
	unix.RawSyscall(unix.SYS_FCNTL, ^uintptr(4241), unix.F_GETFD, 0)
	for i := range answers {
		answers[i].Out = f.out(i, p[i])
	}
	b, err := json.Marshal(answers)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}

// asked runs ask under strace and returns our account of it and strace's.
func asked(t *testing.T) ([]Done, []Traced) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: runs in a mount namespace of its own")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("needs strace")
	}
	answers, trace := filepath.Join(t.TempDir(), "answers"), filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", "-f", "-v", "-s", "65536", "-o", trace, os.Args[0])
	cmd.Env = append(os.Environ(), "GLASSBOX_ASK="+answers, "GODEBUG=asyncpreemptoff=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var ran []Ran
	b, err := os.ReadFile(answers)
	if err == nil {
		err = json.Unmarshal(b, &ran)
	}
	if err != nil {
		t.Fatal(err)
	}
	phases := []Phase{{Name: "asked", Child: askings()}}
	told := Live(phases, nil, ran, Numbers{"nowhere": 4711})[0].Child
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	calls, err := Trace(f)
	if err != nil {
		t.Fatal(err)
	}
	return told, between(t, calls)
}

// between is what the thread that made the marks did between them.
func between(t *testing.T, calls []Traced) []Traced {
	t.Helper()
	var own []Traced
	pid, marks := 0, 0
	for _, c := range calls {
		switch {
		case c.Call == mark:
			pid = c.Pid
			marks++
		case marks == 1 && c.Pid == pid:
			own = append(own, c)
		}
	}
	if marks != 2 {
		t.Fatalf("%d marks in the trace", marks)
	}
	return own
}

func TestTextIsWhatStracePrints(t *testing.T) {
	told, seen := asked(t)
	if err := Compare(told, seen); err != nil {
		t.Fatal(err)
	}
	if len(told) < 200 {
		t.Fatalf("only %d calls were compared", len(told))
	}
}

// Each step of the account dropped, doubled, swapped and altered in turn: the comparison must see it.
func TestCompareSeesSabotage(t *testing.T) {
	told, seen := asked(t)
	for name, sabotage := range map[string]func(i int) []Done{
		"drop":   func(i int) []Done { return append(clone(told[:i]), told[i+1:]...) },
		"double": func(i int) []Done { return append(append(clone(told[:i+1]), told[i]), told[i+1:]...) },
		"swap": func(i int) []Done {
			all := clone(told)
			all[i], all[(i+1)%len(all)] = all[(i+1)%len(all)], all[i]
			return all
		},
		"alter an argument": func(i int) []Done {
			all := clone(told)
			all[i].Call = strings.Replace(all[i].Call, "(", "(1", 1)
			return all
		},
		"alter the result": func(i int) []Done {
			all := clone(told)
			all[i].Result += "7"
			return all
		},
	} {
		for i := range told {
			if name == "swap" && line(told[i]) == line(told[(i+1)%len(told)]) {
				continue
			}
			if Compare(sabotage(i), seen) == nil {
				t.Errorf("%s step %d: not seen: %s", name, i+1, line(told[i]))
			}
		}
	}
}

func clone(d []Done) []Done { return append([]Done(nil), d...) }

// words lays numbers out as a struct: uint32 as four bytes, uint64 as eight, a string as its bytes.
func words(fields ...any) []byte {
	var b bytes.Buffer
	for _, f := range fields {
		switch v := f.(type) {
		case int:
			binary.Write(&b, binary.NativeEndian, uint64(v))
		case string:
			b.WriteString(v)
		default:
			binary.Write(&b, binary.NativeEndian, v)
		}
	}
	return b.Bytes()
}

// Every call of the table, and every variant of those that are many in one, is among what the round trip asks.
func TestEveryCallIsAsked(t *testing.T) {
	asked := map[string]bool{}
	for _, s := range askings() {
		asked[fmt.Sprint(s.Call)] = true
		if c := linux.Lookup(s.Call); c != nil && len(c.Variants) > 0 {
			asked[fmt.Sprint(s.Call, " ", uint32(s.Args[c.By].Int))] = true
		}
	}
	ends := map[string]bool{"exit": true, "exit_group": true, "fork": true, "vfork": true} // not survived, or survived twice
	for nr := range uintptr(1000) {
		c := linux.Lookup(nr)
		if c == nil || ends[c.Name] || linux.Ordinary(nr) { // package trace asks the ordinary ones
			continue
		}
		if !asked[fmt.Sprint(nr)] {
			t.Errorf("%s is not asked", c.Name)
		}
		for _, v := range c.Variants {
			if !asked[fmt.Sprint(nr, " ", uint32(v.Value))] {
				t.Errorf("%s %s is not asked", c.Name, c.Args[c.By].Names.Pick(v.Value, ""))
			}
		}
	}
}
