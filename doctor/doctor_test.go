package doctor

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"glassbox/labs"
	"glassbox/screen"
	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// TestMain is doctor itself where a test has prepared a machine for it: the areas are in DOCTOR_AREAS. DOCTOR_REFUSED is a call that a
// filter on all its threads refuses.
func TestMain(m *testing.M) {
	if name := os.Getenv("DOCTOR_NAME"); name != "" {
		follow(name)
		return
	}
	areas, asked := os.LookupEnv("DOCTOR_AREAS")
	if !asked {
		os.Exit(m.Run())
	}
	if call := os.Getenv("DOCTOR_REFUSED"); call != "" {
		var nr uint32
		fmt.Sscan(call, &nr)
		refuse(nr)
	}
	if err := json.NewEncoder(os.Stdout).Encode(Examine(strings.Fields(areas)...)); err != nil {
		panic(err)
	}
}

func refuse(call uint32) {
	errno := unix.EPERM
	if call == unix.SYS_CLONE3 {
		errno = unix.ENOSYS // as Docker's profile answers: libc falls back to clone
	}
	filter := refusing(call, errno)
	prog := make([]byte, 16) // struct sock_fprog
	binary.NativeEndian.PutUint16(prog, uint16(len(filter)/8))
	binary.NativeEndian.PutUint64(prog[8:], uint64(uintptr(unsafe.Pointer(&filter[0]))))
	const sync = 1 // SECCOMP_FILTER_FLAG_TSYNC
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, sync, uintptr(unsafe.Pointer(&prog[0]))); errno != 0 {
		panic(errno)
	}
}

// patient is a machine for one test: namespaces of its own, and data and run directories.
func patient(t *testing.T, prepare string, areas ...string) (r Report) {
	t.Helper()
	examined(t, &r, prepare, "DOCTOR_AREAS="+strings.Join(areas, " "))
	return r
}

// examined runs this program on such a machine, and reads what it says.
func examined(t *testing.T, said any, prepare, asked string) {
	t.Helper()
	need.Root(t)
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("unshare", "-nm", "--propagation", "private", "bash", "-ec", prepare+"\nexec ${WITH:-} "+self)
	c.Env = append(os.Environ(), asked, "GLASSBOX_ROOT="+dir+"/data", "GLASSBOX_RUN="+dir+"/run", "DIR="+dir)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), said); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
}

func (r Report) check(t *testing.T, name string) Check {
	t.Helper()
	area, name, _ := strings.Cut(name, "/")
	i := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Area == area && c.Name == name })
	if i < 0 {
		t.Fatalf("no check %s/%s", area, name)
	}
	return r.Checks[i]
}

func TestEveryCheckIsComplete(t *testing.T) {
	need.SecondKernel(t)
	began := time.Now()
	r := patient(t, "")
	if took := time.Since(began); took > 2*time.Second && !need.VM() {
		t.Errorf("took %v", took)
	}
	var areas []string
	for _, c := range r.Checks {
		if !slices.Contains(areas, c.Area) {
			areas = append(areas, c.Area)
		}
		if c.Name == "" || c.Found == "" || c.Why == "" || (c.Result != Pass) != (c.Fix != "") {
			t.Errorf("incomplete: %+v", c)
		}
		if _, err := labs.Files.Open(c.Lab + ".txtar"); c.Lab != "" && err != nil {
			t.Errorf("%s/%s: %v", c.Area, c.Name, err)
		}
	}
	if !slices.Equal(areas, Areas()) {
		t.Errorf("the checks have the areas %q", areas)
	}
	if r.Pass+r.Warn+r.Fail != len(r.Checks) || r.Machine.Kernel == "" || r.Machine.Hostname == "" {
		t.Errorf("%+v", r.Machine)
	}
}

