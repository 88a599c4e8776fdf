package fields

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"glassbox/test/bundle"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestNamespaces(t *testing.T) {
	need.SecondKernel(t)
	check(t, namespacesRows)
}

// kinds are the words of config.json and the names below /proc/PID/ns.
var kinds = []struct {
	kind specs.LinuxNamespaceType
	file string
}{
	{specs.CgroupNamespace, "cgroup"}, {specs.IPCNamespace, "ipc"}, {specs.MountNamespace, "mnt"}, {specs.NetworkNamespace, "net"},
	{specs.PIDNamespace, "pid"}, {specs.TimeNamespace, "time"}, {specs.UserNamespace, "user"}, {specs.UTSNamespace, "uts"},
}

// which prints the kinds of namespaces in which the container is not with us.
const which = "for n in cgroup ipc mnt net pid time user uts; do echo $n $(readlink /proc/self/ns/$n); done"

// apart says which of them are not the namespaces of the process pid (0: ours).
func apart(t *testing.T, out string, pid int) string {
	t.Helper()
	who := "self"
	if pid > 0 {
		who = strconv.Itoa(pid)
	}
	var list []string
	for line := range strings.Lines(out) {
		w := strings.Fields(line)
		theirs, err := os.Readlink("/proc/" + who + "/ns/" + w[0])
		if err != nil {
			t.Fatal(err)
		}
		if len(w) != 2 || w[1] != theirs {
			list = append(list, w[0])
		}
	}
	return strings.Join(list, " ")
}

// apartFromUs checks which kinds are the container's own.
func apartFromUs(want string) func(*testing.T, string) {
	return func(t *testing.T, out string) {
		if got := apart(t, out, 0); got != want {
			t.Errorf("own namespaces: %s; want %s\n%s", got, want, out)
		}
	}
}

// namespaces replaces the list by these kinds, new ones.
func namespaces(kinds ...specs.LinuxNamespaceType) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Linux.Namespaces = nil
		for _, k := range kinds {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: k})
		}
		if !slices.Contains(kinds, specs.UTSNamespace) {
			s.Hostname = ""
		}
		if !slices.Contains(kinds, specs.NetworkNamespace) && slices.Contains(kinds, specs.UserNamespace) {
			s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Type == "sysfs" }) // not for a user namespace that shares the network
		}
	}
}

// mapped gives a new user namespace ids.
func mapped(s *specs.Spec) {
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: 1, HostID: 100001, Size: 65535}}
	s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 65536}}
}

// neighbour is a process in new namespaces; flags are unshare's.
func neighbour(t *testing.T, flags ...string) int {
	t.Helper()
	c := exec.Command(need.Program(t, "unshare"), append(flags, "sleep", "1000")...)
	c.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Kill(-c.Process.Pid, unix.SIGKILL) //nolint:errcheck // its fork too
		c.Wait()                                //nolint:errcheck // killed
	})
	pid := c.Process.Pid
	if slices.Contains(flags, "--fork") {
		pid = 0
	}
	for end := time.Now().Add(bundle.Patience); ; time.Sleep(5 * time.Millisecond) {
		if pid == 0 {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", c.Process.Pid))
			fmt.Sscan(string(text), &pid) //nolint:errcheck // not yet
		}
		if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); pid > 0 && string(name) == "sleep\n" {
			return pid
		}
		if time.Now().After(end) {
			t.Fatal("unshare has not become sleep")
		}
	}
}

// join is a row whose container joins one namespace of a neighbour's.
func join(kind specs.LinuxNamespaceType, file, script string, flags ...string) row {
	r := row{name: "joined " + string(kind)}
	pid := 0
	r.prepare = func(t *testing.T, b *box) {
		pid = neighbour(t, flags...)
		path := fmt.Sprintf("/proc/%d/ns/%s", pid, file)
		i := slices.IndexFunc(b.Spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
		if i < 0 {
			b.Spec.Linux.Namespaces = append(b.Spec.Linux.Namespaces, specs.LinuxNamespace{Type: kind})
			i = len(b.Spec.Linux.Namespaces) - 1
		}
		b.Spec.Linux.Namespaces[i].Path = path
	}
	r.inside = which
	if script != "" {
		r.inside += "; " + script
	}
	r.check = func(t *testing.T, out string) {
		lines := strings.Split(out, "\n")
		if got := apart(t, strings.Join(lines[:len(kinds)], "\n"), pid); slices.Contains(strings.Fields(got), file) {
			t.Errorf("not in the namespace of %d:\n%s", pid, out)
		}
		if script != "" && lines[len(lines)-1] != "yes" {
			t.Errorf("printed %q, want yes at the end", lines[len(kinds):])
		}
	}
	return r
}

func onlyHere(r row) row {
	r.here = true
	return r
}

func needing(f feature, r row) row {
	r.needs = append(r.needs, f)
	return r
}

// detachedMounts needs a kernel that mounts on a mount which is attached nowhere, as Linux does since 6.15.
func detachedMounts() string {
	tree, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return err.Error()
	}
	defer unix.Close(tree)
	other, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return err.Error()
	}
	defer unix.Close(other)
	if err := unix.MoveMount(other, "", tree, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return "mounting on a detached mount: " + err.Error()
	}
	return ""
}

