package attacks

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"glassbox/test/bundle"

	"golang.org/x/sys/unix"
)

// careless is a parent that leaves the host's directories open.
func careless(t *testing.T) []*os.File {
	t.Helper()
	var open []*os.File
	for _, dir := range []string{"/", "/proc", t.TempDir()} {
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		open = append(open, f)
	}
	return open
}

// most is the highest number of a descriptor that glassrun may have open, with some to spare.
const most = 24

// up is a way to the host's root from wherever a descriptor of the host's leads.
var up = strings.Repeat("../", 40)

// TestWorkingDirectory is CVE-2024-21626: runc had the host's cgroup directory open when it changed to process.cwd, which was
// /proc/self/fd/7 then, by an image's WORKDIR or by `exec --cwd`. What lies above it is the host.
func TestWorkingDirectory(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "host")
	if err := os.WriteFile(marker, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	open := careless(t)
	b := bundle.New(t)
	if err := os.Symlink("/proc/self/fd/3", b.Root("cgroup")); err != nil {
		t.Fatal(err)
	}
	detach(t, b, "sleep", "1000")
	fresh := bundle.New(t)
	fresh.Spec.Process.Args = []string{"/bin/attack", "climb", marker}
	for _, cwd := range append(numbers("/proc/self/fd/%d"), "/proc/self/fd/3/..", "/proc/thread-self/fd/3", "/proc/1/cwd/..", "/cgroup", "/dev/fd/3") {
		fresh.Spec.Process.Cwd = cwd
		fresh.Write(t)
		for _, c := range [][]string{
			fresh.Global("run", "--bundle", fresh.Dir, fresh.ID),
			b.Global("exec", "--cwd", cwd, b.ID, "/bin/attack", "climb", marker),
		} {
			run := bundle.Command(t, c...)
			run.ExtraFiles = open
			a := bundle.Run(t, run)
			withstood(t, a.Out)
			if a.Code != 0 && a.Errs == "" {
				t.Errorf("%v: exit %d without a word", c, a.Code)
			}
		}
	}
	for _, cwd := range []string{"/", "/tmp"} { // the attack itself works, where a working directory is to be had
		fresh.Spec.Process.Cwd = cwd
		fresh.Write(t)
		withstood(t, bundle.Glassrun(t, fresh.Global("run", "--bundle", fresh.Dir, fresh.ID)...).Out, "held climbing")
	}
}

func numbers(format string) (all []string) {
	for n := range most {
		all = append(all, fmt.Sprintf(format, n))
	}
	return all
}

// climb looks for a file of the host's above the working directory.
func climb(args []string) {
	_, err := os.Stat(up + args[0])
	tried("climbing", err)
}

// TestProgramPath is the other half of CVE-2024-21626: the program to execute, or the interpreter that a script or a link of the image names,
// is found through a descriptor of the host's. What runs in the container then is a file of the host's, which it can overwrite.
func TestProgramPath(t *testing.T) {
	open := careless(t)
	program := filepath.Join(t.TempDir(), "program")
	copyFile(t, "/proc/self/exe", program)
	b := bundle.New(t)
	for n := range most {
		host := fmt.Sprintf("/proc/self/fd/%d/%s%s", n, up, program)
		if err := os.Symlink(host, b.Root(fmt.Sprintf("bin/link%d", n))); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(b.Root(fmt.Sprintf("bin/script%d", n)), []byte("#!"+host+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	detach(t, b, "sleep", "1000")
	fresh := bundle.New(t)
	fresh.Spec.Root.Path = b.Root("")
	for _, path := range append(append(numbers("/proc/self/fd/%d/"+up+program), numbers("/bin/link%d")...), numbers("/bin/script%d")...) {
		fresh.Spec.Process.Args = []string{path, "victim"}
		fresh.Write(t)
		for _, c := range [][]string{
			fresh.Global("run", "--bundle", fresh.Dir, fresh.ID),
			b.Global("exec", b.ID, path, "victim"),
		} {
			run := bundle.Command(t, c...)
			run.ExtraFiles = open
			withstood(t, bundle.Run(t, run).Out)
		}
	}
	c := exec.Command(program, "victim") // on the host it does run
	c.Env = []string{bundle.Inside}
	if a := bundle.Run(t, c); !strings.Contains(a.Out, "ESCAPED") {
		t.Errorf("the program does not say that it runs: %q", a.Out)
	}
}

// victim is a file of the host's that has come to run. As a script's interpreter it has the script's name before its own arguments.
func victim([]string) { escaped("a program of the host's runs") }

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDescriptors: nothing that the host has open reaches a container (CVE-2016-9962, CVE-2024-21626), whoever left it open.
func TestDescriptors(t *testing.T) {
	open := careless(t)
	for _, run := range bothWays(t, "descriptors") {
		run.ExtraFiles = open
		withstood(t, bundle.Run(t, run).Out, "held descriptors: 0 1 2\n?$")
	}
}

// descriptors lists what this process was given, and of PID 1.
func descriptors([]string) {
	for _, pid := range []string{"self", "1"} {
		if pid == "1" && os.Getpid() == 1 {
			continue
		}
		entries, err := os.ReadDir("/proc/" + pid + "/fd")
		if err != nil {
			held("descriptors of "+pid, err)
			continue
		}
		var given []string
		for _, e := range entries {
			n, _ := strconv.Atoi(e.Name())
			if pid == "self" && ours(n) {
				continue
			}
			given = append(given, e.Name())
			if n > 2 {
				to, _ := os.Readlink("/proc/" + pid + "/fd/" + e.Name())
				escaped("descriptor %d of %s is open: %s", n, pid, to)
			}
		}
		if pid == "self" {
			fmt.Println("held descriptors:", strings.Join(given, " "))
		}
	}
}

// ours says whether the Go runtime or we have opened it: with FD_CLOEXEC, which nothing keeps that came through execve.
func ours(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err != nil || flags&unix.FD_CLOEXEC != 0
}
