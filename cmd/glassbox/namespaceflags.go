package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"glassbox/engine"

	"github.com/docker/docker/api/types/container"
	"github.com/spf13/pflag"
)

// namespaceFlags say which namespaces are shared, and with whom.
type namespaceFlags struct {
	pid, uts, ipc, cgroup string
	user                  usernsFlag
	time                  timeOffsets
}

func (n *namespaceFlags) define(f *pflag.FlagSet) {
	f.StringVar(&n.pid, "pid", "", "PID namespace to use")
	f.StringVar(&n.uts, "uts", "", "UTS namespace to use")
	f.StringVar(&n.ipc, "ipc", "", "IPC mode to use")
	f.StringVar(&n.cgroup, "cgroupns", "", `Cgroup namespace to use (host|private)
'host':    Run the container in the Docker host's cgroup namespace
'private': Run the container in its own private cgroup namespace
'':        Use the cgroup namespace as configured by the
           default-cgroupns-mode option on the daemon (default)`)
	f.Var(&n.user, "userns", `User namespace to use (host|auto|UID:HOST:SIZE)
'UID:HOST:SIZE': Map SIZE ids from UID inside to HOST outside; may be repeated`)
	f.Var(&n.time, "time-offset", `Run in a time namespace of its own with a clock moved (monotonic=SECONDS or boottime=SECONDS)`)
	own(f, "userns", "User namespace to use")
	own(f, "time-offset")
}

func (n *namespaceFlags) apply(o *engine.Options) error {
	h := o.HostConfig
	h.PidMode, h.UTSMode, h.IpcMode = container.PidMode(n.pid), container.UTSMode(n.uts), container.IpcMode(n.ipc)
	h.CgroupnsMode, h.UsernsMode = container.CgroupnsMode(n.cgroup), container.UsernsMode(n.user.mode)
	o.UsernsMap, o.TimeOffset = n.user.maps, n.time
	switch {
	case !h.PidMode.Valid():
		return errors.New("--pid: invalid PID mode")
	case !h.UTSMode.Valid():
		return errors.New("--uts: invalid UTS mode")
	case !n.user.valid():
		return errors.New("--userns: invalid USER mode")
	case !h.CgroupnsMode.Valid():
		return errors.New("--cgroupns: invalid CGROUP mode")
	case n.user.mode != "" && len(n.user.maps) > 0:
		return fmt.Errorf("conflicting options: --userns %s and --userns %s", n.user.mode, n.user.maps[0])
	}
	return nil
}

// usernsFlag is --userns host, --userns auto, or any number of --userns UID:HOST:SIZE.
type usernsFlag struct {
	mode string
	maps []string
}

func (u *usernsFlag) Set(v string) error {
	switch {
	case idMap(v):
		u.maps = append(u.maps, v)
	default:
		u.mode = v
	}
	return nil
}

func (u *usernsFlag) valid() bool { return u.mode == "" || u.mode == "host" || u.mode == "auto" }

func (u *usernsFlag) String() string { return u.mode }
func (u *usernsFlag) Type() string   { return "string" }

// idMap: three 32-bit numbers, the last not 0 (user_namespaces(7)).
func idMap(v string) bool {
	parts := strings.Split(v, ":")
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil || i == 2 && n == 0 {
			return false
		}
	}
	return len(parts) == 3
}

// timeOffsets is --time-offset CLOCK=SECONDS, repeatable (time_namespaces(7)).
type timeOffsets map[string]int64

func (t *timeOffsets) Set(v string) error {
	clock, text, ok := strings.Cut(v, "=")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || clock != "monotonic" && clock != "boottime" {
		return errors.New("not monotonic=SECONDS or boottime=SECONDS")
	}
	if *t == nil {
		*t = timeOffsets{}
	}
	(*t)[clock] = seconds
	return nil
}

func (t *timeOffsets) String() string { return "" }
func (t *timeOffsets) Type() string   { return "clock=seconds" }
