package experiment

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"glassbox/mechanism"
	"glassbox/test/need"
	"glassbox/test/world"

	"golang.org/x/sys/unix"
)

func TestEveryMechanismHasAnExperiment(t *testing.T) {
	var have []string
	for _, e := range All() {
		have = append(have, e.Name)
		if e.What == "" || e.Seen == "" || len(e.Probe) == 0 {
			t.Errorf("%s: something is empty: %+v", e.Name, e)
		}
	}
	if !slices.Equal(have, mechanism.Names()) {
		t.Errorf("experiments %v, mechanisms %v", have, mechanism.Names())
	}
}

// TestMain: the tests run in namespaces of their own, which take the place of the host's.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	os.Exit(world.Run(world.BuildGlassbox, m.Run))
}

// lab is a store of its own, and the programs.
type lab struct {
	t   testing.TB
	dir string
}

func newLab(t testing.TB) *lab {
	t.Helper()
	need.Root(t)
	w := &lab{t: t, dir: t.TempDir()}
	if err := os.Chmod(filepath.Dir(w.dir), 0o711); err != nil { // the root of a user namespace must get through
		t.Fatal(err)
	}
	return w
}

func (w *lab) env() []string {
	return append(os.Environ(), "GLASSBOX_ROOT="+w.dir+"/data", "GLASSBOX_RUN="+w.dir+"/run", "NO_COLOR=1")
}

func (w *lab) glassbox(args ...string) *exec.Cmd {
	c := exec.Command(world.Dir()+"/glassbox/glassbox", args...)
	c.Env = w.env()
	return c
}

func (w *lab) run(args ...string) (stdout, stderr string, err error) {
	c := w.glassbox(args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err = c.Run()
	return out.String(), errs.String(), err
}

// result is an experiment's, as a program gets it.
func (w *lab) result(name string, more ...string) *Result {
	w.t.Helper()
	out, errs, err := w.run(append([]string{"experiment", "--without", name, "--format", "json", "--timeout", "60s"}, more...)...)
	var r Result
	if err == nil {
		err = json.Unmarshal([]byte(out), &r)
	}
	if err != nil {
		w.t.Fatalf("experiment %s: %v\n%s%s", name, err, out, errs)
	}
	return &r
}

// all is what a half has to say: its output, and what the host saw.
func (h Half) all() string {
	var b strings.Builder
	for _, l := range slices.Concat(h.Output, h.Host) {
		if !strings.HasPrefix(l.Text, "$ ") {
			b.WriteString(l.Text + "\n")
		}
	}
	return b.String()
}

// differences are what each experiment is about: what only the whole container shows, what only the other one does, and which request is gone.
var differences = map[string]struct{ whole, without, gone string }{
	"limits":       {"ended with 137", "ended with 0", "memory.max"},
	"cgroup":       {"0::/\n", "0::/glassbox-experiment-", "CLONE_NEWCGROUP"},
	"user":         {"Permission denied", "only the host's root reads this", "CLONE_NEWUSER"},
	"pid":          {"goes on", "experiment-stage act", "CLONE_NEWPID"},
	"fork":         {"status 0", "can't fork: Cannot allocate memory", ""},
	"mount":        {"more than before: none", "overlay on <the container's root>\n", "CLONE_NEWNS"},
	"uts":          {"", "hostname of the host: renamed-inside", "CLONE_NEWUTS"},
	"ipc":          {"", "1735156083", "CLONE_NEWIPC"},
	"net":          {"nobody listens", "a server of the host answers", "CLONE_NEWNET"},
	"time":         {"8640000", "", "CLONE_NEWTIME"},
	"propagation":  {"more than before: none", "tmpfs on <the container's root>/inside", "MS_SLAVE"},
	"overlay":      {"as it was", "an earlier container was here", "lowerdir="},
	"proc-mount":   {"", "sleep 600", `fsopen("proc"`},
	"pivot_root":   {"No such file", "only the host has this file", "pivot_root("},
	"mask":         {"/proc/interrupts:0\n", "it can be written to", "MOUNT_ATTR_RDONLY"},
	"capabilities": {"Operation not permitted", "renamed\n", "CAP_SYS_ADMIN"},
	"seccomp":      {"Seccomp:\t2", "Seccomp:\t0", "SECCOMP_SET_MODE_FILTER"},
	"init":         {"", "[sleep]", "docker-init"},
}

func (w *lab) shows(name string) {
	w.t.Helper()
	r, want := w.result(name), differences[name]
	whole, without := r.Whole.all(), r.Without.all()
	for _, c := range []struct{ text, in, out string }{{want.whole, whole, without}, {want.without, without, whole}} {
		if c.text != "" && (!strings.Contains(c.in, c.text) || strings.Contains(c.out, c.text)) {
			w.t.Errorf("%s: %q is not what tells the runs apart:\nwhole:\n%s\nwithout:\n%s", name, c.text, whole, without)
		}
	}
	if want.gone == "" {
		if len(r.Changes) > 0 {
			w.t.Errorf("%s: the containers are not alike: %+v", name, r.Changes)
		}
		return
	}
	if name == "init" && (strings.Contains(whole, "still here") || !strings.Contains(without, " Z ") || !strings.Contains(without, "still here")) {
		w.t.Errorf("init: the signal that nobody handles:\nwhole:\n%s\nwithout:\n%s", whole, without)
	}
	gone := slices.ContainsFunc(r.Changes, func(c Change) bool {
		return c.Kind == "gone" && strings.Contains(c.Call, want.gone) || slices.Contains(c.Gone, want.gone)
	})
	if !gone {
		w.t.Errorf("%s: no request with %s is gone: %+v", name, want.gone, r.Changes)
	}
}

// TestExperiments plays all that a machine without controllers can.
func TestExperiments(t *testing.T) {
	w := newLab(t)
	for _, e := range All() {
		if e.Name != "limits" {
			w.shows(e.Name)
		}
	}
	w.clean()
}

// TestAllExperiments plays all of them where they all can be.
func TestAllExperiments(t *testing.T) {
	need.Classroom(t)
	need.CgroupV2(t, "memory", "pids")
	w := newLab(t)
	for _, e := range All() {
		w.shows(e.Name)
	}
	w.clean()
}

// clean: nothing is left of any experiment.
func (w *lab) clean() {
	w.t.Helper()
	if left := groups(); len(left) > 0 {
		w.t.Errorf("groups are left: %v", left)
	}
	if out, errs, err := w.run("ps", "-aq"); err != nil || out != "" {
		w.t.Errorf("containers are left: %s%s, %v", out, errs, err)
	}
	out, errs, err := w.run("system", "check")
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "nothing is left over") && !strings.Contains(line, "left alone") { // another store's
			w.t.Errorf("system check: %s", line)
		}
	}
	if err != nil {
		w.t.Errorf("system check: %s, %v", errs, err)
	}
}

