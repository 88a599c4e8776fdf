package fields

import (
	"testing"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestProcess(t *testing.T) {
	need.SecondKernel(t)
	check(t, processRows)
}

var processRows = []row{
	{name: "noNewPrivileges", edit: func(s *specs.Spec) { s.Process.NoNewPrivileges = true }, inside: "probe status NoNewPrivs", prints: "NoNewPrivs: 1"},
	{name: "noNewPrivileges false", inside: "probe status NoNewPrivs Seccomp", prints: "NoNewPrivs: 0\nSeccomp: 0"},
	{name: "user.additionalGids", edit: func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{7, 5}} },
		inside: "probe status Uid Gid Groups", prints: "Uid: 1000 1000 1000 1000\nGid: 1000 1000 1000 1000\nGroups: 5 7"},
	{name: "rlimits", edit: func(s *specs.Spec) {
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 77, Hard: 99}}
	},
		inside: "ulimit -n; ulimit -Hn", prints: "77\n99"},
	{name: "rlimits unknown", edit: func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_FUN"}} },
		refused: `process.rlimits[0]: unknown limit "RLIMIT_FUN"`},
}
