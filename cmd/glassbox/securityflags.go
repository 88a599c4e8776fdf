package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/container"
	"github.com/spf13/pflag"
)

// securityFlags say what the container's processes may do, and with which devices.
type securityFlags struct {
	capAdd, capDrop, securityOpt, devices, deviceRules opts.ListOpts
	privileged, readOnly, cgroups                      bool
}

func (s *securityFlags) define(f *pflag.FlagSet) {
	s.capAdd, s.capDrop = opts.NewListOpts(nil), opts.NewListOpts(nil)
	s.securityOpt, s.devices = opts.NewListOpts(nil), opts.NewListOpts(nil)
	s.deviceRules = opts.NewListOpts(validDeviceRule)
	f.Var(&s.capAdd, "cap-add", "Add Linux capabilities")
	f.Var(&s.capDrop, "cap-drop", "Drop Linux capabilities")
	f.BoolVar(&s.privileged, "privileged", false, "Give extended privileges to this container")
	f.Var(&s.securityOpt, "security-opt", "Security Options")
	f.Var(&s.devices, "device", "Add a host device to the container")
	f.Var(&s.deviceRules, "device-cgroup-rule", "Add a rule to the cgroup allowed devices list")
	f.BoolVar(&s.readOnly, "read-only", false, "Mount the container's root filesystem as read only")
	f.BoolVar(&s.cgroups, "cgroup-rw", false, "Mount /sys/fs/cgroup writable, so that root in the container can make groups below its own")
	own(f, "cgroup-rw")
}

func (s *securityFlags) apply(h *container.HostConfig) error {
	h.CapAdd, h.CapDrop = s.capAdd.GetSlice(), s.capDrop.GetSlice()
	h.Privileged, h.ReadonlyRootfs = s.privileged, s.readOnly
	h.DeviceCgroupRules = s.deviceRules.GetSlice()
	h.Devices = []container.DeviceMapping{} // inspect shows [], not null
	for _, d := range s.devices.GetSlice() {
		if qualified(d) {
			h.DeviceRequests = append(h.DeviceRequests, container.DeviceRequest{Driver: "cdi", DeviceIDs: []string{d}})
			continue
		}
		m, err := deviceMapping(d)
		if err != nil {
			return err
		}
		h.Devices = append(h.Devices, m)
	}
	if s.securityOpt.Len() > 0 || s.cgroups {
		h.SecurityOpt = []string{}
	}
	if s.cgroups {
		h.SecurityOpt = append(h.SecurityOpt, "writable-cgroups=true")
	}
	for _, o := range s.securityOpt.GetSlice() {
		if o == "systempaths=unconfined" { // not an option of the engine's: it asks for empty lists
			h.MaskedPaths, h.ReadonlyPaths = []string{}, []string{}
			continue
		}
		o, err := securityOption(o)
		if err != nil {
			return err
		}
		if s.cgroups && strings.HasPrefix(o, "writable-cgroups") {
			return fmt.Errorf("conflicting options: --cgroup-rw and --security-opt %s", o)
		}
		h.SecurityOpt = append(h.SecurityOpt, o)
	}
	return nil
}

// securityOption checks one --security-opt and reads in a seccomp profile that is a file.
func securityOption(o string) (string, error) {
	if o == "no-new-privileges" {
		return o, nil
	}
	k, v, ok := strings.Cut(o, "=")
	if !ok && k != "no-new-privileges" {
		k, v, ok = strings.Cut(o, ":")
	}
	if !ok || v == "" {
		return "", fmt.Errorf("Invalid --security-opt: %q", o)
	}
	if k != "seccomp" || v == "builtin" || v == "unconfined" {
		return o, nil
	}
	profile, err := os.ReadFile(v)
	if err != nil {
		return "", fmt.Errorf("opening seccomp profile (%s) failed: %v", v, err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, profile); err != nil {
		return "", fmt.Errorf("compacting json for seccomp profile (%s) failed: %v", v, err)
	}
	return "seccomp=" + compact.String(), nil
}

// qualified says whether a device is one of the Container Device Interface: VENDOR/CLASS=NAME.
func qualified(device string) bool {
	is, err := regexp.MatchString(`^[A-Za-z]([\w.-]*[A-Za-z0-9])?/[A-Za-z]([\w-]*[A-Za-z0-9])?=[A-Za-z0-9]([\w.:-]*[A-Za-z0-9])?$`, device)
	return is && err == nil
}

// deviceMapping reads HOST[:CONTAINER][:MODE], or HOST:MODE.
func deviceMapping(spec string) (container.DeviceMapping, error) {
	parts := strings.Split(spec, ":")
	if len(parts) > 3 || parts[0] == "" {
		return container.DeviceMapping{}, fmt.Errorf("bad format for path: %s", spec)
	}
	m := container.DeviceMapping{PathOnHost: path.Clean(parts[0]), PathInContainer: path.Clean(parts[0]), CgroupPermissions: "rwm"}
	switch {
	case len(parts) == 2 && validDeviceMode(parts[1]):
		m.CgroupPermissions = parts[1]
	case len(parts) >= 2:
		m.PathInContainer = path.Clean(parts[1])
	}
	if len(parts) == 3 {
		if !validDeviceMode(parts[2]) {
			return m, fmt.Errorf("bad mode specified: %s", parts[2])
		}
		m.CgroupPermissions = parts[2]
	}
	if !path.IsAbs(m.PathInContainer) {
		return m, fmt.Errorf("%s is not an absolute path", m.PathInContainer)
	}
	return m, nil
}

// validDeviceMode: each of r, w and m at most once.
func validDeviceMode(mode string) bool {
	left := "rwm"
	for _, c := range mode {
		i := strings.IndexRune(left, c)
		if i < 0 {
			return false
		}
		left = left[:i] + left[i+1:]
	}
	return mode != ""
}

func validDeviceRule(rule string) (string, error) {
	ok, err := regexp.MatchString(`^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$`, rule)
	if err == nil && !ok {
		err = errors.New("invalid device cgroup format '" + rule + "'")
	}
	return rule, err
}
