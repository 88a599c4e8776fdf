package fields

import (
	"strings"
	"testing"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// row is one value of a field, or one way to get it wrong.
type row struct {
	name    string
	here    bool // on this machine only: another row of its field asks the second kernel
	needs   []feature
	prepare func(t *testing.T, b *bundle) // makes what the row needs beside config.json; may change the spec too
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
	b := newBundle(t)
	b.spec.Process.Args = words(r.inside)
	if r.refused != "" && r.inside == "" {
		b.spec.Process.Args = []string{"true"}
	}
	if r.edit != nil {
		r.edit(b.spec)
	}
	if r.prepare != nil {
		r.prepare(t, b)
	}
	r.judge(t, r.start(t, b))
}

// start runs what is to be run inside.
func (r row) start(t *testing.T, b *bundle) answer {
	if r.exec == nil {
		b.write(t)
		return glassrun(t, "run", "--bundle", b.dir, b.id)
	}
	p := *b.spec.Process
	r.exec(&p)
	b.spec.Process.Args = words(b.waiting)
	b.write(t)
	writeJSON(t, b.path("process.json"), p)
	root := "--root=" + b.path("state")
	defer glassrun(t, root, "delete", "--force", b.id)
	if a := glassrun(t, root, "run", "--detach", "--bundle", b.dir, b.id); a.code != 0 {
		t.Fatalf("run --detach ends with %d: %s", a.code, a.errs)
	}
	return glassrun(t, root, "exec", "--process", b.path("process.json"), b.id)
}

func (r row) judge(t *testing.T, a answer) {
	switch {
	case r.refused != "":
		if a.code == 0 || !strings.Contains(a.errs, r.refused) {
			t.Errorf("exit code %d and %q, want a refusal that says %q", a.code, a.errs, r.refused)
		}
	case a.code != r.code:
		t.Errorf("exit code %d, want %d; it printed %q and %q", a.code, r.code, a.out, a.errs)
	case !strings.Contains(a.errs, r.warns):
		t.Errorf("standard error is %q, want %q there", a.errs, r.warns)
	case r.check != nil:
		r.check(t, a.out)
	case a.out != r.prints:
		t.Errorf("inside:\n%s\nwant:\n%s\n(standard error: %s)", a.out, r.prints, a.errs)
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
