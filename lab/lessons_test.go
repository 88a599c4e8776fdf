package lab_test

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glassbox/lab"
	"glassbox/test/machines"
	"glassbox/test/need"
)

func TestMain(m *testing.M) { machines.Main(m) }

// TestLessons plays every lesson, each on a machine of its own: wrong attempts, right ones, reset.
func TestLessons(t *testing.T) {
	need.Root(t)
	files, err := filepath.Glob(cmp.Or(os.Getenv("LESSONS"), "../labs") + "/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no lessons: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { play(t, file) })
	}
}

func play(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l, problems := lab.Lint(file, data)
	for _, p := range problems {
		t.Error(p)
	}
	if len(problems) > 0 {
		return
	}
	if slices.ContainsFunc(l.Needs, func(word string) bool { return strings.HasPrefix(word, "cgroup:") }) && !need.VM() {
		t.Skipf("needs %s (runs in the VM: go run ./test/vm test -run TestLessons/%s ./lab)", l.Needs, l.ID)
	}
	p := &player{Host: machines.WithGlassbox(t, "lab"), t: t, lesson: l}
	p.dir = p.Dir + "/lab"
	p.OK("mkdir -p " + p.dir + "; readlink /proc/[0-9]*/ns/* | tr -dc '0-9\\n' | sort -u >" + p.dir + "/.before")
	p.must("setup.sh", l.Setup)
	for i, task := range l.Tasks {
		p.task(i+1, task)
	}
}

// player does a lesson as a learner would.
type player struct {
	*machines.Host
	t      *testing.T
	lesson *lab.Lesson
	dir    string
}

// script runs a script as glassbox lab does.
func (p *player) script(name, text string) machines.Result {
	p.t.Helper()
	path := p.Dir + "/" + strings.ReplaceAll(name, "/", "-")
	prelude, err := filepath.Abs("../labs/prelude.sh")
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(". "+prelude+"\n"+text+"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return p.Run("sh", "-c", `export LAB="$1"; cd "$LAB" && exec sh -u "$2"`, "sh", p.dir, path)
}

func (p *player) must(name, text string) {
	p.t.Helper()
	if r := p.script(name, text); r.Code != 0 {
		p.t.Fatalf("%s: exit %d\n%s%s", name, r.Code, r.Stdout, r.Stderr)
	}
}

func (p *player) task(n int, task lab.Task) {
	p.t.Helper()
	name := func(kind string) string { return kind + "/" + string(rune('0'+n)) }
	if r := p.script(name("check"), task.Check); r.Code == 0 {
		p.t.Errorf("check/%d passes before the task is done", n)
	} else {
		p.t.Logf("check/%d, nothing done: %s", n, strings.TrimSpace(r.Stderr))
	}
	p.script(name("wrong"), task.Wrong.Script)
	r := p.script(name("check"), task.Check)
	p.t.Logf("check/%d, wrong attempt: %s", n, strings.TrimSpace(r.Stderr))
	if r.Code == 0 || !strings.Contains(r.Stderr, task.Wrong.Says) {
		p.t.Errorf("check/%d of the wrong attempt: exit %d, it says\n%s\nwithout %q", n, r.Code, r.Stderr, task.Wrong.Says)
	}
	if h := task.NextHint(r.Stderr, nil); !strings.Contains(h, task.Wrong.Hint) {
		p.t.Errorf("the first hint is then\n%s\nwithout %q", h, task.Wrong.Hint)
	}
	p.must("wrong.undo", task.Wrong.Undo)
	p.must(name("solution"), task.Solution)
	if r := p.script(name("check"), task.Check); r.Code != 0 {
		p.t.Fatalf("check/%d fails after the solution: exit %d\n%s%s", n, r.Code, r.Stdout, r.Stderr)
	}
}
