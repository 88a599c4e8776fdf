package attendant

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glassbox/sealed"
	"glassbox/store"

	"golang.org/x/sys/unix"
)

func (r *room) running() bool {
	r.t.Helper()
	yes, err := Running(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	return yes
}

// pid is that of the attendant.
func (r *room) pid() (pid int) {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, lockName))
	if err != nil {
		r.t.Fatal(err)
	}
	fmt.Sscan(string(data), &pid)
	return pid
}

// container is a process to stay with.
func container(t testing.TB) *exec.Cmd {
	t.Helper()
	c := exec.Command("sleep", "100")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { finish(c) })
	return c
}

func finish(c *exec.Cmd) {
	c.Process.Kill()
	c.Wait()
}

func TestStop(t *testing.T) {
	r := newRoom(t)
	if r.running() {
		t.Error("an attendant runs that was never started")
	}
	r.zone("front").host("a", "web", "10.0.0.2")
	r.start()
	if !r.running() {
		t.Fatal("it does not hold the lock")
	}
	exe := fmt.Sprintf("/proc/%d/exe", r.pid())
	f, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !sealed.Is(int(f.Fd())) {
		t.Error("it does not run from a sealed file")
	}
	for range 2 {
		if err := Stop(r.dir); err != nil {
			t.Fatal(err)
		}
		if r.running() {
			t.Error("it still runs")
		}
	}
	for _, s := range r.resolver(r.server.String()) { // the addresses are free again
		s.Close()
	}
}

// The attendant goes with its container, but not while a monitor may start it again.
func TestEndsWithTheContainer(t *testing.T) {
	r := newRoom(t)
	r.zone("front")
	first := container(t)
	r.config.Pid = first.Process.Pid
	monitor, err := store.Exclusive(t.Context(), r.config.Alive)
	if err != nil {
		t.Fatal(err)
	}
	defer monitor.Release()
	r.start()
	finish(first)
	time.Sleep(100 * time.Millisecond)
	if !r.running() {
		t.Fatal("it ended while the monitor lives")
	}
	second, pid := container(t), r.pid()
	if whose := pidfd(t, pid); whose != "-1" {
		t.Fatalf("the pidfd of the first process is %q", whose)
	}
	if err := store.Write(r.config.State, map[string]int{"Pid": second.Process.Pid}); err != nil {
		t.Fatal(err)
	}
	until(t, "the second process's pidfd", func() bool { return pidfd(t, pid) == fmt.Sprint(second.Process.Pid) })
	monitor.Release()
	time.Sleep(100 * time.Millisecond)
	if !r.running() {
		t.Fatal("it ended while the second process lives")
	}
	finish(second)
	until(t, "its end", func() bool { return !r.running() })
}

// pidfd says whose pidfd an attendant has (proc_pid_fdinfo(5)).
func pidfd(t *testing.T, pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", pid, pidFD))
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(data), "\nPid:")
	line, _, _ = strings.Cut(line, "\n")
	return strings.TrimSpace(line)
}

// A container that is gone before its attendant is there gets none.
func TestContainerIsGone(t *testing.T) {
	r := newRoom(t)
	c := container(t)
	finish(c)
	r.config.Pid = c.Process.Pid
	err := come(Spawn("/proc/self/exe", r.dir, r.config, nil))
	if err == nil || !strings.Contains(err.Error(), "opening the container's process") || r.running() {
		t.Error(err)
	}
}

func TestSpawnTellsWhy(t *testing.T) {
	r := newRoom(t)
	r.config.Ports = []Port{{Proto: "tcp"}}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	err = come(Spawn("/proc/self/exe", r.dir, r.config, []*os.File{null}))
	if err == nil || !strings.Contains(err.Error(), "starting the attendant of c1: serving port") {
		t.Error(err)
	}
	if err := come(Spawn("/proc/self/exe", r.dir, r.config, nil)); err == nil || !strings.Contains(err.Error(), "needs 1 sockets and was given 0") {
		t.Error(err)
	}
	if err := come(Spawn("/nowhere/glassrun", r.dir, r.config, []*os.File{null})); err == nil {
		t.Error("a program that does not exist was started")
	}
	os.Remove(filepath.Join(r.dir, logName)) // it said the same there
}

// A second attendant of the same container is refused; the lock of one that was killed is not in the way, and Stop kills nobody whose
// pid is in it.
func TestLock(t *testing.T) {
	r := newRoom(t)
	r.zone("front")
	r.start()
	other := container(t)
	unix.Kill(r.pid(), unix.SIGKILL)
	until(t, "its end", func() bool { return !r.running() })
	r.start()
	path := filepath.Join(r.dir, lockName)
	own := r.pid()
	if err := os.WriteFile(path, []byte(fmt.Sprint(other.Process.Pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	if fd, err := holder(r.dir); err != nil || fd >= 0 {
		t.Errorf("%d, %v: a process that is no attendant was taken for one", fd, err)
	}
	if err := os.WriteFile(path, []byte(fmt.Sprint(own)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the engine's caller left open must not stay open as long as the container lives, and nothing of the environment matters.
func TestInherits(t *testing.T) {
	r := newRoom(t)
	r.zone("front")
	fd, err := unix.Open("/", unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD, 40)
	if err != nil {
		t.Fatal(err)
	}
	r.start()
	unix.Close(fd)
	unix.Close(high)
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", r.pid()))
	for _, l := range links {
		if to, _ := os.Readlink(l); to == "/" {
			t.Errorf("%s leads to /", l)
		}
	}
	if sid, err := unix.Getsid(r.pid()); err != nil || sid != r.pid() {
		t.Errorf("its session is %d (%v)", sid, err)
	}
}

// Started by hand it says what it is for, whatever the shell has open.
func TestByHand(t *testing.T) {
	r := newRoom(t)
	for _, redirection := range []string{"3>&-", "3<attendant.log", "3<."} {
		c := exec.Command("/bin/sh", "-c", "exec "+glassrun(t)+" attend . "+redirection)
		c.Dir = r.dir
		write(t, filepath.Join(r.dir, logName), nil)
		if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "started by glassbox, not by hand") {
			t.Errorf("%s: %v: %s", redirection, err, out)
		}
	}
	for _, args := range [][]string{nil, {"a", "b"}, {"--help"}} {
		if err := Run(args); err == nil || !strings.Contains(err.Error(), "one argument") {
			t.Errorf("%q: %v", args, err)
		}
	}
}
