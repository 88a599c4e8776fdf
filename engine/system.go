package engine

import (
	"bufio"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/cgroups"
	"glassbox/image"
	"glassbox/store"

	"github.com/docker/docker/api/types/system"
	"golang.org/x/sys/unix"
)

// Version is what `version` and `info` show; the release sets it with -ldflags.
var Version = "0.1.0"

// System is `info` and `version`.
type System struct {
	root       store.Root
	containers *Containers
	images     *image.Store
}

// Info returns Docker's document about this host.
func (s *System) Info() (system.Info, error) {
	info := system.Info{
		ID: machineID(), Driver: "overlay2", DockerRootDir: s.root.Data, OSType: "linux", Architecture: architecture(), NCPU: runtime.NumCPU(),
		KernelVersion: kernel(), OperatingSystem: osRelease("PRETTY_NAME"), OSVersion: osRelease("VERSION_ID"), SystemTime: time.Now().Format(time.RFC3339Nano),
		LoggingDriver: "json-file", ServerVersion: Version, DefaultRuntime: runtimeName, InitBinary: "glassrun init",
		Runtimes: map[string]system.RuntimeWithStatus{runtimeName: {}}, NFd: openFiles(), NGoroutines: runtime.NumGoroutine(),
		IndexServerAddress: "https://index.docker.io/v1/", Labels: []string{}, IPv4Forwarding: enabled("/proc/sys/net/ipv4/ip_forward"),
		HTTPProxy: os.Getenv("HTTP_PROXY"), HTTPSProxy: os.Getenv("HTTPS_PROXY"), NoProxy: os.Getenv("NO_PROXY"),
		SecurityOptions: []string{}, CDISpecDirs: []string{},
	}
	info.Runtimes[runtimeName] = system.RuntimeWithStatus{Runtime: system.Runtime{Path: "glassrun"}}
	info.Plugins = system.PluginsInfo{Volume: []string{"local"}, Network: []string{"bridge", "host", "ipvlan", "macvlan", "null"}, Log: logNames()}
	var err error
	if info.Name, err = os.Hostname(); err != nil {
		return info, err
	}
	info.MemTotal = memory()
	info.DriverStatus = [][2]string{{"Backing Filesystem", backing(s.root.Data)}, {"Supports d_type", "true"}, {"Mounted by", "the container, in its own mount namespace"}}
	if err := s.count(&info); err != nil {
		return info, err
	}
	return info, s.limits(&info)
}

func (s *System) count(info *system.Info) error {
	all, err := s.containers.everything()
	if err != nil {
		return err
	}
	for _, l := range all {
		info.Containers++
		switch {
		case l.now.Paused:
			info.ContainersPaused++
		case l.now.Running:
			info.ContainersRunning++
		default:
			info.ContainersStopped++
		}
	}
	images, err := s.images.List()
	info.Images = len(images)
	return err
}

// limits says which limits this host can set, and warns of those it cannot.
func (s *System) limits(info *system.Info) error {
	f, err := s.containers.groups()
	if err != nil {
		return err
	}
	info.CgroupVersion, info.CgroupDriver = "2", "cgroupfs"
	if f.Systemd {
		info.CgroupDriver = "systemd"
	}
	for _, c := range []struct {
		name string
		flag []*bool
	}{
		{"memory", []*bool{&info.MemoryLimit, &info.SwapLimit}}, {"cpu", []*bool{&info.CPUShares, &info.CPUCfsPeriod, &info.CPUCfsQuota}},
		{"cpuset", []*bool{&info.CPUSet}}, {"pids", []*bool{&info.PidsLimit}}, {"io", nil},
	} {
		have := slices.Contains(f.Controllers, c.name)
		for _, flag := range c.flag {
			*flag = have
		}
		if !have {
			info.Warnings = append(info.Warnings, "WARNING: No "+c.name+" limits: "+whyNot(f, c.name))
		}
	}
	return nil
}

func whyNot(f cgroups.Facts, controller string) string {
	if v1, held := f.V1[controller]; held {
		return "cgroup v1 holds that controller at " + v1
	}
	if f.Mount == "" {
		return "cgroup v2 is not mounted"
	}
	return "cgroup v2 at " + f.Mount + " does not offer that controller"
}

// machineID is machine-id(5), which stays the same as long as the installation does.
func machineID() string {
	data, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func architecture() string { return uname(func(u *unix.Utsname) []byte { return u.Machine[:] }) }
func kernel() string       { return uname(func(u *unix.Utsname) []byte { return u.Release[:] }) }

func uname(field func(*unix.Utsname) []byte) string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(field(&u))
}

// osRelease reads one field of os-release(5).
func osRelease(name string) string {
	data, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}

func memory() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), "MemTotal:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(v, "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}

func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

func enabled(path string) bool {
	data, err := os.ReadFile(path)
	return err == nil && strings.TrimSpace(string(data)) == "1"
}

// fileSystems are the magic numbers of statfs(2) that a store is likely to lie on.
var fileSystems = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "extfs", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", 0x2fc12fc1: "zfs", unix.F2FS_SUPER_MAGIC: "f2fs",
}

func backing(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "none yet"
	}
	if name, ok := fileSystems[int64(st.Type)]; ok {
		return name
	}
	return "0x" + strconv.FormatInt(int64(st.Type), 16)
}