// offsets needs time namespaces.
var offsets = file("/proc/self/timens_offsets")

var namespacesRows = []row{
	{name: "hostname", edit: func(s *specs.Spec) { s.Hostname = "elsewhere" }, inside: "hostname", prints: "elsewhere"},
	{name: "domainname", here: true, edit: func(s *specs.Spec) { s.Domainname = "example.org" }, inside: "cat /proc/sys/kernel/domainname", prints: "example.org"},
	{name: "hostname without a namespace", edit: func(s *specs.Spec) { namespaces(specs.MountNamespace)(s); s.Hostname = "x" }, refused: "hostname: "},
	{name: "domainname without a namespace", edit: func(s *specs.Spec) { namespaces(specs.MountNamespace)(s); s.Domainname = "x" }, refused: "domainname: "},

	{name: "six new", here: true, inside: which, check: apartFromUs("cgroup ipc mnt net pid uts")},
	{name: "shared", here: true, edit: namespaces(specs.MountNamespace), inside: which, check: apartFromUs("mnt")},
	{name: "all new", needs: []feature{offsets}, edit: func(s *specs.Spec) {
		namespaces(specs.MountNamespace, specs.PIDNamespace, specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.CgroupNamespace, specs.TimeNamespace, specs.UserNamespace)(s)
		mapped(s)
	}, inside: which, check: apartFromUs("cgroup ipc mnt net pid time user uts")},
	{name: "user alone", here: true, edit: func(s *specs.Spec) {
		namespaces(specs.MountNamespace, specs.PIDNamespace, specs.UserNamespace)(s)
		mapped(s)
	},
		inside: which, check: apartFromUs("mnt pid user")},

	// without a mount namespace of its own the container has a root that no path of the host's leads to
	{name: "none", needs: []feature{detachedMounts}, edit: namespaces(), inside: which + "; cat /etc/passwd | head -1; probe mountinfo /proc; test ! -e /usr && echo yes",
		check: func(t *testing.T, out string) {
			lines := strings.Split(out, "\n")
			if got := apart(t, strings.Join(lines[:len(kinds)], "\n"), 0); got != "" || strings.Join(lines[len(kinds):], " ") != "root:x:0:0::/root:/bin/sh yes" {
				t.Errorf("own namespaces: %s\n%s", got, out)
			}
		}},
	{name: "none, exec", here: true, needs: []feature{detachedMounts}, edit: namespaces(), exec: func(p *specs.Process) { p.Args = words("head -1 /etc/passwd; test ! -e /usr && ls /proc/1/comm") },
		prints: "root:x:0:0::/root:/bin/sh\n/proc/1/comm"},
	{name: "none, propagation", edit: func(s *specs.Spec) { namespaces()(s); s.Linux.RootfsPropagation = "shared" }, refused: "linux.rootfsPropagation: the mount namespace is not the container's own"},
	needing(detachedMounts, join(specs.MountNamespace, "mnt", `test "$(head -1 /etc/passwd)" = root:x:0:0::/root:/bin/sh && test ! -e /usr && echo yes`, "--mount")),

	onlyHere(join(specs.NetworkNamespace, "net", "", "--net")),
	onlyHere(join(specs.IPCNamespace, "ipc", "", "--ipc")),
	onlyHere(join(specs.UTSNamespace, "uts", "", "--uts")),
	onlyHere(join(specs.CgroupNamespace, "cgroup", "", "--cgroup")),
	join(specs.PIDNamespace, "pid", "test $$ -gt 1 && test -d /proc/1 && grep -q sleep /proc/1/comm && echo yes", "--pid", "--fork"),
	// a namespace belongs to the user namespace in which it is made: so the joined one's root has named and furnished the new ones
	join(specs.UserNamespace, "user", `test $(id -u) = 0 && test $(hostname) = box && ls /dev/null >/dev/null && echo yes`, "--user", "--map-root-user"),
	{name: "joined ours", here: true, edit: func(s *specs.Spec) {
		for i, k := range []string{"", "", "uts", "ipc", "net"} {
			if k != "" {
				s.Linux.Namespaces[i].Path = fmt.Sprintf("/proc/%d/ns/%s", os.Getpid(), k)
			}
		}
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace, Path: fmt.Sprintf("/proc/%d/ns/user", os.Getpid())})
		s.Hostname = ""
	}, inside: which, check: apartFromUs("cgroup mnt pid")},

	{name: "twice", edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace})
	}, refused: `linux.namespaces[6]: "pid" is listed twice`},
	{name: "unknown", edit: func(s *specs.Spec) { s.Linux.Namespaces[0].Type = "mnt" }, refused: `linux.namespaces[0]: unknown type "mnt"`},
	{name: "path of another type", edit: func(s *specs.Spec) { s.Linux.Namespaces[0].Path = "/proc/self/ns/net" }, refused: "linux.namespaces[0].path: /proc/self/ns/net is a network namespace, not a PID namespace"},
	{name: "path of a file", edit: func(s *specs.Spec) { s.Linux.Namespaces[4].Path = "/etc/hosts" }, refused: "linux.namespaces[4].path: /etc/hosts is not a namespace"},
	{name: "path of nothing", edit: func(s *specs.Spec) { s.Linux.Namespaces[4].Path = "/nonexistent" }, refused: "linux.namespaces[4].path: namespace /nonexistent: no such file or directory"},
	{name: "relative path", edit: func(s *specs.Spec) { s.Linux.Namespaces[4].Path = "ns/net" }, refused: `linux.namespaces[4].path: "ns/net" is not absolute`},

	{name: "uidMappings", edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		mapped(s)
		s.Process.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{7}}
	}, inside: "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups | tr -s ' '; id -u; id -G",
		prints: " 0 0 1\n 1 100001 65535\n 0 0 65536\nallow\n1000\n1000 7"},
	{name: "unmapped user", edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		mapped(s)
		s.Process.User.UID = 70000
	}, refused: "process.user"},
	{name: "maps that overlap", edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		mapped(s)
		s.Linux.UIDMappings[1].HostID = 0
	}, refused: "linux.uidMappings[1] overlaps [0]"},
	{name: "maps without a user namespace", edit: mapped, refused: "linux.uidMappings: user namespace mappings specified, but there is no new user namespace"},

	{name: "timeOffsets", needs: []feature{offsets}, edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 86400, Nanosecs: 7}, "boottime": {Secs: -1, Nanosecs: 5}}
	}, inside: "tr -s ' ' </proc/self/timens_offsets; echo $$", prints: "monotonic 86400 7\nboottime -1 5\n1"},
	{name: "timeOffsets of a user namespace", here: true, needs: []feature{offsets}, edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace}, specs.LinuxNamespace{Type: specs.UserNamespace})
		mapped(s)
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 3600}}
	}, inside: "tr -s ' ' </proc/self/timens_offsets", prints: "monotonic 0 0\nboottime 3600 0"},
	{name: "timeOffsets that reach before the boot", needs: []feature{offsets}, edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: -1 << 40}}
	}, refused: "asked for by linux.timeOffsets"},
	{name: "timeOffsets of an unknown clock", edit: func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"realtime": {Secs: 1}}
	}, refused: `linux.timeOffsets: there is no clock "realtime" to shift`},
	{name: "timeOffsets without a namespace", edit: func(s *specs.Spec) {
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1}}
	}, refused: "linux.timeOffsets: clocks can be shifted only in a new time namespace"},

	{name: "sysctl", edit: func(s *specs.Spec) {
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1", "kernel.shmmni": "123", "fs.mqueue.msg_max": "11"}
	}, inside: "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni /proc/sys/fs/mqueue/msg_max", prints: "1\n123\n11"},
	{name: "sysctl of the host", edit: func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"vm.swappiness": "1"} }, refused: `linux.sysctl[vm.swappiness]: sysctl "vm.swappiness" is not in a separate kernel namespace`},
	{name: "sysctl of a shared namespace", edit: func(s *specs.Spec) {
		namespaces(specs.MountNamespace)(s)
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
	}, refused: "linux.sysctl[net.ipv4.ip_forward]: "},
	{name: "intelRdt", edit: func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "x"} }, refused: "linux.intelRdt: "},
}

// A container's group is its user's where it can see it writable, and only then.
func TestCgroupOwner(t *testing.T) {
	need.SecondKernel(t)
	need.Hierarchy(t)
	group := specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev"}}
	edit := func(options ...string) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
			s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
			s.Linux.GIDMappings = s.Linux.UIDMappings
			m := group
			m.Options = append(slices.Clone(m.Options), options...)
			s.Mounts = append(s.Mounts, m)
		}
	}
	owned := func(t *testing.T, b *box) {
		err := filepath.WalkDir(b.Path("rootfs"), func(path string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, 100000, 100000)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	check(t, []row{
		{name: "writable", edit: edit(), prepare: owned, inside: "cd /sys/fs/cgroup && mkdir a && echo 0 >a/cgroup.procs && cat /proc/self/cgroup | tail -1; stat -c %u . cgroup.procs cgroup.freeze", prints: "0::/a\n0\n0\n65534"},
		{name: "read-only", edit: edit("ro"), prepare: owned, inside: "cd /sys/fs/cgroup; stat -c %u . cgroup.procs", prints: "65534\n65534"},
	})
}
