package engine

import (
	"slices"
	"strings"
	"testing"

	"glassbox/cgroups"
	"glassbox/image"
	"glassbox/store"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestMerge(t *testing.T) {
	img := ocispec.ImageConfig{
		User: "bob", Env: []string{"A=image", "B=image"}, Cmd: []string{"serve"}, Entrypoint: []string{"/entry"}, WorkingDir: "/srv",
		Labels: map[string]string{"x": "image", "y": "image"}, ExposedPorts: map[string]struct{}{"80": {}, "53/udp": {}},
		Volumes: map[string]struct{}{"/data": {}}, StopSignal: "SIGQUIT",
	}
	health := image.DockerConfig{DockerOCIImageConfigExt: dockerspec.DockerOCIImageConfigExt{Healthcheck: &dockerspec.HealthcheckConfig{Test: []string{"CMD", "x"}, Retries: 3}}}
	c := &container.Config{Env: []string{"B=user"}, Labels: map[string]string{"x": "user"}, Healthcheck: &container.HealthConfig{Retries: 5}}
	merge(c, img, health)
	for what, ok := range map[string]bool{
		"user":    c.User == "bob" && c.WorkingDir == "/srv" && c.StopSignal == "SIGQUIT",
		"env":     slices.Equal(c.Env, []string{"B=user", "A=image"}),
		"command": slices.Equal(c.Cmd, []string{"serve"}) && slices.Equal(c.Entrypoint, []string{"/entry"}),
		"labels":  c.Labels["x"] == "user" && c.Labels["y"] == "image",
		"ports":   len(c.ExposedPorts) == 2 && has(c.ExposedPorts, "80/tcp") && has(c.ExposedPorts, "53/udp"),
		"volumes": len(c.Volumes) == 1,
		"health":  slices.Equal(c.Healthcheck.Test, []string{"CMD", "x"}) && c.Healthcheck.Retries == 5,
	} {
		if !ok {
			t.Errorf("%s: %+v", what, c)
		}
	}
	for _, test := range []struct {
		name             string
		cmd, entry, want []string
	}{
		{"a command replaces the image's", []string{"ls"}, nil, []string{"/entry", "ls"}},
		{"an entrypoint drops the image's command", nil, []string{"/mine"}, []string{"/mine"}},
		{"an empty entrypoint takes the image's away", []string{"ls"}, []string{""}, []string{"ls"}},
	} {
		r := &record{Config: &container.Config{Cmd: test.cmd, Entrypoint: test.entry}}
		merge(r.Config, img, image.DockerConfig{})
		if err := r.command(); err != nil || !slices.Equal(append([]string{r.Path}, r.Args...), test.want) {
			t.Errorf("%s: %q %q %v", test.name, r.Path, r.Args, err)
		}
	}
	if err := (&record{Config: &container.Config{}}).command(); err == nil || err.Error() != "no command specified" {
		t.Errorf("nothing to run: %v", err)
	}
}

func has(set nat.PortSet, p nat.Port) bool { _, ok := set[p]; return ok }

func TestReplaceEnv(t *testing.T) {
	got := replaceEnv([]string{"PATH=a", "TERM=xterm", "HOSTNAME=h"}, []string{"PATH=b", "TERM", "NEW=1", "NEW=2", "GONE"})
	if want := []string{"PATH=b", "HOSTNAME=h", "NEW=2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Swap that nobody asked to limit is not limited where the kernel does not count it, and Docker's words say so.
func TestSwapThatIsNotCounted(t *testing.T) {
	for _, c := range []struct {
		files map[string]bool
		swap  int64
		want  []string
	}{
		{map[string]bool{"memory.swap.max": true}, 128 << 20, nil},
		{nil, 128 << 20, nil}, // nobody could see: the start finds out
		{map[string]bool{"memory.swap.max": false}, -1, []string{"Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap."}},
	} {
		r := container.Resources{Memory: 64 << 20, MemorySwap: 128 << 20}
		if got := discardSwap(&r, cgroups.Facts{Files: c.files}); !slices.Equal(got, c.want) || r.MemorySwap != c.swap {
			t.Errorf("%v: %q, swap %d", c.files, got, r.MemorySwap)
		}
	}
}

// TestRefusals holds the words of moby 28.5.2's daemon.
func TestRefusals(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	for want, o := range map[string]Options{
		"Minimum memory limit allowed is 6MB":                                           host(func(h *container.HostConfig) { h.Memory = 1 << 20 }),
		"Minimum memoryswap limit should be larger than memory limit, see usage":        host(func(h *container.HostConfig) { h.Memory, h.MemorySwap = 1<<30, 1<<29 }),
		"You should always set the Memory limit when using Memoryswap limit, see usage": host(func(h *container.HostConfig) { h.MemorySwap = 1 << 29 }),
		"range of CPUs is from 0.01 to ":                                                host(func(h *container.HostConfig) { h.NanoCPUs = 9999e9 }),
		"Conflicting options: Nano CPUs and CPU Period cannot both be set":              host(func(h *container.HostConfig) { h.NanoCPUs, h.CPUPeriod = 1e9, 10000 }),
		"Requested CPUs are not available - requested 4000, available: ":                host(func(h *container.HostConfig) { h.CpusetCpus = "4000" }),
		"Range of blkio weight is from 10 to 1000":                                      host(func(h *container.HostConfig) { h.BlkioWeight = 5 }),
		"Invalid value: 101, valid memory swappiness range is 0-100":                    host(func(h *container.HostConfig) { h.MemorySwappiness = n(101) }),
		"can't create 'AutoRemove' container with restart policy":                       host(func(h *container.HostConfig) { h.AutoRemove, h.RestartPolicy.Name = true, "always" }),
		`invalid CapAdd: unknown capability: "CAP_FLY"`:                                 host(func(h *container.HostConfig) { h.CapAdd = []string{"fly"} }),
		`invalid CapDrop: unknown capability: "CAP_FLY"`:                                host(func(h *container.HostConfig) { h.CapDrop = []string{"CAP_FLY"} }),
		"invalid IPC mode: bogus":                                                       host(func(h *container.HostConfig) { h.IpcMode = "bogus" }),
		"invalid PID mode: bogus":                                                       host(func(h *container.HostConfig) { h.PidMode = "bogus" }),
		"invalid UTS mode: bogus":                                                       host(func(h *container.HostConfig) { h.UTSMode = "bogus" }),
		"invalid cgroup namespace mode: bogus":                                          host(func(h *container.HostConfig) { h.CgroupnsMode = "bogus" }),
		"Invalid value 2000, range for oom score adj is [-1000, 1000]":                  host(func(h *container.HostConfig) { h.OomScoreAdj = 2000 }),
		"bad format for add-host: \"x\"":                                                host(func(h *container.HostConfig) { h.ExtraHosts = []string{"x"} }),
		`invalid --security-opt 2: "bogus=x"`:                                           host(func(h *container.HostConfig) { h.SecurityOpt = []string{"bogus=x"} }),
		`error looking up logging plugin bogus: plugin "bogus" not found`:               host(func(h *container.HostConfig) { h.LogConfig.Type = "bogus" }),
		"unknown or invalid runtime name: runsc":                                        host(func(h *container.HostConfig) { h.Runtime = "runsc" }),
		"invalid specification: destination can't be '/'":                               host(func(h *container.HostConfig) { h.Tmpfs = map[string]string{"/": ""} }),
		"the working directory 'rel' is invalid, it needs to be an absolute path":       config(func(c *container.Config) { c.WorkingDir = "rel" }),
		"invalid signal: SIGBOGUS":                                                      config(func(c *container.Config) { c.StopSignal = "SIGBOGUS" }),
		"invalid environment variable: =x":                                              config(func(c *container.Config) { c.Env = []string{"=x"} }),
		"conflicting options: hostname and the UTS mode":                                {Config: &container.Config{Hostname: "h"}, HostConfig: &container.HostConfig{UTSMode: "host", NetworkMode: "none"}},
		"invalid config for network bridge: invalid endpoint settings:\nnetwork-scoped alias is supported only for containers in user defined networks": {Config: &container.Config{}, HostConfig: &container.HostConfig{}, NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{"bridge": {Aliases: []string{"a"}}}}},
	} {
		c := &Containers{root: store.Root{Data: t.TempDir()}}
		c.networks = &Networks{root: c.root, containers: c}
		_, err := c.validate(&o)
		if err == nil || !strings.HasPrefix(err.Error(), want) || !Is(err, InvalidParameter) && !Is(err, NotFound) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func host(f func(*container.HostConfig)) Options {
	o := Options{Config: &container.Config{}, HostConfig: &container.HostConfig{}}
	f(o.HostConfig)
	return o
}

func config(f func(*container.Config)) Options {
	o := Options{Config: &container.Config{}, HostConfig: &container.HostConfig{NetworkMode: "none"}}
	f(o.Config)
	return o
}

func TestDefaults(t *testing.T) {
	o := host(func(h *container.HostConfig) {
		h.Memory, h.MemorySwappiness, h.OomKillDisable = 64<<20, new(int64), ptr(true)
	})
	warnings, err := (&Containers{}).validate(&o)
	h := o.HostConfig
	if err != nil || len(warnings) != 2 || h.MemorySwappiness != nil || h.OomKillDisable != nil {
		t.Errorf("warnings %q, %v; %+v", warnings, err, h.Resources)
	}
	if h.MemorySwap != 128<<20 || h.ShmSize != 64<<20 || h.IpcMode != "private" || h.CgroupnsMode != "private" || h.NetworkMode != "bridge" || h.RestartPolicy.Name != "no" {
		t.Errorf("%+v", h)
	}
}

func ptr[T any](v T) *T { return &v }

func TestMergeTmpfs(t *testing.T) {
	got, err := mergeTmpfs([]string{"noexec", "nosuid", "nodev", "rprivate", "size=1m", "exec", "rshared", "size=2m"})
	if want := []string{"nosuid", "nodev", "exec", "rshared", "size=2m"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := mergeTmpfs([]string{"bogus=1"}); err == nil || err.Error() != `invalid tmpfs option ["bogus" "1"]` {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{"web": true, "a1": true, "A_b.c-d": true, "": false, "a": false, "_a": false, "a b": false, "a/b": false, "ä1": false} {
		if validName(name) != want {
			t.Errorf("validName(%q) = %v", name, !want)
		}
	}
	c := &Containers{root: store.Root{Data: t.TempDir()}}
	_, err := c.claimName("/bad name", "x")
	if err == nil || err.Error() != "Invalid container name (/bad name), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed" {
		t.Error(err)
	}
}

func TestSignals(t *testing.T) {
	for text, want := range map[string]int{"TERM": 15, "SIGTERM": 15, "sigkill": 9, "9": 9, "RTMIN": 34, "RTMIN+3": 37, "SIGRTMAX-1": 63, "65": 0, "0": 0, "BOGUS": 0, "RTMIN+99": 0, "": 0, "9x": 0} {
		got, err := parseSignal(text)
		if int(got) != want || (want == 0) != (err != nil) {
			t.Errorf("parseSignal(%q) = %d, %v", text, got, err)
		}
	}
}

func TestCapabilities(t *testing.T) {
	has := func(set []string, name string) bool { return slices.Contains(set, name) }
	set, err := granted([]string{"sys_time"}, []string{"CAP_CHOWN"}, false)
	if err == nil && (!has(set, "CAP_SYS_TIME") || has(set, "CAP_CHOWN") || len(set) != 14) {
		t.Errorf("%q", set)
	}
	set, err = granted([]string{"CHOWN"}, []string{"ALL"}, false)
	if err != nil || !slices.Equal(set, []string{"CAP_CHOWN"}) {
		t.Errorf("drop ALL, add one: %q, %v", set, err)
	}
	all, err := available()
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	set, err = granted([]string{"ALL"}, []string{"CHOWN"}, false)
	if err != nil || has(set, "CAP_CHOWN") || len(set) != len(all)-1 {
		t.Errorf("add ALL, drop one: %q, %v", set, err)
	}
}

func TestIDMaps(t *testing.T) {
	m, err := parseMaps([]string{"0:100000:1000", "1000:1000:1"})
	if err != nil || len(m) != 2 || m[0].HostID != 100000 || m[1].ContainerID != 1000 {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{"0:1", "x:0:1", "0:0:0", "1:100000:10", "0:4294967290:100"} {
		if _, err := parseMaps([]string{bad}); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
