package main

import (
	"fmt"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/spf13/pflag"
)

// refused are the flags of Docker's that this build cannot honour, each with the reason. Ignoring one would let a
// container run otherwise than it was asked to.
var refused = map[string]string{
	"publish":               noNetworks + "; with --network host the program's ports are the host's own",
	"publish-all":           noNetworks + "; with --network host the program's ports are the host's own",
	"network-alias":         noNetworks,
	"net-alias":             noNetworks,
	"ip":                    noNetworks,
	"ip6":                   noNetworks,
	"link":                  noNetworks,
	"link-local-ip":         noNetworks,
	"mac-address":           noNetworks,
	"volumes-from":          noVolumes,
	"volume-driver":         noVolumes,
	"health-cmd":            noHealth,
	"health-interval":       noHealth,
	"health-retries":        noHealth,
	"health-timeout":        noHealth,
	"health-start-period":   noHealth,
	"health-start-interval": noHealth,
	"log-opt":               "this build's log is one file that is neither rotated nor sent anywhere",
	"gpus":                  "this build knows no device drivers; --device gives single devices",
	"storage-opt":           "the overlay has no options of its own here; a quota is not set by this build",
	"kernel-memory":         "cgroup v2 has no limit for kernel memory alone: it is part of --memory",
	"cpu-rt-period":         "Your kernel does not support CPU real-time scheduler: cgroup v2 has no file for it",
	"cpu-rt-runtime":        "Your kernel does not support CPU real-time scheduler: cgroup v2 has no file for it",
	"use-api-socket":        "glassbox has no daemon, so there is no API socket to mount",
}

const (
	noNetworks = "this build has no container networks yet, only --network none and --network host"
	noVolumes  = "this build has no volumes yet, only directories of the host: -v /host/dir:/path"
	noHealth   = "this build runs no health checks yet"
	noRestarts = "this build does not restart containers yet; `glassbox start` does it by hand"
)

// refuse finds the first flag given that this build cannot honour.
func refuse(f *pflag.FlagSet, h *container.HostConfig) (err error) {
	f.Visit(func(flag *pflag.Flag) {
		if why, is := refused[flag.Name]; is && err == nil {
			err = fmt.Errorf("--%s: %s", flag.Name, why)
		}
	})
	if err != nil {
		return err
	}
	for _, check := range []func(*pflag.FlagSet, *container.HostConfig) error{
		refuseNetwork, refuseVolumes, refuseRestart, refuseDrivers,
	} {
		if err := check(f, h); err != nil {
			return err
		}
	}
	return nil
}

func refuseNetwork(f *pflag.FlagSet, h *container.HostConfig) error {
	switch mode := h.NetworkMode; {
	case mode == "", mode.IsDefault(), mode.IsNone(), mode.IsHost():
		return nil
	case mode.IsUserDefined():
		return &failure{
			line:   fmt.Sprintf("network %s not found: %s", mode, noNetworks),
			docker: fmt.Sprintf("Error response from daemon: failed to set up container networking: network %s not found", mode),
		}
	default:
		return fmt.Errorf("--network %s: %s", mode, noNetworks)
	}
}

func refuseVolumes(f *pflag.FlagSet, h *container.HostConfig) error {
	for _, b := range h.Binds {
		source, _, named := strings.Cut(b, ":")
		if !named || !isHostPath(source) {
			return fmt.Errorf("-v %s: %s", b, noVolumes)
		}
	}
	for _, m := range h.Mounts {
		if m.Type != mount.TypeBind && m.Type != mount.TypeTmpfs {
			return fmt.Errorf("--mount type=%s: %s", m.Type, noVolumes)
		}
	}
	return nil
}

func refuseRestart(f *pflag.FlagSet, h *container.HostConfig) error {
	if h.RestartPolicy.IsNone() {
		return nil
	}
	return fmt.Errorf("--restart %s: %s", h.RestartPolicy.Name, noRestarts)
}

func refuseDrivers(f *pflag.FlagSet, h *container.HostConfig) error {
	switch text := func(name string) string { return f.Lookup(name).Value.String() }; {
	case text("log-driver") != "" && text("log-driver") != "json-file" && text("log-driver") != "none":
		return fmt.Errorf("--log-driver %s: this build has json-file and none", text("log-driver"))
	case text("runtime") != "" && text("runtime") != "glassrun":
		return fmt.Errorf("unknown or invalid runtime name: %s", text("runtime"))
	case text("isolation") != "" && text("isolation") != "default":
		return fmt.Errorf("invalid isolation %q: on Linux there is only \"default\"", text("isolation"))
	case text("disable-content-trust") != "true":
		return fmt.Errorf("--disable-content-trust=false: this build verifies digests, not Notary signatures")
	}
	return nil
}

// refuseWindows words what Docker's client says of flags for Windows.
func refuseWindows(f *pflag.FlagSet) error {
	for _, name := range windowsFlags {
		if f.Changed(name) {
			return plainFailure(`"--%s" is only supported on a Docker daemon running on windows, but the Docker daemon is running on linux`, name)
		}
	}
	return nil
}
