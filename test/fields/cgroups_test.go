package fields

import (
	"testing"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestCgroups(t *testing.T) {
	need.SecondKernel(t)
	check(t, cgroupsRows)
}

var cgroupsRows = []row{
	{name: "resources.pids", needs: []feature{controllers("pids")}, edit: func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(23))}}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro"}})
	}, inside: "cat /sys/fs/cgroup/pids.max", prints: "23"},
}