// provoked are troubles, each made for one doctor alone: what it must say then of a check, and does not say otherwise.
var provoked = []struct {
	name    string
	prepare string
	check   string
	result  Result
	found   string
	fix     string
}{
	{"cgroups read-only", `m=$(findmnt -nt cgroup2 -o TARGET | head -1); mount --bind $m $m; mount -o remount,bind,ro $m`, "cgroups/group", Fail, "EROFS", "remount,rw"},
	{"no cgroup2", `umount -Rl /sys/fs/cgroup`, "cgroups/layout", Fail, "no cgroup2", "boot with"},
	{"no cgroup2: memory", `umount -Rl /sys/fs/cgroup`, "cgroups/group", Fail, "no cgroup2", "mount -t cgroup2"},
	{"data on an overlay", overlaid + inUse, "kernel/overlay", Fail, "not supported as upperdir", "another file system"},
	{"data on an overlay: changes", overlaid + inUse, "kernel/overlay-writes", Fail, "the kernel says", "another file system"},
	{"data to be on an overlay", overlaid, "kernel/overlay", Warn, "in memory", "another file system"},
	{"data read-only", `mkdir $DIR/data; mount -t tmpfs -o ro none $DIR/data`, "files/data", Fail, "(ro", "remount,rw"},
	{"data in memory", `mkdir $DIR/data; mount -t tmpfs none $DIR/data`, "files/data", Warn, "tmpfs", "on/disk"},
	{"data in little memory", `mkdir $DIR/data; mount -t tmpfs -o size=16m none $DIR/data`, "files/space", Fail, "free at", "system df"},
	{"a run directory that is too deep", `d=$(printf 'x%.0s' $(seq 100)); mkdir -p $DIR/$d; export GLASSBOX_RUN=$DIR/$d/run`, "files/run", Fail, "EINVAL", "short path"},
	{"a foreign firewall", `nft 'add table ip foreign; add chain ip foreign forward { type filter hook forward priority 0; policy drop; }'`, "network/foreign-rules", Fail, "table ip foreign", "nft insert rule ip foreign forward"},
	{"routes everywhere", `ip link set lo up; ip route add 172.16.0.0/12 dev lo; ip route add 192.168.0.0/16 dev lo`, "network/subnets", Fail, "172.16.0.0/12", "--subnet"},
	{"only a resolver on loopback", `echo nameserver 127.0.0.1 >$DIR/resolv; mount --bind $DIR/resolv /etc/resolv.conf`, "network/resolver", Warn, "loopback", "--dns"},
	{"no network namespaces left", inUser(`echo 0 >/proc/sys/user/max_net_namespaces`), "namespaces/net", Fail, "ENOSPC", "user.max_net_namespaces"},
	{"none left: the limit", inUser(`echo 0 >/proc/sys/user/max_net_namespaces`), "namespaces/limits", Fail, "user.max_net_namespaces=0", "sysctl -w"},
	{"none left: the town", inUser(`echo 0 >/proc/sys/user/max_net_namespaces`), "network/published-port", Fail, "not tried", "namespace"},
	{"few open files", `ulimit -n 128`, "limits/nofile", Fail, "128", "ulimit -n"},
	{"no capability to mount", `WITH="setpriv --bounding-set -sys_admin"`, "kernel/mount-api", Fail, "EPERM", "as root"},
	{"no capability to mount: which", `WITH="setpriv --bounding-set -sys_admin"`, "security/capabilities", Fail, "CAP_SYS_ADMIN", "as root"},
	{"no capability to change owners", `WITH="setpriv --bounding-set -chown"`, "kernel/overlay-userns", Fail, "chown", "as root"},
	{"nobody", `chmod 755 $DIR; WITH="setpriv --reuid 65534 --regid 65534 --clear-groups"`, "security/root", Fail, "user 65534", "sudo"},
	{"no new privileges", `WITH="setpriv --no-new-privs"`, "security/no_new_privs", Warn, "set on us", "without"},
	{"a filter that refuses openat2", fmt.Sprintf(`export DOCTOR_REFUSED=%d`, unix.SYS_OPENAT2), "kernel/openat2", Fail, "EPERM", "seccomp filter"},
	{"a filter that refuses openat2: itself", fmt.Sprintf(`export DOCTOR_REFUSED=%d`, unix.SYS_OPENAT2), "security/own-filter", Warn, "filter", "unconfined"},
	{"a filter that refuses clone3", fmt.Sprintf(`export DOCTOR_REFUSED=%d`, unix.SYS_CLONE3), "kernel/clone3", Fail, "ENOSYS", "seccomp filter"},
	{"a filter that refuses pivot_root", fmt.Sprintf(`export DOCTOR_REFUSED=%d`, unix.SYS_PIVOT_ROOT), "kernel/pivot_root", Fail, "pivot_root(", "as root"},
	{"parts of proc masked", `mount -t tmpfs none /proc/irq`, "kernel/proc", Warn, "/proc/irq", "systempaths=unconfined"},
	{"another version of glassrun", `printf '#!/bin/sh\necho glassrun version 0.0.9\n' >$DIR/glassrun; chmod 755 $DIR/glassrun; export GLASSBOX_GLASSRUN=$DIR/glassrun`, "programs/glassrun", Fail, "0.0.9", "same build"},
	{"no tools", `WITH="env PATH=/nonexistent"`, "programs/lessons", Warn, "unshare", "apt install util-linux"},
	{"a program from the future", `WITH=$DIR/with; printf '#!/bin/sh
cp "$1" $0.copy; touch -d "+1 year" $0.copy; exec $0.copy
' >$WITH; chmod 755 $WITH`, "machine/clock", Fail, "earlier than", "set the clock"},
}

