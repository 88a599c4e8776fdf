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
)

// TestMain gives the tests a world to make machines in; fuzzing needs none, and its workers speak through descriptors.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(m.Run())
	}
	machines.Main(m)
}

// TestLessons plays every lesson as learners do, each on a machine of its own: wrong attempts, right ones, hints, report and reset.
// LESSONS names another directory of lessons. In the emulated machine a lesson takes one to two minutes: there those are played that need it, the
// ones about limits, and with LESSONS_ALL, as `make soak` has it, all of them.
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
	for _, file := range files {
		if !need.VM() || os.Getenv("LESSONS_ALL") != "" || aboutLimits(t, file) {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { play(t, file) })
		}
	}
}

func aboutLimits(t *testing.T, file string) bool {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l, _ := lab.Lint(file, data)
	return l != nil && limits(l)
}

func limits(l *lab.Lesson) bool {
	return slices.ContainsFunc(l.Needs, func(word string) bool { return strings.HasPrefix(word, "cgroup:") })
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
	if limits(l) {
		need.CgroupV2(t, "memory", "cpu", "pids")
	}
	p := newPlayer(t, l)
	before := p.OK(everything)
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

func newPlayer(t *testing.T, l *lab.Lesson) *player {
	p := &player{Host: host(t), t: t, lesson: l}
	p.dir = p.Dir + "/labs/" + l.ID
	p.Env = append(p.Env, "GLASSBOX_LABS="+filepath.Dir(l.File), "GLASSBOX_LAB_DIR="+p.Dir+"/labs", "USER=ann", "SUDO_UID=")
	if need.VM() {
		p.Env = append(p.Env, "GLASSBOX_LAB_SLOW=10")
	}
	p.OK("mkdir " + p.Dir + "/labs")
	return p
}

// host is a machine whose /mnt is its own: other tests may use the real one at the same time. In the virtual machine the tests themselves lie there.
func host(t *testing.T) *machines.Host {
	t.Helper()
	h := machines.WithGlassbox(t, "lab")
	h.OK("[ -e /mnt/checkout ] || mount -t tmpfs mnt /mnt")
	return h
}

// everything is what there is on a machine, asked without glassbox lab. A list of processes has no pids, which differ.
const everything = `
for list in 'ps -aq --no-trunc' 'network ls -q --no-trunc' 'volume ls -q' 'images -aq --no-trunc' 'buildx du'; do
	echo "== $list"
	glassbox $list
done
echo "== links"
ip -o link | sed 's/^[0-9]*: //' | cut -d: -f1 | grep -v '^glassbox0$'
echo "== mounts"
cut -d' ' -f5 /proc/self/mountinfo | sort
echo "== groups"
find /sys/fs/cgroup -mindepth 1 -type d -not -path '*/glassbox*' | sort
echo "== named namespaces"
ls /run/netns 2>/dev/null
echo "== tables"
nft list tables | grep -v glassbox
echo "== namespaces"
readlink /proc/[0-9]*/ns/* | sort -u
echo "== processes"
ps -eo args | grep -v -e '^ps' -e '^sh -c' -e '^sort' -e '^grep' -e '\[.*\]$' | sort
echo "== files"
find "$GLASSBOX_LAB_DIR" /etc /run /root /mnt -xdev -maxdepth 2 -not -path '/mnt/checkout/*' -not -path '/run/glassbox*' -not -path /run/netns | sort
`

// lab gives a command of glassbox lab, which must end with a code, and returns what it says, with blanks as single ones.
func (p *player) lab(code int, command string) string {
	p.t.Helper()
	r := p.Run("sh", "-c", "glassbox lab "+command)
	if r.Code != code {
		p.t.Fatalf("glassbox lab %s: exit %d, not %d\n%s%s", command, r.Code, code, r.Stdout, r.Stderr)
	}
	return strings.Join(strings.Fields(r.Stdout), " ")
}

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
	if err := os.WriteFile(path, []byte("[ -e "+prelude+" ] || glassbox lab check >/dev/null 2>&1\n. "+prelude+"\n"+text+"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return p.Run("sh", "-c", `export LAB="$1"; cd "$LAB" && exec sh -u "$2"`, "sh", p.dir, path)
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
	r := p.Run("sh", "-c", "glassbox lab check")
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
	p.must(fmt.Sprintf("wrong/%d.undo", n), task.Wrong.Undo)
}

// right: the check passes after the solution, and the next one does not yet.
func (p *player) right(n int, task lab.Task) {
	p.t.Helper()
	p.must(fmt.Sprintf("solution/%d", n), task.Solution)
	done := p.Run("sh", "-c", "glassbox lab check")
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

// report: what was done is in the student's file, and in the class's table.
func (p *player) report() {
	p.t.Helper()
	p.OK("mkdir reports && glassbox lab report reports/ann.json")
	var r lab.Report
	if err := json.Unmarshal([]byte(p.OK("cat reports/ann.json")), &r); err != nil {
		p.t.Fatal(err)
	}
	if len(r.Lessons) != 1 || len(r.Lessons[0].Tasks) != len(p.lesson.Tasks) || !strings.HasPrefix(r.Student, "ann@") {
		p.t.Fatalf("the report has %+v", r)
	}
	for i, task := range r.Lessons[0].Tasks {
		if task.Done == "" || task.Attempts != 2 || task.Hints != 1 || len(task.Said) != 2 {
			p.t.Errorf("task %d is reported as %+v", i+1, task)
		}
	}
	table := p.OK("glassbox lab grade reports 2>/dev/null | tail -n 1")
	if n := len(p.lesson.Tasks); !strings.HasPrefix(table, "ann.json,ann@") || !strings.HasSuffix(table, fmt.Sprintf(",%d,%d,%d,", n, 2*n, n)) {
		p.t.Errorf("the class's table says %s", table)
	}
	p.OK("rm -r reports")
}

// reset must leave nothing, twice.
func (p *player) reset(before string) {
	p.t.Helper()
	p.t.Logf("reset: %s", p.lab(0, "reset"))
	after := p.OK(everything)
	for deadline := time.Now().Add(machines.Patient(3 * time.Second)); after != before && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		after = p.OK(everything) // a process that was killed may take a moment
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
