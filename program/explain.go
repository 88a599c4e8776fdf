package program

import (
	"fmt"
	"strconv"
	"time"

	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// Ran is what the kernel answered to one step.
type Ran struct {
	Result int64         // as the call returned it: -errno for a failure; 0 for an execve that succeeded; skipped
	At     time.Duration // since the start; 0 where no clock can be read without a system call
	Out    [][]byte      // what the kernel left in the step's Out arguments, in their order
}

// Numbers are the descriptors that the child inherits, known once it is made.
type Numbers map[Host]int

// Resolver says which number stands in a register that only a run knows: a KindHost or KindSlot argument. Where
// nobody knows, name is what to print instead.
type Resolver func(Arg) (value int64, name string)

// Plan is the account of phases that nobody carried out.
func Plan(phases []Phase) []Account {
	p, next := Whole(phases), 0
	var accounts []Account
	for _, ph := range phases {
		a := Account{Phase: ph.Name, Why: ph.Why, Plan: true}
		for _, r := range ph.Host {
			a.Host = append(a.Host, Done{Call: r.Call, From: r.From, Why: r.Why})
		}
		for _, s := range ph.Child {
			a.Child = append(a.Child, Done{Call: s.Text(planned(p[:next]), nil), From: s.From, Why: s.Why, Gate: s.Gate})
			next++
		}
		accounts = append(accounts, a)
	}
	return accounts
}

// Live is the account of phases that were carried out as far as ran goes: it holds the answers to the first
// steps of all phases' programs taken together. The questions of a start that is stepped are left out: they say nothing of it. host are the requests that the host carried out, phase by phase.
func Live(phases []Phase, host [][]Done, ran []Ran, numbers Numbers) []Account {
	p, next := Whole(phases), 0
	var accounts []Account
	for i, ph := range phases {
		a := Account{Phase: ph.Name, Why: ph.Why}
		if i < len(host) {
			a.Host = host[i]
		}
		for _, s := range ph.Child {
			if next < len(ran) && !p.asks(next) {
				a.Child = append(a.Child, s.Done(resolved(p[:next], ran, numbers), &ran[next]))
			}
			next++
		}
		if len(a.Host)+len(a.Child) > 0 {
			accounts = append(accounts, a)
		}
	}
	return accounts
}

// Done is the step after it ran.
func (s Step) Done(names Resolver, ran *Ran) Done {
	return Done{Call: s.Text(names, ran), Result: s.Answer(ran.Result), From: s.From, Why: s.Why, At: ran.At, Gate: s.Gate, Failed: s.refused(ran.Result)}
}

// Text is the call as `strace -v -s 65536` prints it, without the result. ran is nil before it ran; then, and after a
// failure, memory that the kernel would fill is printed as "<memory>", where strace has its address.
func (s Step) Text(names Resolver, ran *Ran) string {
	p := printer{step: s, names: names, ran: ran}
	return p.call()
}

// Answer is the result as strace prints it: "0", "3", "-1 ENOENT (No such file or directory)".
func (s Step) Answer(r int64) string {
	form := linux.Result{}
	if c := linux.Lookup(s.Call); c != nil {
		form = s.form(c)
	}
	switch {
	case r == skipped:
		return Skipped
	case form.Form == linux.Never:
		return "?"
	case r < 0 && r >= -4095:
		return refused(-r)
	}
	return answer(form, uint64(r))
}

// form is how the result of this variant of the call is written.
func (s Step) form(c *linux.Call) linux.Result {
	if c.By >= len(s.Args) || s.Args[c.By].Kind != KindInt {
		return c.Result
	}
	_, form := c.Of(uint64(uint32(s.Args[c.By].Int)))
	return form
}

func answer(form linux.Result, r uint64) string {
	text := ""
	switch form.Form {
	case linux.OctalMode:
		return linux.Octal(r)
	case linux.HexSet:
		if r != 0 {
			text = form.Prefix + form.Names.Join(r, "")
		}
		return comment(linux.Hex(r), text)
	case linux.HexNumber:
		return linux.Hex(r)
	case linux.HexOpen:
		return comment(linux.Hex(r), "flags "+openFlags(r))
	case linux.HexPersonality:
		return comment(linux.Hex(r), personality(r))
	case linux.DecimalOne:
		text = form.Names.Of(r)
	}
	return comment(strconv.FormatUint(r, 10), text)
}

func comment(number, text string) string {
	if text == "" {
		return number
	}
	return number + " (" + text + ")"
}

// refused reports whether the interpreter stopped at this answer: an error that the step does not tolerate, or a
// read or write of less than it asked for.
func (s Step) refused(r int64) bool {
	if r == skipped {
		return false
	}
	if r < 0 && r >= -4095 {
		for _, e := range s.Tolerate {
			if unix.Errno(-r) == e {
				return false
			}
		}
		return true
	}
	whole := (s.Call == unix.SYS_READ || s.Call == unix.SYS_WRITE) && len(s.Args) > 2 && s.Args[2].Kind == KindInt
	return whole && uint64(r) != s.Args[2].Int
}

// Whole is what the child does in all phases: the program that its slots belong to.
func Whole(phases []Phase) Program {
	var all Program
	for _, ph := range phases {
		all = append(all, ph.Child...)
	}
	return all
}

// planned names descriptors that no run has numbered: <sync>, and <fd:12> for what step 12 will return. before are the
// steps ahead of the one that is written.
func planned(before Program) Resolver {
	return func(a Arg) (int64, string) {
		if a.Kind == KindHost {
			return 0, "<" + a.Str + beside(int(a.Int)) + ">"
		}
		return 0, "<fd:" + strconv.Itoa(maker(before, Slot(a.Int))+1) + ">"
	}
}

func beside(by int) string {
	if by == 0 {
		return ""
	}
	return fmt.Sprintf("%+d", by)
}

func resolved(before Program, ran []Ran, numbers Numbers) Resolver {
	unknown := planned(before)
	return func(a Arg) (int64, string) {
		if a.Kind == KindHost {
			if n, ok := numbers[Host(a.Str)]; ok {
				return int64(n) + int64(a.Int), ""
			}
			return unknown(a)
		}
		if i := maker(before, Slot(a.Int)); i >= 0 && i < len(ran) {
			return ran[i].Result, ""
		}
		return unknown(a)
	}
}

// maker is the index of the last step that filled the slot, -1 if there is none: slots are used again.
func maker(before Program, slot Slot) int {
	for i := len(before) - 1; i >= 0; i-- {
		if before[i].Result == slot {
			return i
		}
	}
	return -1
}

// Call is step i of a program as it would be, or was, made: for an error. ran are the answers so far.
func (p Program) Call(i int, ran []Ran, numbers Numbers) string {
	names := resolved(p[:i], ran, numbers)
	if i < len(ran) {
		return p[i].Text(names, &ran[i])
	}
	return p[i].Text(names, nil)
}
