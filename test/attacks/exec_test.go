package attacks

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"glassbox/test/bundle"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestTracedExec is CVE-2016-9962: a process of the container attaches to one that is entering it, while that still has the host's files
// open, and reads its memory, its descriptors, its root. PID 1 may trace whoever is its own; in a user namespace it has CAP_SYS_PTRACE too (who
// has that in the host's is the host's root).
func TestTracedExec(t *testing.T) {
	for _, kind := range []string{"trace", "peek", "trace mapped", "peek mapped"} {
		t.Run(kind, func(t *testing.T) {
			b := bundle.New(t)
			kind, mapped := strings.CutSuffix(kind, " mapped")
			if mapped {
				b.Mapped()
				b.Grant("CAP_SYS_PTRACE", "CAP_SYS_ADMIN")
			}
			said := detach(t, b, "/bin/attack", "watch", kind)
			waitFor(t, said, "watching")
			met := regexp.MustCompile("held .*(permission denied|operation not permitted)")
			for n, deadline := 0, time.Now().Add(time.Minute); n < 30 || !met.MatchString(said()) && time.Now().Before(deadline); n++ {
				if a := bundle.Glassrun(t, b.Global("exec", b.ID, "/bin/true")...); a.Code != 0 && kind != "trace" {
					t.Fatalf("exec: exit %d: %s%s", a.Code, a.Out, a.Errs)
				}
			}
			bundle.Glassrun(t, b.Global("exec", b.ID, "/bin/sleep", "1")...) // this one at least is met
			waitFor(t, said, "own: ")
			withstood(t, said(), met.String())
		})
	}
}

// trace attaches to a process and looks what it has stopped.
func trace(pid string) {
	n, _ := strconv.Atoi(pid)
	if err := unix.PtraceSeize(n); err != nil {
		once("held seizing: " + err.Error())
		return
	}
	unix.PtraceInterrupt(n)            //nolint:errcheck // it may have ended
	unix.Wait4(n, nil, unix.WALL, nil) //nolint:errcheck // so too
	look(pid)
	unix.PtraceDetach(n) //nolint:errcheck // so too
}

// peek goes in by /proc: memory, root, working directory, descriptors.
func peek(pid string) {
	for _, name := range []string{"mem", "root", "cwd", "fd", "map_files", "environ", "ns/mnt"} {
		f, err := os.Open("/proc/" + pid + "/" + name)
		if err != nil {
			once("held " + name + ": " + errno(err).Error())
			continue
		}
		look(pid)
		f.Close()
	}
}

// look says whose program a process runs that lies open to us. It may have become the container's just now; never the other way.
func look(pid string) {
	fd, err := unix.Open("/proc/"+pid+"/exe", unix.O_PATH, 0)
	if err != nil {
		once("held exe: " + err.Error())
		return
	}
	defer unix.Close(fd)
	if inside(fd) {
		once("own: a process of the container's")
		return
	}
	escaped("a process of the host's lies open")
}

var told = map[string]bool{}

// once says it if it has not been said.
func once(what string) {
	if !told[what] {
		told[what] = true
		fmt.Println(what)
	}
}

func errno(err error) error {
	var e unix.Errno
	errors.As(err, &e)
	return e
}

// TestExecLoadsNothing: a library that the container wants preloaded, by the environment or by /etc/ld.so.preload, finds no dynamic linker
// in the runtime, and the environment is the program's alone (CVE-2019-5736's other way in).
func TestExecLoadsNothing(t *testing.T) {
	path := filepath.Join(need.Programs(t), "glassrun")
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is linked dynamically", path)
		}
	}
	b := bundle.New(t)
	if err := os.WriteFile(b.Root("etc/ld.so.preload"), []byte("/evil.so\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	detach(t, b, "sleep", "1000")
	a := bundle.Glassrun(t, b.Global("exec", "--env", "LD_PRELOAD=/evil.so", "--env", "GODEBUG=inittrace=1", b.ID, "sh", "-c", "echo $LD_PRELOAD")...)
	if a.Out != "/evil.so" || a.Errs != "" || a.Code != 0 {
		t.Errorf("exit %d, %q, %q", a.Code, a.Out, a.Errs)
	}
}

// TestExecUnderFalseProc: the container has made a /proc of its own (CVE-2019-16884, CVE-2019-19921). What is written to /proc/self goes
// where a link leads there, unless it is written before the container is entered, or into a procfs that is known to be one.
func TestExecUnderFalseProc(t *testing.T) {
	b := bundle.New(t)
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("whole"), 0o666); err != nil {
		t.Fatal(err)
	}
	b.Spec.Mounts = append(b.Spec.Mounts, specs.Mount{Destination: "/victim", Type: "bind", Source: victim, Options: []string{"bind"}})
	b.Grant("CAP_SYS_ADMIN")
	said := detach(t, b, "sh", "-c", `mount -t tmpfs x /proc && mkdir -p /proc/self/attr/apparmor /proc/thread-self/attr/apparmor
		for f in oom_score_adj attr/exec attr/keycreate attr/apparmor/exec setgroups uid_map comm timerslack_ns; do
			ln -s /victim /proc/self/$f; ln -s /victim /proc/thread-self/$f; done
		echo covered; sleep 1000`)
	waitFor(t, said, "covered")
	score := 321
	process, err := json.Marshal(specs.Process{Args: []string{"sleep", "1000"}, Env: []string{"PATH=/bin"}, Cwd: "/", OOMScoreAdj: &score})
	if err == nil {
		err = os.WriteFile(b.Path("process.json"), process, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	background(t, b, b.Global("exec", "--detach", "--pid-file", b.Path("pid"), "--process", b.Path("process.json"), b.ID)...)
	if text, _ := os.ReadFile(victim); string(text) != "whole" {
		t.Errorf("the file to which the links lead holds %q", text)
	}
	pid, err := os.ReadFile(b.Path("pid"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/oom_score_adj")
	if err != nil || strings.TrimSpace(string(text)) != "321" {
		t.Errorf("the process's oom_score_adj is %q (%v), not the 321 asked for", text, err)
	}
}

// waitFor waits until an attack in the background has said something.
func waitFor(t *testing.T, said func() string, what string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !regexp.MustCompile(what).MatchString(said()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the attack has not said %q within a minute, but:\n%s", what, said())
		}
	}
}

// watch does something to every process that comes, for ever.
func watch(args []string) {
	ways := map[string]func(pid string){"exe": hold, "trace": trace, "peek": peek}
	runtime.LockOSThread() // who traces is a thread, ptrace(2)
	fmt.Println("watching")
	for {
		entries, err := os.ReadDir("/proc")
		if err != nil {
			held("looking for processes", err)
			return
		}
		for _, e := range entries {
			if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() {
				ways[args[0]](e.Name())
			}
		}
		again()
		reap()
	}
}

// reap: what an exec leaves becomes ours, who are PID 1.
func reap() {
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
			return
		}
	}
}

// kept are descriptors of a runtime's file.
var kept []int

// hold writes the runtime's file, and keeps it to write it again.
func hold(pid string) {
	if len(kept) < 100 {
		if fd := write("/proc/" + pid + "/exe"); fd >= 0 {
			kept = append(kept, fd)
		}
	}
}

// again writes what is kept.
func again() {
	for _, fd := range kept {
		overwriteHeld(fd)
	}
}
