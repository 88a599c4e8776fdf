package lab_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/lab"
	"glassbox/test/machines"
	"glassbox/test/need"
	"glassbox/test/world"
)

// TestMain gives the tests a world to make machines in; fuzzing needs none, and its workers speak through descriptors.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(m.Run())
	}
	machines.Main(m)
}

// TestLessons plays every lesson as learners do: wrong attempts, right ones, hints, report and reset.
// LESSONS names another directory of lessons.
func TestLessons(t *testing.T) {
	need.Root(t)
	need.Classroom(t)
	dir, err := filepath.Abs(cmp.Or(os.Getenv("LESSONS"), "../labs"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(dir + "/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no lessons in %s: %v", dir, err)
	}
	r := &room{t: t}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { r.play(t, file) })
	}
}

func (r *room) play(t *testing.T, file string) {
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
	if slices.ContainsFunc(l.Needs, func(word string) bool { return strings.HasPrefix(word, "cgroup:") }) {
		need.CgroupV2(t, "memory", "cpu", "pids")
	}
	p := newPlayer(t, r.machine(t), l)
	before := r.found(p)
	p.start()
	for i, task := range l.Tasks {
		p.wrong(i+1, task)
		p.right(i+1, task)
	}
	p.report()
	p.reset(before)
}

// player does a lesson as a learner would.
type player struct {
	*machines.Host
	t      *testing.T
	lesson *lab.Lesson
	dir    string // $LAB
}

