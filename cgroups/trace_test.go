package cgroups

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glassbox/program"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestRequestsAreWhatStraceSees carries out a group's requests under strace: what they say of themselves is what was asked.
func TestRequestsAreWhatStraceSees(t *testing.T) {
	need.Root(t)
	need.Hierarchy(t)
	strace := need.Program(t, "strace")
	if os.Getenv("GLASSBOX_TEST_TRACED") != "" {
		traced(t)
		return
	}
	trace := filepath.Join(t.TempDir(), "trace")
	c := exec.Command(strace, "-f", "-y", "-v", "-s", "65536", "-o", trace, "/proc/self/exe", "-test.run=^TestRequestsAreWhatStraceSees$")
	c.Args[8] = os.Args[0]
	told := filepath.Join(t.TempDir(), "told")
	c.Env = append(os.Environ(), "GLASSBOX_TEST_TRACED="+told)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var account []program.Done
	text, err := os.ReadFile(told)
	if err == nil {
		err = json.Unmarshal(text, &account)
	}
	if err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	calls, err := program.Trace(bytes.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	begin := slices.IndexFunc(calls, func(c program.Traced) bool { return strings.Contains(c.Call, "requests begin") })
	end := slices.IndexFunc(calls, func(c program.Traced) bool { return strings.Contains(c.Call, "requests end") })
	if begin < 0 || end < begin {
		t.Fatal("the marks are not in the trace")
	}
	calls = calls[begin:end]
	f, err := Observe(anything)
	if err != nil {
		t.Fatal(err)
	}
	if err := program.CompareHost(account, program.Asked(calls, f.Mount)); err != nil {
		t.Error(err)
	}
	account[len(account)-1].Call += "x"
	if program.CompareHost(account, program.Asked(calls, f.Mount)) == nil {
		t.Error("a false account was believed")
	}
}

// traced leaves the account in the file that the environment names.
func traced(t *testing.T) {
	f, err := Observe(anything)
	if err != nil {
		t.Fatal(err)
	}
	f.Systemd = false
	g, requests, err := Compile("/glassbox-test-traced/x", &specs.LinuxResources{
		Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}, {Allow: true, Type: "c", Major: ptr(int64(10)), Minor: ptr(int64(229)), Access: "rw"}},
		Unified: map[string]string{"cgroup.max.depth": "5"},
	}, f)
	if err != nil {
		t.Fatal(err)
	}
	var told []program.Done
	mark := func(text string) { os.WriteFile("/dev/null", []byte(text), 0) }
	mark("requests begin")
	for _, r := range requests {
		d := r.Done(r.Do(), 0)
		if d.Failed {
			t.Fatalf("%s: %s", r.Call, d.Result)
		}
		told = append(told, d)
	}
	mark("requests end")
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	os.Remove(filepath.Dir(g.Path))
	text, err := json.Marshal(told)
	if err == nil {
		err = os.WriteFile(os.Getenv("GLASSBOX_TEST_TRACED"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
