package engine

import (
	"bufio"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/cgroups"
	"glassbox/image"
	"glassbox/store"

	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/api/types/swarm"
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
		ID: machineID(), Driver: "overlay2", DriverStatus: driverStatus(s.root.Data), DockerRootDir: s.root.Data,
		OSType: "linux", Architecture: architecture(), NCPU: runtime.NumCPU(), MemTotal: memory(), KernelVersion: kernel(),
		OperatingSystem: osRelease("PRETTY_NAME"), OSVersion: osRelease("VERSION_ID"), SystemTime: time.Now().Format(time.RFC3339Nano),
		LoggingDriver: "json-file", ServerVersion: Version, DefaultRuntime: runtimeName, InitBinary: "glassrun init",
		RuncCommit: system.Commit{ID: Version}, // the runtime is glassrun; there is no containerd and no init but that
		Runtimes:   map[string]system.RuntimeWithStatus{runtimeName: {Runtime: system.Runtime{Path: "glassrun"}}},
		NFd:        openFiles(), NGoroutines: runtime.NumGoroutine(),
		IndexServerAddress: "https://index.docker.io/v1/", Labels: []string{}, IPv4Forwarding: enabled("/proc/sys/net/ipv4/ip_forward"),
		HTTPProxy: os.Getenv("HTTP_PROXY"), HTTPSProxy: os.Getenv("HTTPS_PROXY"), NoProxy: os.Getenv("NO_PROXY"),
		Plugins:            system.PluginsInfo{Volume: []string{"local"}, Network: []string{"bridge", "host", "ipvlan", "macvlan", "null"}, Log: logNames()},
		Swarm:              swarm.Info{LocalNodeState: swarm.LocalNodeStateInactive},
		LiveRestoreEnabled: true, // no daemon whose end could stop a container
		SecurityOptions:    securityOptions(), FirewallBackend: &system.FirewallInfo{Driver: "nftables"}, CDISpecDirs: []string{},
	}
	var err error
	if info.Name, err = os.Hostname(); err != nil {
		return info, err
	}
	if info.RegistryConfig, err = registries(); err != nil {
		return info, err
	}
	if err := s.count(&info); err != nil {
		return info, err
	}
	return info, s.limits(&info)
}

// securityOptions are what guards every container unless it asks otherwise.
func securityOptions() []string {
	var options []string
	if armored() {
		options = append(options, "name=apparmor")
	}
	options = append(options, "name=seccomp,profile=builtin")
	if _, err := os.Stat("/proc/self/ns/cgroup"); err == nil {
		options = append(options, "name=cgroupns")
	}
	return options
}

// registries are the settings about them. The loopback needs no TLS, as in Docker.
func registries() (*registry.ServiceConfig, error) {
	mirrors, insecure, err := image.Registries()
	if err != nil {
		return nil, err
	}
	c := &registry.ServiceConfig{Mirrors: mirrors, IndexConfigs: map[string]*registry.IndexInfo{
		"docker.io": {Name: "docker.io", Mirrors: append([]string{}, mirrors...), Secure: true, Official: true},
	}}
	for _, host := range append(insecure, "::1/128", "127.0.0.0/8") {
		if _, subnet, err := net.ParseCIDR(host); err == nil {
			c.InsecureRegistryCIDRs = append(c.InsecureRegistryCIDRs, (*registry.NetIPNet)(subnet))
		} else {
			c.IndexConfigs[host] = &registry.IndexInfo{Name: host, Mirrors: []string{}}
		}
	}
	return c, nil
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

// limits says which limits this host can set. It warns of those that it cannot in Docker's words, and then says why.
func (s *System) limits(info *system.Info) error {
	f, err := s.containers.groups()
	if err != nil {
		return err
	}
	info.CgroupVersion, info.CgroupDriver = "2", "cgroupfs"
	if f.Systemd {
		info.CgroupDriver = "systemd"
	}
	var causes []string
	for _, c := range []struct {
		name  string
		flags []*bool
		no    []string
	}{
		{"memory", []*bool{&info.MemoryLimit, &info.SwapLimit}, []string{"memory limit", "swap limit"}},
		{"cpu", []*bool{&info.CPUShares, &info.CPUCfsPeriod, &info.CPUCfsQuota}, []string{"cpu cfs quota", "cpu cfs period", "cpu shares"}},
		{"cpuset", []*bool{&info.CPUSet}, []string{"cpuset"}},
		{"io", nil, []string{"io.weight", "io.weight (per device)", "io.max (rbps)", "io.max (wbps)", "io.max (riops)", "io.max (wiops)"}},
		{"pids", []*bool{&info.PidsLimit}, nil},
	} {
		have := slices.Contains(f.Controllers, c.name)
		for _, flag := range c.flags {
			*flag = have
		}
		if have {
			continue
		}
		for _, what := range c.no {
			info.Warnings = append(info.Warnings, "WARNING: No "+what+" support")
		}
		causes = append(causes, "WARNING: No "+c.name+" limits: "+whyNot(f, c.name))
	}
	info.Warnings = append(info.Warnings, causes...)
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