func newPlayer(t *testing.T, h *machines.Host, l *lab.Lesson) *player {
	p := &player{Host: h, t: t, lesson: l}
	p.dir = p.Dir + "/labs/" + l.ID
	p.Env = append(p.Env, "GLASSBOX_LAB_DIR="+p.Dir+"/labs", "USER=ann", "SUDO_UID=")
	if os.Getenv("LESSONS") != "" {
		p.Env = append(p.Env, "GLASSBOX_LABS="+filepath.Dir(l.File))
	}
	if need.VM() {
		p.Env = append(p.Env, "GLASSBOX_LAB_SLOW=10")
	}
	if err := os.MkdirAll(p.Dir+"/labs", 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

// lab gives a command of glassbox lab, which must end with a code, and returns what it says, with blanks as single ones.
func (p *player) lab(code int, command string) string {
	p.t.Helper()
	r := p.Run(glassbox(), append([]string{"lab"}, strings.Fields(command)...)...)
	if r.Code != code {
		p.t.Fatalf("glassbox lab %s: exit %d, not %d\n%s%s", command, r.Code, code, r.Stdout, r.Stderr)
	}
	return strings.Join(strings.Fields(r.Stdout), " ")
}

func glassbox() string { return world.Dir() + "/glassbox/glassbox" }

func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

func (p *player) start() {
	p.t.Helper()
	if screen := p.lab(0, "start "+p.lesson.ID); !strings.Contains(screen, "Task 1 of") {
		p.t.Errorf("start shows no task:\n%s", screen)
	}
}

// prelude is written at a lesson's first script, which may be the check that comes after what is typed.
const prelude = "/run/glassbox/labs/prelude.sh"

// types runs a script as a learner would type it, with what the lesson gives to scripts.
func (p *player) types(text string) machines.Result {
	p.t.Helper()
	path := p.Dir + "/typed"
	before := fmt.Sprintf("export LAB='%s'\ncd \"$LAB\" || exit\n[ -e %s ] || glassbox lab check >/dev/null 2>&1\n. %[2]s\n", p.dir, prelude)
	if err := os.WriteFile(path, []byte(before+text+"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return p.Run("sh", "-u", path)
}

func (p *player) must(name, text string) {
	p.t.Helper()
	if r := p.types(text); r.Code != 0 {
		p.t.Fatalf("%s: exit %d\n%s%s", name, r.Code, r.Stdout, r.Stderr)
	}
}

// wrong: the check fails before anything is done, tells the wrong attempt, and the hint fits.
func (p *player) wrong(n int, task lab.Task) {
	p.t.Helper()
	r := p.Run(glassbox(), "lab", "check")
	if r.Code != 1 || !strings.Contains(r.Stdout, fmt.Sprintf("Task %d: not yet", n)) {
		p.t.Fatalf("check/%d before the task is done: exit %d\n%s%s", n, r.Code, r.Stdout, r.Stderr)
	}
	p.t.Logf("check/%d, nothing done: %s", n, r.Stdout)
	p.types(task.Wrong.Script)
	said := p.lab(1, "check")
	p.t.Logf("check/%d, wrong attempt: %s", n, said)
	if !strings.Contains(said, flat(task.Wrong.Says)) {
		p.t.Errorf("check/%d says of the wrong attempt\n%s\nwithout %q", n, said, task.Wrong.Says)
	}
	if hint := p.lab(0, "hint"); !strings.Contains(hint, flat(task.Wrong.Hint)) {
		p.t.Errorf("the first hint is then\n%s\nwithout %q", hint, task.Wrong.Hint)
	}
	if task.Wrong.Undo != "" {
		p.must(fmt.Sprintf("wrong/%d.undo", n), task.Wrong.Undo)
	}
}

// right: the check passes after the solution, and the next one does not yet.
func (p *player) right(n int, task lab.Task) {
	p.t.Helper()
	p.must(fmt.Sprintf("solution/%d", n), task.Solution)
	done := p.Run(glassbox(), "lab", "check")
	if done.Code != 0 || !strings.Contains(done.Stdout, fmt.Sprintf("Task %d: done", n)) {
		p.t.Fatalf("check/%d fails after the solution: exit %d\n%s%s", n, done.Code, done.Stdout, done.Stderr)
	}
	if strings.Contains(done.Stdout, fmt.Sprintf("Task %d: done", n+1)) {
		p.t.Fatalf("check/%d passes before its task is done\n%s", n+1, done.Stdout)
	}
	if n == len(p.lesson.Tasks) && !strings.Contains(flat(done.Stdout), flat(p.lesson.Explanation)[:30]) {
		p.t.Errorf("no explanation at the end:\n%s", done.Stdout)
	}
}

// report: what was done is in the student's file, and in the class's table. Lessons played before on this machine are there too.
func (p *player) report() {
	p.t.Helper()
	reports := p.Dir + "/reports"
	if err := os.Mkdir(reports, 0o755); err != nil {
		p.t.Fatal(err)
	}
	defer os.RemoveAll(reports)
	p.lab(0, "report "+reports+"/ann.json")
	text, err := os.ReadFile(reports + "/ann.json")
	if err != nil {
		p.t.Fatal(err)
	}
	var r lab.Report
	if err := json.Unmarshal(text, &r); err != nil {
		p.t.Fatal(err)
	}
	i := slices.IndexFunc(r.Lessons, func(done lab.ReportedLesson) bool { return done.Lesson == p.lesson.ID })
	if i < 0 || len(r.Lessons[i].Tasks) != len(p.lesson.Tasks) || !strings.HasPrefix(r.Student, "ann@") {
		p.t.Fatalf("the report has %+v", r)
	}
	for i, task := range r.Lessons[i].Tasks {
		if task.Done == "" || task.Attempts != 2 || task.Hints != 1 || len(task.Said) != 2 {
			p.t.Errorf("task %d is reported as %+v", i+1, task)
		}
	}
	tasks := 0
	for _, done := range r.Lessons {
		tasks += len(done.Tasks)
	}
	table := p.lab(0, "grade "+reports)
	if !strings.Contains(table, " ann.json,ann@") || !strings.HasSuffix(table, fmt.Sprintf(",%d,%d,%d,", tasks, 2*tasks, tasks)) {
		p.t.Errorf("the class's table says %s", table)
	}
}

// reset must leave nothing, twice.
func (p *player) reset(before string) {
	p.t.Helper()
	p.t.Logf("reset: %s", p.lab(0, "reset"))
	after := everything(p)
	for deadline := time.Now().Add(machines.Patient(3 * time.Second)); after != before && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		after = everything(p) // a process that was killed may take a moment
	}
	if after != before {
		p.t.Errorf("reset leaves or takes something: before\n%s\nafter\n%s", missing(before, after), missing(after, before))
	}
	p.lab(0, "reset")
}

// missing are the lines of one text that another lacks.
func missing(from, in string) string {
	var lines []string
	have := strings.Split(in, "\n")
	for line := range strings.SplitSeq(from, "\n") {
		if !slices.Contains(have, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
