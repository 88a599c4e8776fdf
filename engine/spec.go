package engine

import (
	"strings"

	"glassbox/cgroups"
	"glassbox/namespaces"
	"glassbox/rootfs"
	"glassbox/store"

	"github.com/docker/docker/api/types/container"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// blueprint is everything a start is made from: written out, it is config.json and layers.json.
type blueprint struct {
	Spec   *specs.Spec
	Layers *rootfs.Layers // nil: Spec.Root.Path is a plain directory
}

// drawing is a blueprint in the making: the record, and the facts that only a start knows.
type drawing struct {
	*record
	security security
	groups   cgroups.Facts
	joined   map[specs.LinuxNamespaceType]int // the PID 1 of the container whose namespace is shared
	network  store.Place                      // whose hosts and resolv.conf are used
	memory   store.Place                      // whose /dev/shm is used
	spec     *specs.Spec
}

// draw makes the OCI spec as Docker's daemon does (moby's daemon/oci_linux.go). It reads the host and the container's
// file tree and changes neither.
func (c *Containers) draw(r *record) (*blueprint, error) {
	sec, err := parseSecurity(r.HostConfig.SecurityOpt)
	if err != nil {
		return nil, err
	}
	groups, err := c.groups()
	if err != nil {
		return nil, err
	}
	joined, err := c.join(r)
	if err != nil {
		return nil, err
	}
	d := &drawing{
		record: r, security: sec, groups: groups, joined: joined, network: r.place, memory: r.place,
		spec: &specs.Spec{Version: specs.Version, Linux: &specs.Linux{}},
	}
	if ref := r.HostConfig.NetworkMode.ConnectedContainer(); ref != "" {
		id, err := c.find(ref)
		if err != nil {
			return nil, err
		}
		d.network = c.root.Container(id)
	}
	if id := r.HostConfig.IpcMode.Container(); id != "" {
		d.memory = c.root.Container(id)
	}
	for _, part := range []func() error{
		d.root, d.process, d.user, d.namespaces, d.resources, d.devices, d.sysctls, d.mounts, d.paths, d.filter, d.label,
	} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	return &blueprint{Spec: d.spec, Layers: d.layers()}, nil
}

// tree is the container's file tree as it lies on the host.
func (r *record) tree() tree {
	if r.Rootfs != "" {
		return tree{r.Rootfs}
	}
	return append(tree{r.place.Upper()}, r.Lower...)
}

func (d *drawing) root() error {
	d.spec.Root = &specs.Root{Path: d.place.Mount(), Readonly: d.HostConfig.ReadonlyRootfs}
	if d.Rootfs != "" {
		d.spec.Root.Path = d.Rootfs
	}
	if !d.HostConfig.UTSMode.IsHost() {
		d.spec.Hostname, d.spec.Domainname = d.Config.Hostname, d.Config.Domainname
	}
	d.spec.Annotations = d.HostConfig.Annotations
	parent, err := d.groups.Path(d.HostConfig.CgroupParent, d.ID)
	if err != nil {
		return invalid("%w", err)
	}
	d.spec.Linux.CgroupsPath = parent
	return nil
}

func (d *drawing) layers() *rootfs.Layers {
	if d.Rootfs != "" {
		return nil
	}
	return &rootfs.Layers{Lower: d.Lower, Upper: d.place.Upper(), Work: d.place.Work(), Mount: d.place.Mount(), UserXattr: namespaces.Nested(), Once: d.step != nil}
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// initPath is where Docker puts the program of --init.
const initPath = "/sbin/docker-init"

func (d *drawing) process() error {
	caps, err := granted(d.HostConfig.CapAdd, d.HostConfig.CapDrop, d.HostConfig.Privileged)
	if err != nil {
		return err
	}
	score := d.HostConfig.OomScoreAdj
	p := &specs.Process{
		Args: append([]string{d.Path}, d.Args...), Env: environment(d.record, d.Config.Tty), Cwd: either(d.Config.WorkingDir, "/"), Terminal: d.Config.Tty,
		Capabilities: &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
		OOMScoreAdj:  &score, NoNewPrivileges: d.security.noNewPrivileges, Rlimits: rlimits(d.record),
	}
	if size := d.HostConfig.ConsoleSize; p.Terminal && size != [2]uint{} {
		p.ConsoleSize = &specs.Box{Height: size[0], Width: size[1]}
	}
	if d.withInit() {
		p.Args = append([]string{initPath, "--"}, p.Args...)
	}
	d.spec.Process = p
	return nil
}

// withInit: --init makes sense only where PID 1 is the container's own.
func (r *record) withInit() bool {
	return r.HostConfig.Init != nil && *r.HostConfig.Init && r.HostConfig.PidMode.IsPrivate()
}

// environment is what every process of the container starts with.
func environment(r *record, tty bool) []string {
	env := []string{"PATH=" + defaultPath, "HOSTNAME=" + r.Config.Hostname}
	if tty {
		env = append(env, "TERM=xterm")
	}
	return replaceEnv(append(env, r.linkVars...), r.Config.Env)
}

func rlimits(r *record) []specs.POSIXRlimit {
	var out []specs.POSIXRlimit
	for _, u := range r.HostConfig.Ulimits {
		out = append(out, specs.POSIXRlimit{Type: "RLIMIT_" + strings.ToUpper(u.Name), Soft: uint64(u.Soft), Hard: uint64(u.Hard)})
	}
	return out
}

func (d *drawing) user() error {
	a, err := lookupUser(d.tree(), d.Config.User, d.HostConfig.GroupAdd)
	if err != nil {
		return err
	}
	d.spec.Process.User = a.User
	d.spec.Process.Env = withHome(d.spec.Process.Env, a.Home)
	return nil
}

// withHome sets HOME where nobody has, as runc does.
func withHome(env []string, home string) []string {
	for _, e := range env {
		if strings.HasPrefix(e, "HOME=") {
			return env
		}
	}
	return append(env, "HOME="+either(home, "/"))
}

// namespaces are new, joined, or left out, which shares the host's.
func (d *drawing) namespaces() error {
	h, l := d.HostConfig, d.spec.Linux
	add := func(kind specs.LinuxNamespaceType, host bool) {
		switch pid, joined := d.joined[kind]; {
		case joined:
			l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: kind, Path: namespacePath(pid, kind)})
		case !host:
			l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: kind})
		}
	}
	add(specs.MountNamespace, d.Without == "mount")
	add(specs.NetworkNamespace, h.NetworkMode.IsHost())
	add(specs.UTSNamespace, h.UTSMode.IsHost())
	add(specs.PIDNamespace, h.PidMode.IsHost())
	add(specs.IPCNamespace, h.IpcMode.IsHost())
	add(specs.CgroupNamespace, h.CgroupnsMode.IsHost())
	if len(d.IDMap) > 0 {
		add(specs.UserNamespace, false)
		l.UIDMappings, l.GIDMappings = d.IDMap, d.IDMap
	}
	if len(d.TimeOffset) > 0 {
		add(specs.TimeNamespace, false)
		l.TimeOffsets = map[string]specs.LinuxTimeOffset{}
		for clock, seconds := range d.TimeOffset {
			l.TimeOffsets[clock] = specs.LinuxTimeOffset{Secs: seconds}
		}
	}
	return nil
}

func (d *drawing) resources() error {
	l, err := d.limits()
	d.spec.Linux.Resources = l
	return err
}

// label draws what the kernel's security modules call the container.
func (d *drawing) label() error {
	l, err := d.labels(d.security)
	d.spec.Process.ApparmorProfile = d.profile(d.security)
	d.spec.Process.SelinuxLabel, d.spec.Linux.MountLabel = l.process, l.mount
	return err
}

func (d *drawing) paths() error {
	d.spec.Linux.MaskedPaths, d.spec.Linux.ReadonlyPaths = hiddenPaths(d.HostConfig)
	return nil
}

// hiddenPaths are the masked and the read-only paths: Docker's own where nobody has said otherwise.
func hiddenPaths(h *container.HostConfig) (masked, readOnly []string) {
	masked, readOnly = h.MaskedPaths, h.ReadonlyPaths
	if sec, err := parseSecurity(h.SecurityOpt); h.Privileged || err == nil && sec.systemPaths {
		return masked, readOnly
	}
	if masked == nil {
		masked = maskedPaths()
	}
	if readOnly == nil {
		readOnly = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
	}
	return masked, readOnly
}

func maskedPaths() []string {
	masked := []string{
		"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
	}
	return append(masked, throttles()...)
}
