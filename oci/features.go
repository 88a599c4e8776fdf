package oci

import (
	"runtime"

	"glassbox/confine"
	"glassbox/linux"
	"glassbox/namespaces"
	"glassbox/rootfs"
	glassbox "glassbox/runtime"
	"glassbox/seccomp"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// Version is what `--version` and `features` tell; a release sets it with -ldflags.
var Version = "0.1.0"

// Features says which words of config.json this runtime understands, whatever the host can do (features.md). The lists are those by which
// config.json is read.
func Features() features.Features {
	yes, no := new(bool), new(bool)
	*yes = true
	words := seccomp.Words()
	modes, flags := confine.MemoryPolicies()
	return features.Features{
		OCIVersionMin: "1.0.0",
		OCIVersionMax: specs.Version,
		Hooks:         glassbox.HookKinds(),
		MountOptions:  rootfs.Options(),
		Linux: &features.Linux{
			Namespaces:   namespaces.Types(),
			Capabilities: linux.Capabilities.Texts(),
			Cgroup:       &features.Cgroup{V1: no, V2: yes, Systemd: yes, SystemdUser: no, Rdma: yes},
			Seccomp: &features.Seccomp{
				Enabled: yes, Actions: words.Actions, Operators: words.Operators, Archs: words.Architectures,
				KnownFlags: words.Flags, SupportedFlags: seccomp.Supported(),
			},
			Apparmor:        &features.Apparmor{Enabled: yes},
			Selinux:         &features.Selinux{Enabled: yes},
			IntelRdt:        &features.IntelRdt{Enabled: no, Schemata: no, Monitoring: no},
			MemoryPolicy:    &features.MemoryPolicy{Modes: modes, Flags: flags},
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: yes}},
			NetDevices:      &features.NetDevices{Enabled: yes},
		},
		Annotations: map[string]string{
			"org.glassbox.glassrun.version": Version,
			"org.glassbox.glassrun.go":      runtime.Version(),
		},
	}
}
