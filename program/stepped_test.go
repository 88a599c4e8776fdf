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
	for _, d := range unasked(steps()) { // made unasked: the child still holds the host's end
		next = append(next, d.Why)
	}
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
	if want := []int{1, 1, 3, 1, 3}; !slices.Equal(groups, want) { // the fork with the gate behind it, the filter with both execve
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
	if ran := len(p.Ran()); ran < 3 || ran > 4 {
		t.Errorf("%d steps ran, want two and at least the first half of a question", ran)
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

// A step that is skipped is not made, and told as skipped. One whose result others need cannot be.
func TestSteppedSkips(t *testing.T) {
	var b Builder
	b.Begin()
	b.Call(unix.SYS_CHDIR, "/nonexistent").Why("go nowhere")
	fd := b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, "/", unix.O_PATH|unix.O_CLOEXEC, 0).Why("hold the root").Keep()
	b.Call(unix.SYS_FCHDIR, fd).Why("go there")
	b.Call(unix.SYS_EXECVE, "/bin/true", []string{"true"}, []string{}).Why("become the process")
	phases := []Phase{{Name: "only", Child: b.Program()}}
	for number, want := range map[int]string{3: "", 4: "step 4 cannot be skipped: a later step needs the descriptor that it returns"} {
		stepped := Stepped(phases)
		p, err := Start(Whole(stepped), Clone{}, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		p.Ask(func(s Stop) (Answer, error) {
			if s.Number == 3 || s.Number == number {
				return Skip, nil
			}
			return Go, nil
		})
		err = p.Finish()
		if want != "" {
			if err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			p.Kill()
			continue
		}
		reap(p.Pid)
		if err != nil {
			t.Fatal(err)
		}
		told := Live(stepped, nil, p.Ran(), p.Numbers())[0].Child
		if len(told) != 6 || told[2].Result != Skipped || told[2].Failed || told[4].Result != "0" {
			t.Errorf("told %+v", told)
		}
		if err := Compare(told, nil); err == nil || len(err.(Disagreement)) != 5 {
			t.Errorf("without the step that was skipped five were made: %v", err)
		}
	}
}

// A child that is killed while it waits for an answer ends the start, which names the step before which it was.
func TestSteppedKilled(t *testing.T) {
	var b Builder
	b.Begin()
	b.Call(unix.SYS_UMASK, 0).Why("open up")
	b.Call(unix.SYS_EXECVE, "/bin/true", []string{"true"}, []string{}).Why("become the process")
	p, err := Start(Whole(Stepped([]Phase{{Child: b.Program()}})), Clone{}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	p.Ask(func(s Stop) (Answer, error) {
		if s.Number < 3 {
			return Go, nil
		}
		if s.Pid != p.Pid || s.Next[0].Why != "open up" {
			t.Errorf("at step 3: %+v", s)
		}
		if err := unix.PidfdSendSignal(int(s.Pidfd.Fd()), unix.SIGKILL, nil, 0); err != nil {
			t.Error(err)
		}
		poll := []unix.PollFd{{Fd: int32(s.Pidfd.Fd()), Events: unix.POLLIN}}
		if n, err := unix.Poll(poll, 10000); n != 1 {
			t.Errorf("it does not end: %v", err)
		}
		return Go, ErrEnded
	})
	want := "the container's process was killed before step 3 (open up) while the host waited for your answer"
	if err := p.Finish(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	reap(p.Pid)
}

// The host's requests are asked for as well: each is told with its answer, a skipped one is not made and not taken back, and quitting is no
// failure of the kernel's.
func TestSteppingRequests(t *testing.T) {
	var asked []Stop
	var done, undone []string
	answers := map[string]Answer{"two()": Skip}
	s := NewStepping(func(s Stop) (Answer, error) {
		asked = append(asked, s)
		if s.Next[0].Call == "four()" {
			return Go, &Quit{Where: "the end"}
		}
		return answers[s.Next[0].Call], nil
	})
	s.In("alpha")
	l := Ledger{Step: s}
	request := func(call string) Request {
		return Request{Call: call, Do: func() error { done = append(done, call); return nil }, Undo: func() error { undone = append(undone, call); return nil }}
	}
	bound := request("five()")
	bound.Gives = "<fd>"
	err := l.Carry(request("one()"), request("two()"), request("three()"), request("four()"), bound)
	var quit *Quit
	var refused *HostFailure
	if !errors.As(err, &quit) || errors.As(err, &refused) || err.Error() != "stopped before the end, as you asked for" {
		t.Errorf("got %v", err)
	}
	if want := []string{"one()", "three()"}; !slices.Equal(done, want) || l.Back() != nil || !slices.Equal(undone, []string{"three()", "one()"}) {
		t.Errorf("done %q, want %q; undone %q", done, want, undone)
	}
	told := l.Account("alpha", "").Host
	if len(told) != 3 || told[1].Result != Skipped || told[1].Failed {
		t.Errorf("told %+v", told)
	}
	if len(asked) != 4 || asked[2].Gave[0].Result != Skipped || asked[3].Request != 4 || asked[3].Requests != 5 || asked[3].Phase != "alpha" {
		t.Errorf("asked %+v", asked)
	}
	answers["five()"] = Skip
	if err := l.Carry(bound); err == nil || err.Error() != "five() cannot be skipped: a later request needs what it returns" {
		t.Errorf("got %v", err)
	}
}
