package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"glassbox/namespaces"

	"github.com/docker/docker/api/types/container"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

var errNoDevice = errors.New("not a device node")

// devices are those of --device or, privileged, all of the host's. The standard ones (null, zero, tty, ...) are the
// runtime's to make; which of them may be used stands here, as Docker writes it.
func (d *drawing) devices() error {
	h, l := d.HostConfig, d.spec.Linux
	rules := defaultDeviceRules()
	if h.Privileged {
		host, err := hostDevices()
		if err != nil {
			return err
		}
		l.Devices, rules = host, []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
	}
	for _, m := range h.Devices {
		if h.Privileged && m.PathOnHost == m.PathInContainer {
			continue
		}
		found, err := devicesAt(m.PathOnHost, m.PathInContainer)
		if err != nil {
			return invalid("error gathering device information while adding custom device %q: %w", m.PathOnHost, err)
		}
		for _, dev := range found {
			l.Devices = append(l.Devices, dev)
			if !h.Privileged {
				rules = append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: dev.Type, Major: &dev.Major, Minor: &dev.Minor, Access: either(m.CgroupPermissions, "rwm")})
			}
		}
	}
	for _, r := range h.DeviceRequests {
		return noDriver(r)
	}
	for _, rule := range h.DeviceCgroupRules {
		parsed, err := parseDeviceRule(rule)
		if err != nil {
			return err
		}
		rules = append(rules, parsed)
	}
	if namespaces.Nested() {
		return d.watchNoDevices()
	}
	l.Resources.Devices = rules
	return nil
}

// watchNoDevices: in a user namespace the kernel takes no program from us that would watch devices (bpf(2)), and needs none: nobody there can
// make device nodes, and what the container around us may use is watched already.
func (d *drawing) watchNoDevices() error {
	if len(d.HostConfig.DeviceCgroupRules) > 0 {
		return invalid("--device-cgroup-rule: glassbox runs in a user namespace here, where the kernel takes no rules for devices from it")
	}
	return nil
}

// noDriver refuses --gpus and devices of the Container Device Interface: nothing here knows how to make them.
func noDriver(r container.DeviceRequest) error {
	if r.Driver == "cdi" {
		return invalid("CDI device injection failed: unresolvable CDI devices %s", strings.Join(r.DeviceIDs, ", "))
	}
	return invalid("could not select device driver %q with capabilities: %v", r.Driver, r.Capabilities)
}

func defaultDeviceRules() []specs.LinuxDeviceCgroup {
	rules := []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
	for _, dev := range []struct {
		major, minor int64
		allow        bool
	}{{1, 5, true}, {1, 3, true}, {1, 9, true}, {1, 8, true}, {5, 0, true}, {5, 1, true}, {10, 229, false}} {
		rules = append(rules, specs.LinuxDeviceCgroup{Allow: dev.allow, Type: "c", Major: &dev.major, Minor: &dev.minor, Access: "rwm"})
	}
	return rules
}

var deviceRule = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$`)
})

func parseDeviceRule(rule string) (specs.LinuxDeviceCgroup, error) {
	m := deviceRule().FindStringSubmatch(rule)
	if m == nil {
		return specs.LinuxDeviceCgroup{}, invalid("invalid device cgroup rule format: '%s'", rule)
	}
	number := func(s string) *int64 {
		n := int64(-1)
		if s != "*" {
			n, _ = strconv.ParseInt(s, 10, 64)
		}
		return &n
	}
	return specs.LinuxDeviceCgroup{Allow: true, Type: m[1], Major: number(m[2]), Minor: number(m[3]), Access: m[4]}, nil
}

// deviceAt describes the device node at path.
func deviceAt(path string) (specs.LinuxDevice, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return specs.LinuxDevice{}, err
	}
	kind := map[uint32]string{unix.S_IFCHR: "c", unix.S_IFBLK: "b", unix.S_IFIFO: "p"}[st.Mode&unix.S_IFMT]
	if kind == "" {
		return specs.LinuxDevice{}, errNoDevice
	}
	mode := fs.FileMode(st.Mode &^ unix.S_IFMT)
	return specs.LinuxDevice{
		Path: path, Type: kind, Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev)),
		FileMode: &mode, UID: &st.Uid, GID: &st.Gid,
	}, nil
}

// devicesAt is one device, or all below a directory, with their paths in the container.
func devicesAt(host, inside string) ([]specs.LinuxDevice, error) {
	if resolved, err := filepath.EvalSymlinks(host); err == nil {
		host = resolved
	}
	dev, err := deviceAt(host)
	if err == nil {
		dev.Path = inside
		return []specs.LinuxDevice{dev}, nil
	}
	var found []specs.LinuxDevice
	if errors.Is(err, errNoDevice) {
		filepath.WalkDir(host, func(path string, _ fs.DirEntry, _ error) error {
			if child, err := deviceAt(path); err == nil {
				child.Path = strings.Replace(path, host, inside, 1)
				found = append(found, child)
			}
			return nil
		})
	}
	if len(found) == 0 {
		return nil, err
	}
	return found, nil
}

// hostDevices are all of /dev but what each container has of its own.
func hostDevices() ([]specs.LinuxDevice, error) {
	var found []specs.LinuxDevice
	skip := map[string]bool{"pts": true, "shm": true, "fd": true, "mqueue": true, ".lxc": true, ".lxd-mounts": true, ".udev": true}
	err := filepath.WalkDir("/dev", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil && path == "/dev":
			return err
		case err != nil:
			return nil // it went away meanwhile
		case e.IsDir() && skip[e.Name()]:
			return fs.SkipDir
		case e.IsDir() || path == "/dev/console":
			return nil
		}
		if dev, err := deviceAt(path); err == nil && dev.Type != "p" {
			found = append(found, dev)
		}
		return nil
	})
	return found, err
}

// throttles are the sysfs files through which a container could watch its neighbours' power use (GHSA-6fw5-f8r9-fgfm).
func throttles() []string {
	const file = "/sys/devices/system/cpu/cpu%/thermal_throttle"
	if _, err := os.Stat(strings.Replace(file, "%", "0", 1)); err != nil {
		return nil
	}
	data, err := os.ReadFile("/sys/devices/system/cpu/possible")
	if err != nil {
		return nil
	}
	cpus, err := parseList(strings.TrimSpace(string(data)))
	if err != nil {
		return nil
	}
	var paths []string
	for n := range len(cpus) {
		paths = append(paths, strings.Replace(file, "%", strconv.Itoa(n), 1))
	}
	return paths
}
