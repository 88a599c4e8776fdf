package engine

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glassbox/cgroups"
	"glassbox/store"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestSpec holds what is drawn against golden files. What depends on the machine is fixed or left out.
func TestSpec(t *testing.T) {
	if err := os.MkdirAll("/tmp/glassbox-spec-source", 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove("/tmp/glassbox-spec-source")
	for name, change := range map[string]func(*record){
		"default": func(*record) {},
		"tuned": func(r *record) {
			k, h := r.Config, r.HostConfig
			k.Tty, k.WorkingDir, k.Domainname, k.Env = true, "/srv", "example.org", []string{"A=1", "PATH=/bin"}
			h.ReadonlyRootfs, h.Init, r.Init, h.OomScoreAdj, h.ShmSize = true, ptr(true), "/usr/bin/glassrun", 100, 1<<20
			h.CapAdd, h.CapDrop, h.SecurityOpt = []string{"CHOWN"}, []string{"ALL"}, []string{"no-new-privileges", "seccomp=unconfined"}
			h.Sysctls, h.Annotations, h.ConsoleSize = map[string]string{"net.core.somaxconn": "1"}, map[string]string{"a": "b"}, [2]uint{24, 80}
			h.Tmpfs = map[string]string{"/run": "size=1m,exec"}
			h.Ulimits = []*container.Ulimit{{Name: "nofile", Soft: 10, Hard: 20}}
			h.Memory, h.MemorySwap, h.NanoCPUs, h.CPUShares, h.CpusetCpus, h.PidsLimit, h.BlkioWeight = 64<<20, 128<<20, 5e8, 512, "0", ptr(int64(9)), 500
			h.DeviceCgroupRules = []string{"c 1:* rw"}
			r.Mounts = []mountPoint{
				{MountPoint: container.MountPoint{Type: mount.TypeBind, Source: "/tmp/glassbox-spec-source", Destination: "/a/b/c/d", Propagation: "rprivate"}},
				{MountPoint: container.MountPoint{Type: mount.TypeBind, Source: "/tmp/glassbox-spec-source", Destination: "/etc/hosts", RW: true, Propagation: "rprivate"}},
				{MountPoint: container.MountPoint{Type: mount.TypeTmpfs, Destination: "/dev/shm"}, Data: "size=2m"},
			}
			r.TimeOffset = map[string]int64{"monotonic": 3600}
			r.IDMap = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		},
		"shared": func(r *record) {
			h := r.HostConfig
			h.NetworkMode, h.PidMode, h.IpcMode, h.UTSMode, h.CgroupnsMode, h.CgroupParent = "host", "host", "host", "host", "host", "/mine"
			h.SecurityOpt = []string{"systempaths=unconfined"}
		},
	} {
		t.Run(name, func(t *testing.T) { compareSpec(t, name, change) })
	}
}

func compareSpec(t *testing.T, name string, change func(*record)) {
	c := &Containers{root: store.Root{Data: "/data", Run: "/run/gb"}, facts: cgroups.Facts{Mount: "/sys/fs/cgroup", Parent: "/glassbox"}}
	c.observe.Do(func() {})
	id := strings.Repeat("0123456789abcdef", 4)
	r := &record{
		ID: id, Path: "/bin/sh", Args: []string{"-c", "true"}, Lower: []string{"/data/layers/2", "/data/layers/1"}, place: c.root.Container(id),
		Config: &container.Config{Hostname: "host"}, HostConfig: &container.HostConfig{NetworkMode: "none"},
	}
	if err := adapt(r.HostConfig); err != nil {
		t.Fatal(err)
	}
	change(r)
	plan, err := c.draw(r)
	if err != nil {
		t.Fatal(err)
	}
	l := plan.Spec.Linux
	plan.Spec.Process.ApparmorProfile = ""
	l.MaskedPaths = slices.DeleteFunc(l.MaskedPaths, func(p string) bool { return strings.Contains(p, "thermal_throttle") })
	got, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	path := filepath.Join("testdata", "spec-"+name+".json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs (run with -update and look at git diff):\n%s", path, difference(string(want), string(got)))
	}
}

// difference shows the first lines that differ.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "want " + a[i] + "\n got " + b[i]
		}
	}
	return "one is longer"
}

func TestSysctlsOfTheHost(t *testing.T) {
	for key, h := range map[string]*container.HostConfig{
		`sysctl "net.core.somaxconn" not allowed in host network namespace`:  {NetworkMode: "host", Sysctls: map[string]string{"net.core.somaxconn": "1"}},
		`sysctl "kernel.msgmax" is not allowed in the hosts ipc namespace`:   {IpcMode: "host", Sysctls: map[string]string{"kernel.msgmax": "1"}},
		`sysctl "kernel.panic" is not in a separate kernel namespace`:        {Sysctls: map[string]string{"kernel.panic": "1"}},
		`sysctl "kernel.hostname" is not allowed in the hosts uts namespace`: {UTSMode: "host", Sysctls: map[string]string{"kernel.hostname": "x"}},
	} {
		d := &drawing{record: &record{HostConfig: h}, spec: &specs.Spec{Linux: &specs.Linux{}}}
		if err := d.sysctls(); err == nil || err.Error() != key {
			t.Errorf("got %v, want %s", err, key)
		}
	}
}

func TestDeviceErrors(t *testing.T) {
	for path, want := range map[string]string{
		"/dev/nosuch":   `error gathering device information while adding custom device "/dev/nosuch": no such file or directory`,
		"/etc/hostname": `error gathering device information while adding custom device "/etc/hostname": not a device node`,
	} {
		d := &drawing{
			record: &record{HostConfig: &container.HostConfig{Resources: container.Resources{Devices: []container.DeviceMapping{{PathOnHost: path, PathInContainer: "/x"}}}}},
			spec:   &specs.Spec{Linux: &specs.Linux{Resources: &specs.LinuxResources{}}},
		}
		if err := d.devices(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := parseDeviceRule("x 1:2 r"); err == nil || err.Error() != "invalid device cgroup rule format: 'x 1:2 r'" {
		t.Error(err)
	}
}
