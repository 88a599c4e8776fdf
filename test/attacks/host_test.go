package attacks

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"glassbox/test/bundle"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestHost tries what has let containers act on the host though they stood in namespaces: programs that the kernel runs on the host's behalf
// (core_pattern, modprobe, uevent_helper, the release_agent of CVE-2022-0492), files by their handles (the "shocker" of 2014), the host's
// disk as a device, groups above the container's own, namespaces of others, the kernel's switches.
func TestHost(t *testing.T) {
	need.SecondKernel(t)
	b := bundle.New(t)
	b.Spec.Linux.ReadonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
	b.Spec.Linux.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}}
	a := foreground(t, b, "/bin/attack", "host", hostDisk(t))
	withstood(t, a.Out, "held writing /proc/sys/kernel/core_pattern: read-only file system", "held a file by its handle: operation not permitted",
		"held the host's disk: operation not permitted", "held /proc/sys writable: operation not permitted", "held the group above")
}

// hostDisk is the number of a block device of the host's, as mknod(2) wants it.
func hostDisk(t *testing.T) string {
	t.Helper()
	names, _ := filepath.Glob("/sys/class/block/*/dev")
	if len(names) == 0 {
		return "7:0" // a loop device is one even if there is none
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// switches of the kernel's that concern all of the machine.
var switches = []string{
	"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/poweroff_cmd", "/proc/sys/fs/binfmt_misc/register", "/proc/sysrq-trigger",
	"/proc/sys/vm/panic_on_oom", "/proc/sys/kernel/ns_last_pid", "/sys/kernel/uevent_helper", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/state",
	"/sys/fs/cgroup/cgroup.procs", "/proc/irq/default_smp_affinity",
}

func reachHost(args []string) {
	for _, path := range switches {
		fd, err := unix.Open(path, unix.O_WRONLY, 0) // opened is bad enough: nothing is written
		if err == nil {
			unix.Close(fd)
		}
		tried("writing "+path, err)
	}
	for _, path := range []string{"/proc/sys", "/sys", "/sys/fs/cgroup", "/proc/sysrq-trigger"} {
		tried(path+" writable", unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND, ""))
	}
	handles()
	if len(args) > 0 {
		disk(args[0])
		foreign()
	}
	groups()
	if os.Getenv("DEEPER") != "" {
		return
	}
	c := exec.Command("/proc/self/exe", "host")
	c.Env = append(os.Environ(), "DEEPER=1")
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP,
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

// handles opens the root of the file system on which the container's lies: its inode is 2 or 128, open_by_handle_at(2).
func handles() {
	for _, inode := range []byte{2, 128} {
		bytes := []byte{inode, 0, 0, 0, 0, 0, 0, 0}
		root, err := os.Open("/")
		if err == nil {
			_, err = unix.OpenByHandleAt(int(root.Fd()), unix.NewFileHandle(1, bytes), unix.O_RDONLY)
			root.Close()
		}
		tried("a file by its handle", err)
	}
}

// disk makes a node for a block device of the host's and opens it.
func disk(number string) {
	var major, minor uint32
	fmt.Sscanf(number, "%d:%d", &major, &minor)
	err := unix.Mknod("/tmp/disk", unix.S_IFBLK|0o600, int(unix.Mkdev(major, minor)))
	if err == nil {
		var fd int
		if fd, err = unix.Open("/tmp/disk", unix.O_RDONLY, 0); err == nil {
			unix.Close(fd)
		}
	}
	tried("the host's disk", err)
}

// foreign looks for namespaces that are not ours: who has the file can enter.
func foreign() {
	files, _ := filepath.Glob("/proc/[0-9]*/ns/*")
	for _, file := range files {
		theirs, err := os.Readlink(file)
		ours, ourErr := os.Readlink("/proc/self/ns/" + filepath.Base(file))
		if err == nil && ourErr == nil && theirs != ours && !strings.HasSuffix(file, "_for_children") {
			escaped("%s is %s, not our %s", file, theirs, ours)
		}
	}
}

// groups mounts the trees of cgroups, looks whether they show more than our own group, and for a release_agent to write.
func groups() {
	kinds := map[string]string{"cgroup2": "cgroup2"}
	if f, err := os.Open("/proc/self/cgroup"); err == nil {
		for s := bufio.NewScanner(f); s.Scan(); {
			if part := strings.SplitN(s.Text(), ":", 3); len(part) == 3 && part[1] != "" {
				kinds[part[1]] = "cgroup"
			}
		}
		f.Close()
	}
	var own unix.Stat_t
	unix.Stat("/sys/fs/cgroup", &own) //nolint:errcheck // then no group looks like ours
	for options, kind := range kinds {
		data := options
		if kind == "cgroup2" {
			data = ""
		}
		if err := unix.Mount(kind, "/mnt", kind, 0, data); err != nil {
			held("the group above, by a mount of "+options, err)
			continue
		}
		var top unix.Stat_t
		if err := unix.Stat("/mnt", &top); kind == "cgroup2" && (err != nil || top.Ino != own.Ino || top.Dev != own.Dev) {
			escaped("a mount of cgroup2 shows another group than ours")
		}
		agent, err := os.ReadFile("/mnt/release_agent")
		if err == nil {
			err = os.WriteFile("/mnt/release_agent", append(agent, '\n'), 0) // as it was, should that be possible
		}
		tried("a release_agent of "+options, err)
		unix.Unmount("/mnt", 0) //nolint:errcheck // it goes with us
	}
	_, err := os.Stat("/sys/fs/cgroup/../cgroup.procs")
	tried("the group above", err)
}
