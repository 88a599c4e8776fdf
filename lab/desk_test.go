package lab_test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"glassbox/lab"
	"glassbox/test/machines"
	"glassbox/test/need"
)

// lesson is one of two tasks, with more fields and parts.
func lesson(fields, parts string) string {
	return "title: A trial\norder: 1\nminutes: 5\n" + fields + `-- why --
Because.
-- task/1 --
Make the file one.
-- check/1 --
[ -e one ] || missing "there is no file one: $(ls | wc -l) others"
-- hint/1 --
First hint.

when "there is no file": Second hint.
-- solution/1 --
touch one
-- wrong/1 --
touch two
-- wrong/1.says --
there is no file one
-- task/2 --
Make the file two.
-- check/2 --
[ -e two ] || missing "there is no file two"
-- hint/2 --
Touch it.
-- solution/2 --
touch two
-- wrong/2 --
touch three
-- wrong/2.says --
there is no file two
-- explanation --
The end.
` + parts
}

// classroom is a machine with lessons of its own, by their names.
func classroom(t *testing.T, lessons map[string]string) *player {
	t.Helper()
	need.Root(t)
	p := &player{Host: host(t), t: t}
	p.Env = append(p.Env, "GLASSBOX_LABS="+p.Dir+"/lessons", "GLASSBOX_LAB_DIR="+p.Dir+"/labs", "USER=ann", "SUDO_UID=", "SUDO_USER=")
	p.OK("mkdir lessons")
	for name, text := range lessons {
		p.write("lessons/"+name+".txtar", text)
		p.dir = p.Dir + "/labs/" + name
	}
	return p
}