const overlaid = `mkdir -p $DIR/l $DIR/u $DIR/w $DIR/m; mount -t overlay overlay -o lowerdir=$DIR/l,upperdir=$DIR/u,workdir=$DIR/w $DIR/m; export GLASSBOX_ROOT=$DIR/m/data; `

const inUse = `mkdir $DIR/m/data; touch $DIR/m/data/x`

// inUser has doctor run as root of a user namespace of its own, after a command there.
func inUser(command string) string {
	return "cat >$DIR/with <<'END'\n#!/bin/sh\nexec unshare -r sh -ec '" + command + `; exec "$0"' "$1"` + "\nEND\nchmod 755 $DIR/with; WITH=$DIR/with"
}

func TestWhatIsProvokedIsFound(t *testing.T) {
	whole := patient(t, "")
	for _, p := range provoked {
		t.Run(p.name, func(t *testing.T) {
			area, _, _ := strings.Cut(p.check, "/")
			if before := whole.check(t, p.check); before.Result == p.result && strings.Contains(before.Found, p.found) {
				t.Skipf("so it is without being provoked: %s", before.Found)
			}
			c := patient(t, p.prepare, area).check(t, p.check)
			if c.Result != p.result || !strings.Contains(c.Found+c.Why, p.found) || !strings.Contains(c.Fix, p.fix) {
				t.Errorf("want %s %q fix %q; got\n%+v", p.result, p.found, p.fix, c)
			}
		})
	}
}

func TestNothingIsLeft(t *testing.T) {
	before := groupsOfDoctors(t)
	dir := t.TempDir()
	list := func() []string {
		all, _ := filepath.Glob(dir + "/.*doctor*")
		return all
	}
	t.Setenv("GLASSBOX_ROOT", dir+"/data")
	t.Setenv("GLASSBOX_RUN", dir+"/run")
	need.Root(t)
	Examine("kernel", "cgroups", "files")
	if left := list(); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if _, err := os.Stat(dir + "/data"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data directory was made")
	}
	if after := groupsOfDoctors(t); len(after) > len(before) {
		t.Errorf("left: %q", after)
	}
}

func groupsOfDoctors(t *testing.T) []string {
	all, _ := filepath.Glob(need.Hierarchy(t) + doctors + "/*")
	return all
}

