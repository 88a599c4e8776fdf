// Package why tells which of its causes a failure has. A kernel call has few error numbers and many reasons for each; the table here has the
// reasons that the manual pages and the kernel's source give, each with a test that reads the machine, or tries something that changes nothing, so
// that the true one can be told from those that are merely possible. Of a container it tells from what is recorded why it ended, or did not start.
package why

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Known is an error of a kernel call of which the causes are known.
type Known struct {
	Errno   unix.Errno
	Calls   []string // names of system calls, files and commands that are answered so; the first is the usual one
	Objects string   // what may be named after it, so that the tests are exact: "[NEW_ROOT [PUT_OLD]]"
	Manual  string
	Causes  []Cause
	tried   func(*probe) []string // what happens now if it is tried; nil: nothing can be tried without changing something
}

// Cause is one reason for it.
type Cause struct {
	Name  string // "no internal processes"
	Why   string // the kernel's rule
	Check string // a command that proves it
	Fix   string // what cures it
	Learn string // a lesson

	test    func(*probe) verdict
	refusal string // instead of a test: the kind of package binfmt's that it is
}

// Holds says whether a cause is the case here and now.
type Holds string

// The answers. A test that cannot see what it would have to see says so.
const (
	Yes     Holds = "holds here"
	Unknown Holds = "cannot be told from here"
	No      Holds = "does not hold here"
)

// verdict is what a test has found, and where.
type verdict struct {
	holds    Holds
	evidence []string
}

func yes(format string, a ...any) verdict { return verdict{Yes, []string{fmt.Sprintf(format, a...)}} }
func no(format string, a ...any) verdict  { return verdict{No, []string{fmt.Sprintf(format, a...)}} }
func unknown(format string, a ...any) verdict {
	return verdict{Unknown, []string{fmt.Sprintf(format, a...)}}
}

// when is a test's usual end.
func when(holds bool, format string, a ...any) verdict {
	if holds {
		return yes(format, a...)
	}
	return no(format, a...)
}

// Tested is a cause with what its test has found.
type Tested struct {
	Name     string
	Holds    Holds
	Why      string
	Evidence []string `json:",omitempty"`
	Check    string   `json:",omitempty"`
	Fix      string   `json:",omitempty"`
	Learn    string   `json:",omitempty"`
}

// Answer is what is known of one error of one call, the causes that hold first.
type Answer struct {
	Errno   string
	Number  int
	Message string
	Call    string
	Objects []string `json:",omitempty"`
	In      string   `json:",omitempty"` // the process that makes the call; empty: this one
	Manual  string
	Tried   []string `json:",omitempty"`
	Causes  []Tested

	usage string // the objects that could make it exact
}

// ask tests the causes.
func (k *Known) ask(p *probe, call string) *Answer {
	e := meaning(k.Errno)
	a := &Answer{Errno: e.Name, Number: e.Number, Message: e.Message, Call: call, Objects: p.objects, Manual: k.Manual, usage: k.Objects}
	if !p.self() {
		a.In = p.pid
	}
	for _, c := range k.Causes {
		v := verdict{holds: Unknown}
		switch {
		case c.test != nil:
			v = c.test(p)
		case c.refusal != "":
			v = refused(p, c.refusal)
		}
		a.Causes = append(a.Causes, Tested{Name: c.Name, Holds: v.holds, Why: c.Why, Evidence: v.evidence, Check: c.Check, Fix: c.Fix, Learn: c.Learn})
	}
	order := []Holds{Yes, Unknown, No}
	slices.SortStableFunc(a.Causes, func(x, y Tested) int { return slices.Index(order, x.Holds) - slices.Index(order, y.Holds) })
	return a
}

// True are the causes that hold.
func (a *Answer) True() []Tested {
	i := slices.IndexFunc(a.Causes, func(t Tested) bool { return t.Holds != Yes })
	if i < 0 {
		i = len(a.Causes)
	}
	return a.Causes[:i]
}