func (p *player) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(p.Dir+"/"+name, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// says wants a command of glassbox lab to end with a code, and to say something on either stream.
func (p *player) says(code int, command, want string) {
	p.t.Helper()
	r := p.Run("sh", "-c", "glassbox lab "+command)
	if said := flat(r.Stdout + r.Stderr); r.Code != code || !strings.Contains(said, want) {
		p.t.Errorf("glassbox lab %s: exit %d, not %d, without %q\n%s%s", command, r.Code, code, want, r.Stdout, r.Stderr)
	}
}

func TestOneLessonAtATime(t *testing.T) {
	p := classroom(t, map[string]string{"one": lesson("", ""), "two": strings.Replace(lesson("", ""), "order: 1", "order: 999", 1)})
	dir := p.Dir + "/labs/one"
	p.says(1, "check", "no lesson is under way: glassbox lab start NAME")
	p.says(0, "reset", "there is nothing to reset")
	p.says(1, "start nonesuch", "no such lesson: nonesuch")
	p.says(0, "start one", "Its scripts run as root on this machine")
	p.says(1, "start two", "lesson one is under way: end it with glassbox lab reset")
	p.says(0, "start one", "under way already")
	p.says(1, "reset two", "lesson two is not under way: it is one")
	p.says(0, "hint", "First hint. Next: glassbox lab check")
	p.says(1, "check", "there is no file one: 0 others")
	p.says(0, "hint", "Second hint.")
	p.says(0, "hint", "there are no more hints. These were given: First hint. Second hint.")
	p.OK("touch " + dir + "/one")
	p.says(0, "check", "Task 1: done Task 2 of 2 Make the file two.")
	p.says(1, "check", "Task 2: not yet there is no file two")
	p.OK("rm " + dir + "/one; touch " + dir + "/two")
	p.says(0, "check", "Task 2: done All 2 tasks are done The end. Next: glassbox lab reset")
	p.says(0, "check", "All 2 tasks are done")
	p.says(0, "list", "one 5 done")
	p.says(0, "reset", "Removed: directory "+dir)
	p.says(0, "list", "one 5 done")
	p.says(0, "start one", "Task 1 of 2")
	p.says(1, "check", "Task 1: not yet")
	p.OK("hostname renamed")
	p.says(1, "reset one", "the host name is renamed, and was lab before the lesson hostname lab")
	p.OK("hostname lab")
	p.Is("ls -d "+p.Dir+"/labs 2>/dev/null || echo gone", "gone")
}

// TestChecksAreBounded: a check that hangs is killed with all it has started, in whichever session; one that writes without end costs no
// memory; one that fails silently is the lesson's mistake.
func TestChecksAreBounded(t *testing.T) {
	hangs := strings.Replace(lesson("seconds: 1\n", ""), "[ -e one ]", "setsid sh -c 'sleep 7777; :' & sleep 7777 & (sleep 7777); [ -e one ]", 1)
	floods := strings.Replace(lesson("", ""), "[ -e one ]", "head -c 300000000 /dev/zero | tr '\\0' x >&2; [ -e one ]", 1)
	silent := strings.Replace(lesson("", ""), `missing "there is no file one: $(ls | wc -l) others"`, "exit 7 # not missing there is no file", 1)
	p := classroom(t, map[string]string{"hangs": hangs, "floods": floods, "silent": silent})
	p.lab(0, "start hangs")
	began := time.Now()
	p.says(1, "check", "the check did not end within 1s and was ended")
	if took := time.Since(began); took > machines.Patient(5*time.Second) {
		t.Errorf("a check bounded to 1 s took %v", took)
	}
	p.Is("pgrep -f 'sleep 777[7]' || echo none", "none")
	p.lab(0, "reset")
	p.lab(0, "start floods")
	if r := p.Run("sh", "-c", "glassbox lab check"); r.Code != 1 || len(r.Stdout) > 20000 || !strings.Contains(r.Stdout, "the rest is left out") {
		t.Errorf("a check that floods: exit %d, %d bytes", r.Code, len(r.Stdout))
	}
	p.lab(0, "reset")
	p.lab(0, "start silent")
	p.says(1, "check", "fails with status 7 and does not say why")
	p.lab(0, "reset")
}

// TestResetTakesOnlyTheLessons: what was there stays, what is a stranger's stays and is named, and all kinds of what a lesson makes go.
func TestResetTakesOnlyTheLessons(t *testing.T) {
	p := classroom(t, map[string]string{"kinds": lesson("uses: netns:labns link:labdummy cgroup:labgroup/sub cgroup:labgroup mount:/mnt/labmount file:/run/lab table:inet,labtable container:web image:app\n", "")})
	p.OK(`mkdir -p "$HOME/old" /mnt/labmount
		glassbox run -d --name old tiny sleep 5000 >/dev/null
		glassbox volume create olddata; glassbox network create oldnet; glassbox tag tiny kept:1
		ip netns add oldns; ip link add olddummy type dummy; nft add table inet oldtable
		setsid unshare -u sleep 5001 >/dev/null 2>&1 &
		setsid sleep 5002 >/dev/null 2>&1 &
		mkdir -p /sys/fs/cgroup/oldgroup; sleep 0.3`)
	t.Cleanup(func() { p.Run("sh", "-c", "rmdir /sys/fs/cgroup/oldgroup /sys/fs/cgroup/strange; rmdir /mnt/labmount") })
	before := everything(p)
	p.lab(0, "start kinds")
	p.OK(`cd "$GLASSBOX_LAB_DIR/kinds"
		glassbox run -d --name web -v webdata:/d --network oldnet tiny sleep 5003 >/dev/null
		glassbox network create back; glassbox tag tiny kept:2; glassbox tag tiny app; glassbox commit web moved:1 >/dev/null; glassbox tag moved:1 kept:1
		printf 'FROM tiny\nRUN echo x >/x\n' >Dockerfile; glassbox build -q -t built . >/dev/null
		ip netns add labns; ip link add labdummy type dummy; nft add table inet labtable
		mkdir -p /sys/fs/cgroup/labgroup/sub; mount -t tmpfs none /mnt/labmount; mount -t tmpfs none /mnt/labmount
		mkdir -p inner /run/lab/file; mount -t tmpfs none inner; mount --bind inner /run/lab/file
		setsid unshare -m sleep 5004 >/dev/null 2>&1 &
		setsid sh -c 'cd /; exec unshare -p -f sleep 5005' >/dev/null 2>&1 &
		setsid sleep 5006 >/dev/null 2>&1 &
		setsid sh -c 'cd /; echo $$ >/sys/fs/cgroup/labgroup/sub/cgroup.procs; exec sleep 5007' >/dev/null 2>&1 &
		setsid nsenter --net=/run/netns/oldns sh -c 'cd /; exec sleep 5008' >/dev/null 2>&1 &
		sleep 0.5; glassbox rm -f old >/dev/null; glassbox run -d --name old tiny sleep 5000 >/dev/null`)
	// Somebody else on the machine, in the same control group as the lesson, and in a namespace of his own.
	p.OK(`cd /; setsid env -u OLDPWD unshare -i sleep 5010 >/dev/null 2>&1 & sleep 0.3`)
	p.OK(`cd /; setsid sh -c 'mkdir /sys/fs/cgroup/strange; echo $$ >/sys/fs/cgroup/strange/cgroup.procs; exec unshare -i sleep 5009' >/dev/null 2>&1 & sleep 0.3`)
	r := p.Run("sh", "-c", "glassbox lab reset")
	t.Log(r.Stdout)
	for _, want := range []string{"(sleep) in a namespace of its own, in group /strange", "kill -9 ", "container ", "was there before the lesson, and is gone", "control group strange"} {
		if !strings.Contains(flat(r.Stdout), want) {
			t.Errorf("reset does not say %q: exit %d\n%s%s", want, r.Code, r.Stdout, r.Stderr)
		}
	}
	p.Is("pgrep -a -f 'sleep 50[01][0-9]' | grep -o '50.*' | sort | tr '\\n' ' '", "5001 5002 5008 5009 5010")
	p.OK("kill -9 $(pgrep -f 'sleep 50(08|09|10)'); glassbox run -d --name old tiny sleep 5000 >/dev/null; sleep 0.3; rmdir /sys/fs/cgroup/strange")
	after := everything(p)
	for _, both := range []struct{ name, lines string }{{"taken", missing(before, after)}, {"left", missing(after, before)}} {
		for line := range strings.Lines(both.lines) {
			// The container that was made anew has other ids and namespaces.
			if line = strings.TrimSpace(line); len(line) != 64 && !strings.Contains(line, ":[40") && !strings.HasPrefix(line, "veth") && !strings.HasPrefix(line, "glassrun monitor") {
				t.Errorf("%s: %s", both.name, line)
			}
		}
	}
}

// TestStartRefuses what would collide with what is there, and a lesson whose setup fails leaves nothing.
func TestStartRefuses(t *testing.T) {
	p := classroom(t, map[string]string{
		"taken": lesson("uses: netns:red\n", ""),
		"fails": strings.Replace(lesson("", "-- setup.sh --\nglassbox volume create made >/dev/null; setsid unshare -u sleep 6001 >/dev/null 2>&1 & sleep 0.3; echo 'no way' >&2; exit 3\n-- reset.sh --\necho $LAB >/root/undone\n"), "order: 1", "order: 2", 1),
		"needy": strings.Replace(lesson("needs: root tool:nonesuch\n", ""), "order: 1", "order: 3", 1),
	})
	p.OK("ip netns add red")
	p.says(1, "start taken", "makes a netns named red, and there is one already: rename it, or remove it with ip netns delete red")
	p.OK("ip netns delete red; mkdir -p labs/taken; touch labs/taken/mine")
	p.says(1, "start taken", "is there already and not empty")
	p.says(1, "reset taken", "No lesson is under way, so nothing is known to be a lesson's and nothing was removed. Where taken would put something, there is: WHAT UNDONE BY directory "+p.Dir+"/labs/taken")
	p.Is("ls labs/taken", "mine")
	p.says(1, "start fails", "setup.sh of lesson fails failed with status 3: no way")
	p.Is("cat /root/undone; rm /root/undone; glassbox volume ls -q; pgrep -f 'sleep 600[1]'; ls labs", p.Dir+"/labs/fails\ntaken")
	p.says(1, "start needy", "the program nonesuch is not in PATH")
	p.says(0, "list", "A trial (this machine lacks tool:nonesuch)")
	p.says(1, "check", "no lesson is under way")
}

// TestAfterKill: a start that is killed in its setup is known, and reset brings all back; so is a check that is killed.
func TestAfterKill(t *testing.T) {
	p := classroom(t, map[string]string{"slow": lesson("", "-- setup.sh --\nglassbox run -d --name half tiny sleep 5000 >/dev/null; touch $LAB/up; setsid unshare -u sleep 6002 >/dev/null 2>&1 & sleep 30\n")})
	before := everything(p)
	kill := "glassbox lab start slow & pid=$!; while [ ! -e labs/slow/up ]; do sleep 0.05; done; kill -9 $pid; wait $pid || true; sleep 0.2"
	p.OK(kill)
	p.says(1, "check", "the start of slow was cut short: glassbox lab reset")
	p.says(0, "reset", "container half")
	p.OK("pkill -9 -f 'sleep 3[0]' || true")
	if after := everything(p); after != before {
		t.Errorf("left or taken:\n%s\n%s", missing(before, after), missing(after, before))
	}
	// Started again at once, it is reset by the start itself.
	p.OK(kill)
	p.write("lessons/slow.txtar", lesson("", ""))
	p.says(0, "start slow", "Task 1 of 2")
	p.Is("glassbox ps -aq", "")
	p.says(0, "reset", "Nothing of a lesson is left")
	p.OK("pkill -9 -f 'sleep 3[0]' || true")
}

// TestDamage: documents cut in half are said and set aside.
func TestDamage(t *testing.T) {
	p := classroom(t, map[string]string{"one": lesson("", "")})
	p.lab(0, "start one")
	p.OK("touch labs/one/one; glassbox lab check")
	p.OK("cd $GLASSBOX_ROOT/labs && head -c 40 progress.json >x && mv x progress.json")
	p.says(0, "list", "progress.json is damaged")
	p.Is("ls $GLASSBOX_ROOT/labs", "active.json\nprogress.json.corrupt")
	p.says(0, "list", "one 5 0/2")
	p.OK("echo '{' >$GLASSBOX_ROOT/labs/active.json")
	p.says(1, "check", "which lesson was under way, and what was there before it, is lost")
	p.says(1, "reset one", "directory "+p.dir)
	p.OK("rm -r labs/one")
	p.says(0, "start one", "Task 1 of 2")
	p.OK("rm lessons/one.txtar")
	p.says(1, "check", "cannot be read any more")
	p.says(0, "reset", "what it makes by hand is not known")
}

// TestWithoutRoot: who is not root is told at once what is needed, and may look.
func TestWithoutRoot(t *testing.T) {
	p := classroom(t, map[string]string{"one": lesson("needs: root\n", "")})
	p.OK("chmod 711 .. ; chmod 755 . lessons; glassbox lab start one >/dev/null")
	user := "setpriv --reuid 65534 --regid 65534 --clear-groups glassbox lab "
	for _, command := range []string{"start one", "check", "hint", "show", "reset"} {
		p.Fails(1, user+command, "needs root: put sudo in front")
	}
	p.Fails(0, user+"list", "sudo glassbox lab list")
	p.Fails(0, user+"lint lessons/one.txtar", "nothing is wrong with 1 of 1 lessons")
	p.OK("glassbox lab reset")
}

// TestClass: reports of many kinds become one table, and nothing in them becomes a formula.
func TestClass(t *testing.T) {
	p := classroom(t, map[string]string{"one": lesson("", "")})
	p.lab(0, "start one")
	p.OK("touch labs/one/one; glassbox lab check; glassbox lab check; mkdir class; glassbox lab report class/ann.json")
	p.lab(0, "reset")
	ann := p.OK("cat class/ann.json")
	var r lab.Report
	if err := json.Unmarshal([]byte(ann), &r); err != nil || len(r.Lessons) != 1 || r.Lessons[0].Lesson != "one" || !strings.HasPrefix(r.Student, "ann@") || r.Lessons[0].Tasks[0].Done == "" || r.Lessons[0].Tasks[1].Done != "" {
		t.Fatalf("%v: %s", err, ann)
	}
	p.OK(`glassbox lab report --student '=HYPERLINK("http://x")' class/evil.json`)
	p.write("class/changed.json", strings.Replace(strings.Replace(ann, `"attempts": 0`, `"attempts": -5`, 1), "ann@", "bob@", 1))
	p.write("class/cut.json", ann[:100])
	p.write("class/later.json", strings.Replace(ann, `"format": 1`, `"format": 2`, 1))
	p.write("class/twice.json", ann)
	p.write("class/=1+1.json", "null")
	p.OK("mkdir class/dir.json; head -c 2000000 /dev/zero >class/big.json")
	p.write("lessons/one.txtar", lesson("", "")+"\n")
	r2 := p.Run("sh", "-c", "glassbox lab grade class")
	t.Log(r2.Stdout, r2.Stderr)
	for _, want := range []string{
		"\nann.json,ann@lab,lab,", "another version of one", `'=HYPERLINK(""http://x"")`, "the sum is wrong: it was changed; impossible numbers in one",
		"\ncut.json,,,,", "damaged: unexpected EOF", "it has format 2, and this glassbox reads 1", "the same student as in ann.json", "\n'=1+1.json,", "not a regular file", "more than 1048576 bytes",
	} {
		if !strings.Contains(r2.Stdout, want) {
			t.Errorf("the table does not have %q", want)
		}
	}
	if rows := strconv.Itoa(strings.Count(r2.Stdout, "\n")); r2.Code != 0 || rows != "10" || !strings.Contains(r2.Stderr, "9 reports, ") {
		t.Errorf("exit %d, %s rows", r2.Code, rows)
	}
	p.says(1, "grade nowhere", "no such file or directory")
}

// TestCoveredProc: whoever mounts a /proc of a new PID namespace without a new mount namespace hides all processes, this command's own too.
// Numbers in it are those of others.
func TestCoveredProc(t *testing.T) {
	p := classroom(t, map[string]string{"trial": lesson("", "")})
	p.says(0, "start trial", "Task 1 of 2")
	p.OK(`cd labs/trial; setsid unshare --pid --fork sh -c 'mount -t proc proc /proc; exec sleep 1000' >/dev/null 2>&1 &
until [ ! -e /proc/self ]; do sleep 0.01; done`)
	p.says(1, "check", "covered by one of another PID namespace")
	p.says(0, "reset", "(sleep)")
	p.OK("[ -e /proc/self ]")
}
