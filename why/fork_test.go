package why

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// stuck starts a program that cannot fork any more: it prints why and then waits, to be asked about.
func stuck(t *testing.T, argv ...string) (said string, pid int) {
	t.Helper()
	c := exec.Command(argv[0], argv[1:]...)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); c.Wait() })
	said, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(said), c.Process.Pid
}

func first(t *testing.T, errno unix.Errno, call string, objects ...string) Tested {
	t.Helper()
	a, err := Ask(Question{Errno: errno, Call: call, Objects: objects})
	if err != nil {
		t.Fatal(err)
	}
	return a.Causes[0]
}

// TestNobodyIsBorn: the first child of unshare --pid without --fork was PID 1, and has ended.
func TestNobodyIsBorn(t *testing.T) {
	need.Root(t)
	perl := need.Program(t, "perl")
	said, pid := stuck(t, "unshare", "-p", perl, "-e", `$|=1; system("true"); fork; print "$!\n"; <STDIN>`)
	if said != "Cannot allocate memory" {
		t.Fatalf("fork: %s", said)
	}
	if c := first(t, unix.ENOMEM, "fork", itoa(pid)); c.Name != "PID namespace without an init" || c.Holds != Yes {
		t.Errorf("%+v", c)
	}
	if c := first(t, unix.ENOMEM, "fork", itoa(os.Getpid())); c.Holds == Yes {
		t.Errorf("of a process that can: %+v", c)
	}
}

func TestProcessLimit(t *testing.T) {
	need.Root(t)
	perl := need.Program(t, "perl")
	limit := need.Program(t, "prlimit")
	said, pid := stuck(t, "setpriv", "--reuid", "54321", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", limit, "--nproc=1", perl, "-e", `$|=1; fork; print "$!\n"; <STDIN>`)
	if said != "Resource temporarily unavailable" {
		t.Fatalf("fork: %s", said)
	}
	if c := first(t, unix.EAGAIN, "clone", itoa(pid)); c.Name != "RLIMIT_NPROC" || c.Holds != Yes {
		t.Errorf("%+v", c)
	}
}

// group makes a cgroup of the test's own.
func group(t *testing.T, parent, name string) string {
	t.Helper()
	dir := filepath.Join(parent, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	return dir
}

func write(file, text string) error { return os.WriteFile(file, []byte(text), 0) }

// inside starts a process in a group.
func inside(t *testing.T, dir string) int {
	t.Helper()
	c := exec.Command("sh", "-c", `echo $$ >`+dir+`/cgroup.procs; echo; read x`)
	in, _ := c.StdinPipe()
	out, _ := c.StdoutPipe()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); c.Wait() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid
}

// TestGroups needs no controllers.
func TestGroups(t *testing.T) {
	need.Root(t)
	top := group(t, need.Hierarchy(t), fmt.Sprintf("glassbox-why-%d", os.Getpid()))
	below := group(t, top, "below")
	fails := func(err error, errno unix.Errno, call, cause string, objects ...string) {
		t.Helper()
		if err == nil || !strings.HasSuffix(err.Error(), errno.Error()) {
			t.Fatalf("%s: %v, not %v", call, err, errno)
		}
		if c := first(t, errno, call, objects...); c.Name != cause || c.Holds != Yes {
			t.Errorf("%s: %+v, not %s", call, c, cause)
		}
	}
	fails(unix.Rmdir(top), unix.EBUSY, "rmdir", "groups below", top)
	pid := inside(t, below)
	fails(unix.Rmdir(below), unix.EBUSY, "rmdir", "processes in the group", below)
	if c := first(t, unix.EBUSY, "rmdir", below); !strings.Contains(strings.Join(c.Evidence, " "), named(pid)) {
		t.Errorf("%v does not name %s", c.Evidence, named(pid))
	}
	fails(write(top+"/cgroup.subtree_control", "+nosuch"), unix.EINVAL, "cgroup.subtree_control", "unknown controller", top, "nosuch")
	if contains(controllersOfV1(), "memory") {
		fails(write(top+"/cgroup.subtree_control", "+memory"), unix.ENOENT, "cgroup.subtree_control", "held by cgroup v1", top, "memory")
	}
}

// TestDomains are the rules of groups that hand controllers on.
func TestDomains(t *testing.T) {
	root := need.CgroupV2(t, "memory", "pids")
	if err := write(root+"/cgroup.subtree_control", "+memory +pids"); err != nil {
		t.Fatal(err)
	}
	top := group(t, root, fmt.Sprintf("glassbox-why-%d", os.Getpid()))
	fails := func(err error, errno unix.Errno, call, cause string, objects ...string) {
		t.Helper()
		if err == nil || !strings.HasSuffix(err.Error(), errno.Error()) {
			t.Fatalf("%s: %v, not %v", call, err, errno)
		}
		if c := first(t, errno, call, objects...); c.Name != cause || c.Holds != Yes {
			t.Errorf("%s: %+v, not %s", call, c, cause)
		}
	}
	full := group(t, top, "full")
	pid := inside(t, full)
	if err := write(top+"/cgroup.subtree_control", "+memory +pids"); err != nil {
		t.Fatal(err)
	}
	fails(write(full+"/cgroup.subtree_control", "+memory"), unix.EBUSY, "cgroup.subtree_control", "no internal processes", full)
	if c := first(t, unix.EBUSY, "cgroup.subtree_control", full); !strings.Contains(strings.Join(c.Evidence, " "), named(pid)) {
		t.Errorf("%v does not name %s", c.Evidence, named(pid))
	}
	fails(write(top+"/cgroup.procs", itoa(os.Getpid())), unix.EBUSY, "cgroup.procs", "no internal processes", top)
	fails(write(root+"/cgroup.subtree_control", "-memory"), unix.EBUSY, "cgroup.subtree_control", "a child still hands it on", root)
	bare := group(t, full, "bare")
	fails(write(bare+"/cgroup.subtree_control", "+memory"), unix.ENOENT, "cgroup.subtree_control", "controller that the group has not", bare, "memory")
	_, err := os.ReadFile(bare + "/memory.max")
	fails(err, unix.ENOENT, "cgroup", "controller not handed down", bare+"/memory.max")
	strands := group(t, top, "strands")
	if err := write(strands+"/cgroup.type", "threaded"); err == nil {
		fails(write(strands+"/cgroup.procs", itoa(os.Getpid())), unix.EOPNOTSUPP, "cgroup.procs", "threaded group", strands)
	}
	tight := group(t, top, "tight")
	if err := write(tight+"/pids.max", "1"); err != nil {
		t.Fatal(err)
	}
	said, who := stuck(t, "sh", "-c", `echo $$ >`+tight+`/cgroup.procs; exec perl -e '$|=1; fork; print "$!\n"; <STDIN>'`)
	if said != "Resource temporarily unavailable" {
		t.Fatalf("fork: %s", said)
	}
	if c := first(t, unix.EAGAIN, "clone", itoa(who)); c.Name != "pids limit of a cgroup" || c.Holds != Yes {
		t.Errorf("%+v", c)
	}
}