// TestKilledDoctorIsClearedAwayByTheNext kills doctors at any moment.
func TestKilledDoctorIsClearedAwayByTheNext(t *testing.T) {
	need.Root(t)
	need.Hierarchy(t)
	dir := t.TempDir()
	self, _ := os.Executable()
	killed := 0
	for delay := time.Duration(0); delay < 120*time.Millisecond; delay += 5 * time.Millisecond {
		c := exec.Command(self)
		c.Env = append(os.Environ(), "DOCTOR_AREAS=kernel cgroups files network", "GLASSBOX_ROOT="+dir+"/data", "GLASSBOX_RUN="+dir+"/run")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(delay) // when the kill comes is what differs
		c.Process.Kill()
		if err := c.Wait(); err != nil {
			killed++
		}
	}
	if killed == 0 {
		t.Fatal("none was killed")
	}
	t.Setenv("GLASSBOX_ROOT", dir+"/data")
	t.Setenv("GLASSBOX_RUN", dir+"/run")
	// The last one's child holds the lock until it has noticed that its host is gone.
	var left []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		Examine("kernel", "cgroups", "files")
		left, _ = filepath.Glob(dir + "/.*")
		left = append(left, groupsOfDoctors(t)...)
		if left = append(left, running(self)...); len(left) == 0 {
			return
		}
	}
	t.Errorf("left: %q", left)
}

// running are the other processes of a program.
func running(program string) (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range all {
		if path, err := os.Readlink(exe); err == nil && path == program && exe != fmt.Sprintf("/proc/%d/exe", os.Getpid()) {
			pids = append(pids, exe)
		}
	}
	return pids
}

// agreement is what a run asks for and the checks that judge it.
type agreement struct {
	flags  string
	checks []string
}

func (a agreement) network() string {
	if strings.HasPrefix(a.flags, "-p") {
		return "bridge"
	}
	return "none"
}

// agreed are what a run asks for and the checks that judge it: a run is refused exactly where one of them fails.
var agreed = []agreement{
	{"", []string{"kernel/overlay", "cgroups/group", "network/namespace"}},
	{"-m 64m", []string{"network/namespace", "cgroups/memory", "kernel/overlay", "cgroups/group"}},
	{"-m 64m --memory-swap 128m", []string{"network/namespace", "cgroups/memory", "cgroups/swap", "kernel/overlay", "cgroups/group"}},
	{"--cpus .5", []string{"network/namespace", "cgroups/cpu", "kernel/overlay", "cgroups/group"}},
	{"--cpuset-cpus 0", []string{"network/namespace", "cgroups/cpuset", "kernel/overlay", "cgroups/group"}},
	{"--pids-limit 64", []string{"network/namespace", "cgroups/pids", "kernel/overlay", "cgroups/group"}},
	{"--userns auto", []string{"kernel/overlay-userns", "kernel/overlay", "cgroups/group"}},
	{"-p 127.0.0.1:8080:80", []string{"network/published-port", "kernel/overlay", "cgroups/group"}},
}

func TestVerdictsAndRunsAgree(t *testing.T) {
	need.SecondKernel(t)
	need.Root(t)
	bin := need.Programs(t)
	for _, where := range []struct{ name, prepare string }{
		{"as it is", ""},
		{"no cgroup2 to write", `for m in $(findmnt -nt cgroup2 -o TARGET); do mount --bind $m $m; mount -o remount,bind,ro $m; done`},
		{"no capability to change owners", `WITH="setpriv --bounding-set -chown"`},
		{"data to be on an overlay", overlaid},
		{"data on an overlay", overlaid + inUse},
		{"no veth pairs", `WITH="setpriv --bounding-set -net_admin"`},
	} {
		if need.VM() && where.prepare != "" {
			continue // there everything is slow, and works as it is
		}
		t.Run(where.name, func(t *testing.T) {
			dir := t.TempDir()
			script := bin + "/glassbox run --rm --network none tiny true >/dev/null 2>&1 || true\n" + where.prepare + "\nip link set lo up || true\n${WITH:-} " + bin + "/glassbox doctor --format json security kernel cgroups network || true\n"
			for _, a := range agreed {
				script += fmt.Sprintf("if ${WITH:-} %s/glassbox run --rm --network %s %s tiny true >$DIR/out 2>&1; then echo ran; else grep ^glassbox: $DIR/out | head -1 | cut -c 1-300; fi\n", bin, a.network(), a.flags)
			}
			c := exec.Command("unshare", "-nm", "--propagation", "private", "bash", "-ec", script)
			c.Env = append(os.Environ(), "GLASSBOX_ROOT="+dir+"/data", "GLASSBOX_RUN="+dir+"/run", "DIR="+dir)
			c.Stderr = os.Stderr
			out, err := c.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var r Report
			rest := json.NewDecoder(bytes.NewReader(out))
			if err := rest.Decode(&r); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			answers := strings.Split(strings.TrimSpace(string(out[rest.InputOffset():])), "\n")
			for i, a := range agreed {
				failing := slices.DeleteFunc(slices.Clone(a.checks), func(name string) bool { return r.check(t, name).Result != Fail })
				if ran := answers[i] == "ran"; ran != (len(failing) == 0) {
					t.Errorf("run %s: %s; doctor has failing: %q", a.flags, answers[i], failing)
				}
			}
		})
	}
}