func groups() []string {
	var all []string
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		found, _ := filepath.Glob(mount + "/glassbox-experiment-*")
		all = append(all, found...)
	}
	return all
}

func TestOwnProbes(t *testing.T) {
	w := newLab(t)
	r := w.result("uts", "--probe", "echo own; sleep 100", "--timeout", "500ms")
	if r.Whole.all() != "own\n" || !strings.Contains(r.Whole.Ended, "had not ended after 500ms") || r.Without.Exit != 137 {
		t.Errorf("a probe that hangs: %+v", r)
	}
	r = w.result("uts", "--probe", "yes | head -c 200000; exit 3")
	if r.Whole.Exit != 3 || len(r.Whole.Output) != most/2 || !strings.Contains(r.Whole.Ended, "134464 more bytes") {
		t.Errorf("a probe that says much: %d, %d lines, %s", r.Whole.Exit, len(r.Whole.Output), r.Whole.Ended)
	}
	out, _, err := w.run("experiment", "--without", "uts", "--probe", "echo 'the same'")
	if err != nil || !strings.Contains(out, "does not see the difference") {
		t.Errorf("a probe that sees nothing: %v\n%s", err, out)
	}
	virtual, _ := Virtual()
	_, errs, err := w.run("experiment", "--without", "pivot_root", "--probe", "true")
	if virtual != (err == nil) || !virtual && !strings.Contains(errs, "--dangerous") {
		t.Errorf("a dangerous probe on a machine that is virtual: %v: %v, %s", virtual, err, errs)
	}
	if r = w.result("pivot_root", "--probe", "true", "--dangerous"); !strings.Contains(r.Risk, "You said --dangerous") {
		t.Errorf("--dangerous: %q", r.Risk)
	}
	w.clean()
}

var update = flag.Bool("update", false, "write the screens that TestScreens compares")

