package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/strslice"
	"golang.org/x/sys/unix"
)

// validate refuses what Docker's daemon refuses, in its words, and what this version cannot do, in ours. It also puts
// in the defaults that `inspect` shows.
func (c *Containers) validate(o *Options) (warnings []string, err error) {
	if err := validateConfig(o.Config); err != nil {
		return nil, err
	}
	if err := checkCgroup(o.Cgroup, o.HostConfig.Resources); err != nil { // before defaults are put in: they have been asked for by nobody
		return nil, err
	}
	for _, check := range []func(*container.HostConfig) ([]string, error){
		validateHost, validateResources, validateModes, validateMachine,
	} {
		w, err := check(o.HostConfig)
		warnings = append(warnings, w...)
		if err != nil {
			return warnings, err
		}
	}
	w, err := c.validateNetwork(o)
	warnings = append(warnings, w...)
	if err != nil {
		return warnings, err
	}
	if o.HostConfig.Privileged && (len(o.UsernsMap) > 0 || o.HostConfig.UsernsMode == "auto") {
		return warnings, invalid("privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode")
	}
	if err := c.resolveModes(o.HostConfig); err != nil {
		return warnings, err
	}
	return warnings, adapt(o.HostConfig)
}

func validateConfig(c *container.Config) error {
	if c.WorkingDir != "" {
		if !path.IsAbs(c.WorkingDir) {
			return invalid("the working directory '%s' is invalid, it needs to be an absolute path", c.WorkingDir)
		}
		c.WorkingDir = path.Clean(c.WorkingDir)
	}
	if c.StopSignal != "" {
		if _, err := parseSignal(c.StopSignal); err != nil {
			return err
		}
	}
	for _, e := range c.Env {
		if name, _, _ := strings.Cut(e, "="); name == "" {
			return invalid("invalid environment variable: %s", e)
		}
	}
	return validateHealth(c.Healthcheck)
}

func validateHealth(h *container.HealthConfig) error {
	if h == nil {
		return nil
	}
	for _, d := range []struct {
		name  string
		value int64
	}{{"Interval", int64(h.Interval)}, {"Timeout", int64(h.Timeout)}, {"StartPeriod", int64(h.StartPeriod)}, {"StartInterval", int64(h.StartInterval)}} {
		if d.value != 0 && d.value < int64(container.MinimumDuration) {
			return invalid("%s in Healthcheck cannot be less than %s", d.name, container.MinimumDuration)
		}
	}
	if h.Retries < 0 {
		return invalid("Retries in Healthcheck cannot be negative")
	}
	return nil
}

func validateHost(h *container.HostConfig) (warnings []string, err error) {
	if h.RestartPolicy.Name == "" {
		h.RestartPolicy.Name = container.RestartPolicyDisabled
	}
	if h.AutoRemove && !h.RestartPolicy.IsNone() {
		return nil, invalid("can't create 'AutoRemove' container with restart policy")
	}
	if err := container.ValidateRestartPolicy(h.RestartPolicy); err != nil {
		return nil, invalid("%w", err)
	}
	for _, host := range h.ExtraHosts {
		if err := validateExtraHost(host); err != nil {
			return nil, err
		}
	}
	if h.CapAdd, err = normalize(h.CapAdd); err != nil {
		return nil, prefixed("invalid CapAdd", err)
	}
	if h.CapDrop, err = normalize(h.CapDrop); err != nil {
		return nil, prefixed("invalid CapDrop", err)
	}
	for _, caps := range []*strslice.StrSlice{&h.CapAdd, &h.CapDrop} { // as Docker's client sends them
		slices.Sort(*caps)
		*caps = slices.Compact(*caps)
	}
	if _, ok := h.Annotations[""]; ok {
		return nil, invalid("invalid Annotations: the empty string is not permitted as an annotation key")
	}
	for dest := range h.Tmpfs {
		if path.Clean(dest) == "/" {
			return nil, invalid("invalid specification: destination can't be '/'")
		}
		if !path.IsAbs(dest) {
			return nil, invalid("invalid mount path: '%s' mount path must be absolute", dest)
		}
	}
	if warnings, err = validateSecurity(h.SecurityOpt); err != nil {
		return nil, err
	}
	return warnings, validateLog(h.LogConfig)
}

// later refuses an option that is Docker's and not ours yet: an option that is accepted and ignored teaches a lie.
func later(what string) error {
	return invalid("%s comes with a later version of glassbox", what)
}

func validateExtraHost(v string) error {
	name, ip, ok := strings.Cut(v, ":")
	if !ok || name == "" {
		return invalid("bad format for add-host: %q", v)
	}
	if ip == hostGateway {
		return nil
	}
	if _, err := netip.ParseAddr(strings.Trim(ip, "[]")); err != nil {
		return invalid("invalid IP address in add-host: %q", ip)
	}
	return nil
}