func TestWordsOfLessons(t *testing.T) {
	need.Root(t)
	t.Setenv("GLASSBOX_ROOT", t.TempDir())
	t.Setenv("GLASSBOX_RUN", t.TempDir())
	memory := Examine("cgroups").check(t, "cgroups/memory")
	for word, want := range map[string]string{
		"root": "", "tool:sh": "", "tool:no-such-tool": "apt install no-such-tool", "net": "", "userns": "", "cgroup:freezer": "", "kernel:overlay": "", "nonsense": "no check",
	} {
		if got := Lacking(word); got != want && (want == "" || !strings.Contains(got, want)) {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	if got := Lacking("cgroup:memory"); (got == "") != (memory.Result != Fail) {
		t.Errorf("cgroup:memory: %q; the check says %s", got, memory.Result)
	}
}

func TestScreen(t *testing.T) {
	r := Report{Machine: Machine{Hostname: "vm\x1b[31m", Kernel: "6.1.0", Architecture: "x86_64", Glassbox: "0.1.0"}, Pass: 1, Warn: 1, Fail: 2, Checks: []Check{
		{"kernel", "clone3", Pass, "made a process", "every container's process", "", ""},
		{"cgroups", "memory", Fail, "held by cgroup v1 at /sys/fs/cgroup/memory", "limits: run -m", "boot with cgroup_no_v1=all", "memory-limit"},
		{"cgroups", "cpu", Fail, "held by cgroup v1 at /sys/fs/cgroup/cpu", "limits: run --cpus", "boot with cgroup_no_v1=all", "cpu-limit"},
		{"files", "quota", Warn, "not in force", "sizes", "mount -o pquota", ""},
	}}
	for _, width := range []int{100, 40} {
		var b bytes.Buffer
		if err := r.Show(&b, screen.Style{Width: width}, false); err != nil {
			t.Fatal(err)
		}
		golden := fmt.Sprintf("testdata/screen-%d.txt", width)
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || !bytes.Equal(want, b.Bytes()) {
			t.Errorf("%v\n%s", err, b.String())
		}
	}
}

// TestUnderSystemd: the group is in a scope that systemd made, which ends with doctor.
func TestUnderSystemd(t *testing.T) {
	need.Systemd(t)
	r := patient(t, "", "cgroups")
	for _, c := range r.Checks {
		if c.Result != Pass {
			t.Errorf("%+v", c)
		}
	}
	if c := r.check(t, "cgroups/group"); !strings.Contains(c.Found, ".scope/") || !strings.Contains(c.Found, "in a scope that systemd made") {
		t.Errorf("%+v", c)
	}
	gone := func() bool {
		left, _ := filepath.Glob("/sys/fs/cgroup/system.slice/*doctor*")
		return len(left) == 0
	}
	for end := time.Now().Add(30 * time.Second); !gone(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the scope is left")
		}
	}
}