// TestScreens compares what is shown in a pipe. Numbers that are this kernel's, and the host's name, are masked.
func TestScreens(t *testing.T) {
	w := newLab(t)
	hostname, _ := os.Hostname()
	for file, args := range map[string][]string{"list": {"experiment"}, "uts": {"experiment", "--without", "uts"}} {
		out, errs, err := w.run(args...)
		if err != nil {
			t.Fatalf("%v: %v, %s", args, err, errs)
		}
		out = strings.ReplaceAll(out, "hostname of the host: "+hostname+"\n", "hostname of the host: HOST\n")
		out = regexp.MustCompile(`[0-9]+ requests whole, [0-9]+ without`).ReplaceAllString(out, "N requests whole, N without")
		golden := "testdata/" + file + ".screen"
		if *update {
			if err := os.WriteFile(golden, []byte(out), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || string(want) != out {
			t.Errorf("%s, %v:\n%s\nwant:\n%s", golden, err, out, want)
		}
		for line := range strings.Lines(out) {
			if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 100 {
				t.Errorf("%v: wider than 100 columns: %s", args, line)
			}
		}
	}
	w.clean()
}

func TestRefused(t *testing.T) {
	w := newLab(t)
	for _, c := range []struct {
		args []string
		said string
	}{
		{[]string{"--without", "everything"}, "there is no experiment \"everything\": --without takes limits, cgroup,"},
		{[]string{"--probe", "true"}, "--without is missing"},
		{[]string{"--without", "uts", "--image", "busybox"}, "with --image say what to run, --probe CMD"},
		{[]string{"--without", "uts", "--format", "yaml"}, "invalid format \"yaml\": json"},
		{[]string{"--without", "uts", "--timeout", "-1s"}, "needs time to run"},
	} {
		out, errs, err := w.run(append([]string{"experiment"}, c.args...)...)
		if err == nil || out != "" || !strings.Contains(errs, c.said) {
			t.Errorf("%v: %v, %s%s", c.args, err, out, errs)
		}
	}
}

// TestKilled: whoever is killed, be it early or while the probe runs, nothing is left.
func TestKilled(t *testing.T) {
	w := newLab(t)
	w.result("uts", "--probe", "true") // the image is made
	hostname, _ := os.Hostname()
	mounted := mounts()
	for _, victim := range []string{"--timeout 30s", "experiment-stage keep", "experiment-stage act", "--timeout 30s, experiment-stage keep"} { // the command, who it starts, and two at once
		w.kill("mount", "30s", victim, "sleep 30")
		w.kill("uts", "30s", victim, strings.TrimSpace(victim[strings.LastIndex(victim, ",")+1:]))
	}
	for _, victim := range []string{"glassrun monitor", "sleep 30"} { // the experiment goes on without
		w.kill("mount", "1s", victim, "sleep 30")
	}
	for n := range 8 { // and anybody at any moment
		w.kill("mount", "1s", "", "experiment-stage keep", time.Duration(n)*7*time.Millisecond)
	}
	if now, _ := os.Hostname(); now != hostname {
		t.Errorf("the host is called %s now", now)
	}
	if now := mounts(); !slices.Equal(now, mounted) {
		t.Errorf("mounts %v, before %v", now, mounted)
	}
	w.clean()
}

// kill starts an experiment whose probe takes long, waits for a process, and kills one: the last, if there is a choice; or several, none of which can do
// anything before all are dead. Processes are named by how their command lines end.
func (w *lab) kill(name, timeout, victim, awaited string, after ...time.Duration) {
	w.t.Helper()
	c := w.glassbox("experiment", "--without", name, "--dangerous", "--probe", "sleep 30", "--timeout", timeout)
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	for until := time.Now().Add(20 * time.Second); len(w.processes(awaited)) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			w.t.Fatalf("%s: there is no process %s", name, awaited)
		}
	}
	for _, moment := range after {
		time.Sleep(moment) // what is killed then is left to chance
	}
	for _, sig := range []unix.Signal{unix.SIGSTOP, unix.SIGKILL} {
		for name := range strings.SplitSeq(victim, ", ") {
			if pids := w.processes(name); len(pids) > 0 {
				_ = unix.Kill(pids[len(pids)-1], sig)
			}
		}
	}
	until := time.Now().Add(15 * time.Second) // half of what a probe takes that nobody ends
	_ = c.Wait()
	for ; ; time.Sleep(5 * time.Millisecond) {
		left, grouped := w.processes(""), groups()
		if time.Now().After(until) {
			w.t.Fatalf("%s, %q killed: after 15 s processes %v and groups %v are left, or have just gone", name, victim, left, grouped)
		}
		if len(left)+len(grouped) == 0 {
			return
		}
	}
}

// TestForgotten: what two processes that were killed at once have left goes with the next experiment.
func TestForgotten(t *testing.T) {
	mount := need.Hierarchy(t)
	w := newLab(t)
	old, fresh := mount+group("old"), mount+group("fresh")
	for _, dir := range []string{old, old + "/container", fresh} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	defer os.Remove(fresh)
	long := time.Now().Add(-2 * forgotten)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	w.result("uts")
	if left := groups(); !slices.Equal(left, []string{fresh}) {
		t.Errorf("groups %v are left", left)
	}
}

// processes are those of this world whose command line ends like this: ours by their environment, a container's by their group.
func (w *lab) processes(text string) []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, dir := range dirs {
		env, _ := os.ReadFile(dir + "/environ")
		group, _ := os.ReadFile(dir + "/cgroup")
		line, _ := os.ReadFile(dir + "/cmdline")
		words := strings.ReplaceAll(strings.TrimSuffix(string(line), "\x00"), "\x00", " ")
		ours := bytes.Contains(env, []byte("GLASSBOX_ROOT="+w.dir)) || bytes.Contains(group, []byte("/glassbox-experiment-"))
		if ours && words != "" && strings.HasSuffix(words, text) {
			if pid := number(filepath.Base(dir)); pid > 0 && pid != os.Getpid() {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func number(s string) (n int) {
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}
