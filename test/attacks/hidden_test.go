package attacks

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"glassbox/test/bundle"
	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// masked is what Docker hides of the host: each that is missing there was a hole once, such as /proc/acpi (CVE-2018-10892), /proc/keys,
// /sys/firmware, /proc/scsi (CVE-2017-16539) and powercap (CVE-2020-8694).
var masked = []string{
	"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
	"/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
}

// TestHidden looks for what is masked by every way there is to it, as the container's root and as the root of a user namespace that it makes.
func TestHidden(t *testing.T) {
	need.SecondKernel(t)
	b := bundle.New(t)
	b.Spec.Linux.MaskedPaths = masked
	a := foreground(t, b, append([]string{"/bin/attack", "hidden"}, masked...)...)
	withstood(t, a.Out, "held uncovering /proc/keys: operation not permitted", "held looking into /proc/keys", "held looking into /sys/firmware")
	if strings.Contains(a.Out, "a user namespace of its own") {
		withstood(t, a.Out, "held uncovering /proc/keys: invalid argument", "held a new proc: operation not permitted", "held /proc without what lies on it: invalid argument")
	}
	b = bundle.New(t) // where nothing is masked, it is found
	if a := foreground(t, b, append([]string{"/bin/attack", "hidden"}, masked...)...); !strings.Contains(a.Out, "ESCAPED looking into /proc/keys") {
		t.Errorf("unmasked /proc/keys is not found: %s", a.Out)
	}
}

// hidden looks for paths of the host's, uncovers them, and does it again with the rights that a user namespace gives.
func hidden(paths []string) {
	for _, path := range paths {
		for _, before := range []string{"", "/proc/self/root", "/proc/1/root", "/proc/self/cwd", "/proc/thread-self/root", "/bin/.."} {
			peer(before + path)
		}
		for _, flags := range []int{0, unix.MNT_DETACH} {
			tried("uncovering "+path, missing(path, unix.Unmount(path, flags)))
		}
		tried("moving "+path, missing(path, unix.Mount(path, "/tmp", "", unix.MS_MOVE, "")))
	}
	for kind, flags := range map[string]uintptr{"proc": 0, "sysfs": 0, "securityfs": 0} {
		tried("a new "+kind, unix.Mount(kind, "/mnt", kind, flags, ""))
	}
	for _, dir := range []string{"/proc", "/sys"} {
		tried(dir+" without what lies on it", unix.Mount(dir, "/mnt", "", unix.MS_BIND, ""))
		fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE)
		if err == nil {
			peer("/proc/self/fd/" + string(rune('0'+fd%10)) + "/keys")
		}
		tried(dir+" as a tree of its own", err)
	}
	again, err := os.Executable()
	if err != nil || os.Getenv("DEEPER") != "" {
		return
	}
	c := exec.Command(again, append([]string{"hidden"}, paths...)...)
	c.Env = append(os.Environ(), "DEEPER=1")
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
	}
	out, err := c.CombinedOutput()
	if err != nil {
		held("a user namespace", err)
		return
	}
	os.Stdout.WriteString("in a user namespace of its own:\n" + string(out))
}

// missing is err, unless there is no such path: then nothing was tried.
func missing(path string, err error) error {
	if _, gone := os.Lstat(path); gone != nil {
		return gone
	}
	return err
}

// peer says whether there is anything to see.
func peer(path string) {
	f, err := os.Open(path)
	if err != nil {
		held("looking into "+path, err)
		return
	}
	defer f.Close()
	if names, _ := f.Readdirnames(1); len(names) > 0 {
		escaped("looking into %s finds %s", path, names[0])
		return
	}
	if n, _ := f.Read(make([]byte, 1)); n > 0 {
		escaped("looking into %s finds something", path)
		return
	}
	held("looking into "+filepath.Clean(path), io.EOF)
}
