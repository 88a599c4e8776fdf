package program

import (
	"errors"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// steps is a start through a gate, with a second clone and a filter.
func steps() []Phase {
	var b Builder
	b.Begin()
	fd := b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, "/", unix.O_PATH|unix.O_CLOEXEC, 0).Why("hold the root").Keep()
	b.Call(unix.SYS_UNSHARE, unix.CLONE_NEWPID).Why("new PID namespace")
	b.Fork("enter it")
	b.Gate("created", "wait for start")
	first := len(b.Program())
	b.Call(unix.SYS_FCHDIR, fd).Why("go there")
	allow := []byte{6, 0, 0, 0, 0, 0, 0xff, 0x7f} // ret SECCOMP_RET_ALLOW
	b.Call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, Filter(allow)).Why("filter")
	b.Call(unix.SYS_EXECVE, "/nonexistent", []string{"sh"}, []string{}).Why("become nothing").Tolerate(unix.ENOENT)
	b.Call(unix.SYS_EXECVE, "/bin/sh", []string{"sh", "-c", "test $$ = 1 && exit 7"}, []string{}).Why("become the process")
	return []Phase{{Name: "one", Child: b.Program()[:first]}, {Name: "two", Child: b.Program()[first:]}}
}

// Each step is asked for and told with its answer, in order; what cannot be stopped at comes with the step before it.
func TestStepped(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a PID namespace")
	}
	plain := Whole(steps())
	p, err := Start(Whole(Stepped(steps())), Clone{}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	var next, gave []string
	var groups []int
	p.Ask(func(s Stop) (Answer, error) {
		if s.Number != len(next)+1 {
			t.Errorf("the stop after %d steps is before step %d", len(next), s.Number)
		}
		groups = append(groups, len(s.Next))
		for _, d := range s.Next {
			next = append(next, d.Why)
		}
		for _, d := range s.Gave {
			gave = append(gave, d.Why)
			if d.Result == "" {
				t.Errorf("nothing is told of what %q gave", d.Why)
			}
		}
		return Go, nil
	})
	for _, f := range []func() error{func() error { return p.Reach("created") }, p.Pass, p.Finish} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(p.Pid, &status, 0, nil); err != nil || status.ExitStatus() != 7 {
		t.Fatalf("wait: %v, exit status %d, want 7", err, status.ExitStatus())
	}
	var all []string
	for _, s := range plain {
		all = append(all, s.Why)
	}
	if !slices.Equal(next, all) {
		t.Errorf("asked for %q, want %q", next, all)
	}
	if want := []int{1, 1, 1, 1, 3, 1, 3}; !slices.Equal(groups, want) { // the fork with the gate behind it, the filter with both execve
		t.Errorf("%v steps at each stop, want %v", groups, want)
	}
	if want := all[:len(all)-3]; !slices.Equal(gave, want) {
		t.Errorf("told of %q, want %q", gave, want)
	}
}

// An answer that is an error ends the start with that error. A step that fails keeps the number that it has in the plan.
func TestSteppedEnds(t *testing.T) {
	enough := errors.New("enough")
	p, err := Start(Whole(Stepped(steps())), Clone{}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	p.Ask(func(s Stop) (Answer, error) {
		if s.Number == 3 {
			return Go, enough
		}
		return Go, nil
	})
	if err := p.Reach("created"); err != enough {
		t.Errorf("got %v, want %v", err, enough)
	}
	p.Kill()
	if ran := len(p.Ran()); ran < 7 || ran > 8 {
		t.Errorf("%d steps ran, want two with their questions and at least the first half of a third question", ran)
	}

	var b Builder
	b.Begin()
	b.Call(unix.SYS_CHDIR, "/nonexistent").Why("go nowhere")
	p, err = Start(Whole(Stepped([]Phase{{Child: b.Program()}})), Clone{}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	p.Ask(func(Stop) (Answer, error) { return Go, nil })
	var f *Failure
	if err := p.Finish(); !errors.As(err, &f) || f.Index != 2 || f.Errno != unix.ENOENT {
		t.Errorf("got %v, want the failure of step 3", err)
	}
	reap(p.Pid)
}
