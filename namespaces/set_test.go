package namespaces

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// with is a config.json with namespaces, each "type" or "type=path".
func with(list ...string) *specs.Spec {
	s := &specs.Spec{Linux: &specs.Linux{}}
	for _, n := range list {
		kind, path, _ := strings.Cut(n, "=")
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(kind), Path: path})
	}
	return s
}

func TestRefusals(t *testing.T) {
	ids := func(lines ...specs.LinuxIDMapping) []specs.LinuxIDMapping { return lines }
	fine := ids(specs.LinuxIDMapping{HostID: 1000, Size: 10})
	many := make([]specs.LinuxIDMapping, 341)
	for i := range many {
		many[i] = specs.LinuxIDMapping{ContainerID: uint32(i), HostID: uint32(i), Size: 1}
	}
	for name, c := range map[string]struct {
		spec *specs.Spec
		edit func(*specs.Spec)
		want string
	}{
		"unknown type": {with("mount", "mnt"), nil, `linux.namespaces[1]: unknown type "mnt"`},
		"twice":        {with("mount", "pid", "pid=/proc/1/ns/pid"), nil, `linux.namespaces[2]: "pid" is listed twice`},
		"relative":     {with("mount", "pid=ns/pid"), nil, `linux.namespaces[1].path: "ns/pid" is not absolute`},
		"hostname":     {with("mount"), func(s *specs.Spec) { s.Hostname = "x" }, "hostname: unable to set hostname without a private UTS namespace"},
		"domainname":   {with("mount"), func(s *specs.Spec) { s.Domainname = "x" }, "domainname: unable to set domainname without a private UTS namespace"},
		"long name":    {with("mount", "uts"), func(s *specs.Spec) { s.Hostname = strings.Repeat("x", 65) }, "hostname: longer than 64 bytes"},
		"no clock":     {with("mount", "time"), func(s *specs.Spec) { s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"realtime": {}} }, `linux.timeOffsets: there is no clock "realtime" to shift, only boottime and monotonic`},
		"shared clock": {with("mount"), func(s *specs.Spec) { s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 1}} }, "linux.timeOffsets: clocks can be shifted only in a new time namespace"},
		"nanoseconds": {with("mount", "time"), func(s *specs.Spec) {
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Nanosecs: 1e9}}
		}, "linux.timeOffsets[monotonic]: 1000000000 nanoseconds are a second or more"},
		"no map":     {with("mount", "user"), func(s *specs.Spec) { s.Linux.UIDMappings = fine }, "linux.gidMappings: a new user namespace needs at least one line"},
		"stray map":  {with("mount"), func(s *specs.Spec) { s.Linux.GIDMappings = fine }, "linux.gidMappings: user namespace mappings specified, but there is no new user namespace"},
		"joined map": {with("mount", "user=/proc/1/ns/user"), func(s *specs.Spec) { s.Linux.UIDMappings = fine }, "linux.uidMappings: the user namespace that is joined has maps of its own"},
		"size 0":     {with("mount", "user"), func(s *specs.Spec) { s.Linux.UIDMappings = ids(specs.LinuxIDMapping{}) }, "linux.uidMappings[0]: size is 0"},
		"too many":   {with("mount", "user"), func(s *specs.Spec) { s.Linux.UIDMappings = many }, "linux.uidMappings: 341 lines, the kernel takes 340"},
		"too high":   {with("mount", "user"), func(s *specs.Spec) { s.Linux.UIDMappings = ids(specs.LinuxIDMapping{HostID: 1<<32 - 1, Size: 2}) }, "linux.uidMappings[0]: 2 ids from 4294967295 do not fit into 32 bits"},
		"overlap inside": {with("mount", "user"), func(s *specs.Spec) {
			s.Linux.UIDMappings = ids(specs.LinuxIDMapping{HostID: 1000, Size: 10}, specs.LinuxIDMapping{ContainerID: 9, HostID: 2000, Size: 1})
		}, "linux.uidMappings[1] overlaps [0]"},
		"overlap outside": {with("mount", "user"), func(s *specs.Spec) {
			s.Linux.UIDMappings, s.Linux.GIDMappings = fine, ids(specs.LinuxIDMapping{HostID: 1000, Size: 10}, specs.LinuxIDMapping{ContainerID: 10, HostID: 1009, Size: 1})
		}, "linux.gidMappings[1] overlaps [0]"},
		"sysctl of the host":      {with("mount", "ipc", "network"), func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.panic": "1"} }, `linux.sysctl[kernel.panic]: sysctl "kernel.panic" is not in a separate kernel namespace`},
		"sysctl of another shape": {with("mount", "ipc", "network"), func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"vm/swappiness": "1"} }, `linux.sysctl[vm/swappiness]: sysctl "vm/swappiness" is not in a separate kernel namespace`},
		"shared network":          {with("mount"), func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"} }, `linux.sysctl[net.ipv4.ip_forward]: sysctl "net.ipv4.ip_forward" is not allowed: the container shares the host's network namespace`},
		"sysctl of the hostname":  {with("mount", "uts"), func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel/hostname": "x"} }, `linux.sysctl[kernel/hostname]: sysctl "kernel/hostname" is not allowed as it conflicts with the OCI "hostname" field`},
	} {
		t.Run(name, func(t *testing.T) {
			if c.edit != nil {
				c.edit(c.spec)
			}
			set, err := Of(c.spec)
			if err == nil {
				err = set.Check(c.spec)
			}
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestAllowedSysctls(t *testing.T) {
	spec := with("mount", "ipc", "network", "uts", "user")
	set, err := Of(spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kernel.shmmax", "kernel/sem", "fs.mqueue.msg_max", "net.ipv4.ip_forward", "net/ipv4/conf/eth0.100/forwarding", "kernel.domainname", "user.max_net_namespaces"} {
		if err := set.checkSysctls(map[string]string{name: "1"}); err != nil {
			t.Error(err)
		}
	}
}

// A path is looked at before anything is made: what it is, and whether we are in it already.
func TestObserve(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/etc/passwd":           "linux.namespaces[0].path: /etc/passwd is not a namespace",
		fifo:                    "linux.namespaces[0].path: " + fifo + " is not a namespace",
		"/nonexistent":          "linux.namespaces[0].path: namespace /nonexistent: no such file or directory",
		"/proc/self/ns/pid":     "linux.namespaces[0].path: /proc/self/ns/pid is a PID namespace, not a network namespace",
		"/proc/thread-self/uid": "linux.namespaces[0].path: namespace /proc/thread-self/uid: no such file or directory",
	} {
		if _, err := Observe(with("network="+path, "mount")); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	shared, err := Observe(with("network=/proc/self/ns/net", "mount", "user=/proc/self/ns/user"))
	if err != nil || shared != unix.CLONE_NEWNET|unix.CLONE_NEWUSER {
		t.Errorf("shared %#x, %v", shared, err)
	}
	if _, err := os.Stat("/proc/self/ns/time"); err == nil {
		if shared, err := Observe(with("time=/proc/self/ns/time_for_children", "mount")); err != nil || shared != unix.CLONE_NEWTIME {
			t.Errorf("shared %#x, %v", shared, err)
		}
	}
}
