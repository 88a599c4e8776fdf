package fields

import (
	"strings"
	"testing"

	"glassbox/test/bundle"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// row is one value of a field, or one way to get it wrong.
type row struct {
	name    string
	here    bool // on this machine only: another row of its field asks the second kernel
	needs   []feature
	prepare func(t *testing.T, b *box) // makes what the row needs beside config.json; may change the spec too
	edit    func(*specs.Spec)
	exec    func(*specs.Process) // then the container only waits, and `inside` is run by `glassrun exec` with the process thus edited

	inside string // the probe's words, busybox's, or a script for its shell
	code   int    // with which that ends

	prints  string                         // what it prints, blanks at the end aside
	check   func(t *testing.T, out string) // or who says whether that is right
	warns   string                         // what is told on standard error
	refused string                         // instead of all this: a part of glassrun's error, which names the field
}

// check runs the rows, several at a time.
func check(t *testing.T, rows []row) {
	for _, r := range rows {
		if need.VM() && (r.here || r.refused != "" && !strings.Contains(r.refused, "asked for by")) {
			continue // what is refused before any kernel is asked, is on all
		}
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.check1(t)
		})
	}
}

func (r row) check1(t *testing.T) {
	for _, f := range r.needs {
		if missing := f(); missing != "" {
			t.Skipf("needs %s", missing)
		}
	}
	b := newBox(t)
	b.Spec.Process.Args = words(r.inside)
	if r.refused != "" && r.inside == "" {
		b.Spec.Process.Args = []string{"true"}
	}
	if r.edit != nil {
		r.edit(b.Spec)
	}
	if r.prepare != nil {
		r.prepare(t, b)
	}
	r.judge(t, r.start(t, b))
}

// start runs what is to be run inside.
func (r row) start(t *testing.T, b *box) bundle.Answer {
	if r.exec == nil {
		b.Write(t)
		return glassrun(t, "run", "--bundle", b.Dir, b.ID)
	}
	p := *b.Spec.Process
	r.exec(&p)
	b.Spec.Process.Args = words(b.waiting)
	b.Write(t)
	writeJSON(t, b.Path("process.json"), p)
	root := "--root=" + b.Path("state")
	defer glassrun(t, root, "delete", "--force", b.ID)
	if a := glassrun(t, root, "run", "--detach", "--bundle", b.Dir, b.ID); a.Code != 0 {
		t.Fatalf("run --detach ends with %d: %s", a.Code, a.Errs)
	}
	return glassrun(t, root, "exec", "--process", b.Path("process.json"), b.ID)
}

func (r row) judge(t *testing.T, a bundle.Answer) {
	switch {
	case r.refused != "":
		if a.Code == 0 || !strings.Contains(a.Errs, r.refused) {
			t.Errorf("exit code %d and %q, want a refusal that says %q", a.Code, a.Errs, r.refused)
		}
	case a.Code != r.code:
		t.Errorf("exit code %d, want %d; it printed %q and %q", a.Code, r.code, a.Out, a.Errs)
	case !strings.Contains(a.Errs, r.warns):
		t.Errorf("standard error is %q, want %q there", a.Errs, r.warns)
	case r.check != nil:
		r.check(t, a.Out)
	case a.Out != r.prints:
		t.Errorf("inside:\n%s\nwant:\n%s\n(standard error: %s)", a.Out, r.prints, a.Errs)
	}
}

// begins is for what goes on with numbers that differ from machine to machine.
func begins(want string) func(*testing.T, string) {
	return func(t *testing.T, out string) {
		if !strings.HasPrefix(out, want) {
			t.Errorf("inside:\n%s\nwant it to begin with:\n%s", out, want)
		}
	}
}

func lastLinesEqual(t *testing.T, out string) {
	if lines := strings.Split(out, "\n"); len(lines) != 2 || lines[0] != lines[1] {
		t.Errorf("inside:\n%s\nwant two lines that are alike", out)
	}
}
