package engine

import (
	"context"
	"slices"
	"strings"
	"testing"

	"glassbox/program"
	"glassbox/test/need"

	"github.com/docker/docker/api/types/container"
)

// Who steps through a start is asked about each limit before it is written. One that is left out is not there, the others are; and the next start,
// which nobody steps through, writes all of them.
func TestSteppedLimits(t *testing.T) {
	need.CgroupV2(t, "memory", "pids", "cpu")
	m := newMachine(t)
	pids := int64(50)
	o := shell("cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max")
	o.HostConfig.Resources = container.Resources{Memory: 64 << 20, PidsLimit: &pids, NanoCPUs: 5e8}
	var asked []string
	m.Containers.Step = func(_ context.Context, s program.Stop) (program.Answer, error) {
		for _, d := range s.Next {
			call, rest, _ := strings.Cut(d.Call, "(")
			path, _, _ := strings.Cut(rest, `",`)
			if file := path[strings.LastIndexByte(path, '/')+1:]; call == "write" && strings.Contains(path, "/glassbox/") {
				if asked = append(asked, s.Phase+" "+file); file == "memory.max" {
					return program.Skip, nil
				}
			}
		}
		return program.Go, nil
	}
	if out, errs, code := m.run(o); code != 0 || out != "max\n50\n50000 100000\n" {
		t.Errorf("without memory.max: %d, %q, %s", code, out, errs)
	}
	for _, file := range []string{"memory.max", "pids.max", "cpu.max"} {
		if n := len(slices.DeleteFunc(slices.Clone(asked), func(a string) bool { return a != "cgroup "+file })); n != 1 {
			t.Errorf("%s was asked about %d times: %q", file, n, asked)
		}
	}
	m.Containers.Step = nil
	if out, errs, code := m.run(o); code != 0 || out != "67108864\n50\n50000 100000\n" {
		t.Errorf("unasked: %d, %q, %s", code, out, errs)
	}
}