func validateModes(h *container.HostConfig) (warnings []string, err error) {
	switch {
	case !h.IpcMode.Valid():
		return nil, invalid("invalid IPC mode: %v", h.IpcMode)
	case !h.PidMode.Valid():
		return nil, invalid("invalid PID mode: %v", h.PidMode)
	case h.ShmSize < 0:
		return nil, invalid("SHM size can not be less than 0")
	case h.IpcMode.IsShareable() && h.ShmSize != 0 && h.ShmSize != defaultShm:
		return nil, later("--shm-size with --ipc shareable")
	case !h.UTSMode.Valid():
		return nil, invalid("invalid UTS mode: %v", h.UTSMode)
	case !h.CgroupnsMode.Valid():
		return nil, invalid("invalid cgroup namespace mode: %v", h.CgroupnsMode)
	case h.UsernsMode != "" && h.UsernsMode != "host" && h.UsernsMode != "auto":
		return nil, invalid("invalid USER mode: %v", h.UsernsMode)
	case h.OomScoreAdj < -1000 || h.OomScoreAdj > 1000:
		return nil, invalid("Invalid value %d, range for oom score adj is [-1000, 1000]", h.OomScoreAdj)
	case h.Runtime != "" && h.Runtime != runtimeName:
		return nil, invalid("unknown or invalid runtime name: %s", h.Runtime)
	case !h.Isolation.IsValid():
		return nil, invalid("invalid isolation (%s): linux only supports 'default'", h.Isolation)
	}
	return nil, nil
}

// defaultShm is Docker's size of /dev/shm.
const defaultShm = 64 << 20

// runtimeName is what `inspect` and `info` show where Docker has runc.
const runtimeName = "glassrun"

// validateMachine refuses what belongs to other systems, other daemons, or later versions.
func validateMachine(h *container.HostConfig) (warnings []string, err error) {
	switch {
	case h.IOMaximumBandwidth != 0 || h.IOMaximumIOps != 0:
		return nil, invalid("Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps")
	case h.CPUPercent > 0 || h.CPUCount > 0:
		return nil, invalid("linux does not support CPU percent or CPU count")
	case h.CPURealtimePeriod != 0 || h.CPURealtimeRuntime != 0:
		// cgroup v2 has no file for it: Documentation/admin-guide/cgroup-v2.rst, "CPU".
		return nil, invalid("kernel does not support CPU real-time scheduler")
	}
	return nil, nil
}

// resolveModes replaces the names in container:NAME by ids, which outlive a rename.
func (c *Containers) resolveModes(h *container.HostConfig) error {
	resolve := func(ref string) (string, error) {
		r, err := c.load(ref)
		if err != nil {
			return "", err
		}
		return "container:" + r.ID, nil
	}
	var errs [3]error
	if h.PidMode.IsContainer() {
		var v string
		v, errs[0] = resolve(h.PidMode.Container())
		h.PidMode = container.PidMode(v)
	}
	if h.IpcMode.IsContainer() {
		var v string
		v, errs[1] = resolve(h.IpcMode.Container())
		h.IpcMode = container.IpcMode(v)
	}
	if h.NetworkMode.IsContainer() {
		v, err := resolve(h.NetworkMode.ConnectedContainer())
		if err == nil {
			h.NetworkMode = container.NetworkMode(v)
		} else if !Is(err, NotFound) { // Docker lets the start find out
			errs[2] = err
		}
	}
	return errors.Join(errs[:]...)
}

// adapt puts in Docker's defaults.
func adapt(h *container.HostConfig) error {
	labelled := slices.ContainsFunc(h.SecurityOpt, func(o string) bool { return strings.HasPrefix(o, "label=") })
	if !labelled && (h.Privileged || h.PidMode.IsHost() || h.IpcMode.IsHost()) {
		h.SecurityOpt = append(h.SecurityOpt, "label=disable")
	}
	if h.Memory > 0 && h.MemorySwap == 0 {
		h.MemorySwap = 2 * h.Memory
	}
	if h.ShmSize == 0 {
		h.ShmSize = defaultShm
	}
	if h.IpcMode.IsEmpty() {
		h.IpcMode = container.IPCModePrivate
	}
	if h.CgroupnsMode.IsEmpty() {
		h.CgroupnsMode = container.CgroupnsModePrivate
	}
	if h.LogConfig.Type == "" {
		h.LogConfig.Type = "json-file"
	}
	if h.LogConfig.Config == nil {
		h.LogConfig.Config = map[string]string{}
	}
	h.Runtime = runtimeName
	return nil
}

// parseSignal reads a signal as Docker does: number, name, or name with SIG, RTMIN+n and RTMAX-n included.
func parseSignal(s string) (unix.Signal, error) {
	refuse := invalid("invalid signal: %s", s)
	var n int
	if _, err := fmt.Sscanf(s, "%d", &n); err == nil && fmt.Sprint(n) == s {
		if n <= 0 || n > 64 {
			return 0, refuse
		}
		return unix.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	// Docker's numbering: 32 and 33 belong to the threads library, so RTMIN is 34.
	const first, last = 34, 64
	if rest, ok := strings.CutPrefix(name, "RTMIN"); ok {
		return realtime(rest, "+", first, 1, refuse)
	}
	if rest, ok := strings.CutPrefix(name, "RTMAX"); ok {
		return realtime(rest, "-", last, -1, refuse)
	}
	if sig := unix.SignalNum("SIG" + name); sig != 0 {
		return sig, nil
	}
	return 0, refuse
}

func realtime(rest, sign string, base, direction int, refuse error) (unix.Signal, error) {
	if rest == "" {
		return unix.Signal(base), nil
	}
	var n int
	digits, ok := strings.CutPrefix(rest, sign)
	if _, err := fmt.Sscanf(digits, "%d", &n); !ok || err != nil || n < 0 || n > 30 || fmt.Sprint(n) != digits {
		return 0, refuse
	}
	return unix.Signal(base + direction*n), nil
}
