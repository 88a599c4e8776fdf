package oci_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"glassbox/oci"
	"glassbox/program"
	"glassbox/test/bundle"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// The config.json to begin with runs, without a terminal, and is not overwritten.
func TestSpec(t *testing.T) {
	b := newBox(t)
	b.ok("spec", "--bundle", b.Dir)
	b.refused(1, "config.json exists", "spec", "--bundle", b.Dir)
	text, err := os.ReadFile(b.Path("config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, b.Spec); err != nil {
		t.Fatal(err)
	}
	b.Spec.Process.Terminal = false
	b.Spec.Process.Args = []string{"sh", "-c", "hostname; touch /new 2>&1"}
	b.Write(t)
	a := b.run("run", "--bundle", b.Dir, b.ID)
	if want := "glassrun\ntouch: /new: Read-only file system"; a.Out != want || a.Errs != "" || a.Code != 1 {
		t.Errorf("%+v, want %q and nothing else", a, want)
	}
	b.Spec.Linux.CgroupsPath = "/glassbox/" + b.ID // where nothingLeft looks
}

func TestSpecRootless(t *testing.T) {
	s := oci.Rootless(1000, 100)
	if m := s.Linux.UIDMappings; len(m) != 1 || m[0].HostID != 1000 || m[0].ContainerID != 0 {
		t.Errorf("%v", m)
	}
	if slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.NetworkNamespace }) || s.Linux.Resources != nil {
		t.Errorf("a network namespace, or resources: %+v", s.Linux)
	}
	if e := oci.Example(); !slices.Contains(e.Mounts[2].Options, "gid=5") || slices.Contains(s.Mounts[2].Options, "gid=5") {
		t.Errorf("/dev/pts: %v and %v", e.Mounts[2], s.Mounts[2])
	}
}

// features names at least what the specification gives as examples, and no list is empty.
func TestFeatures(t *testing.T) {
	var f features.Features
	if err := json.Unmarshal([]byte(bundle.Glassrun(t, "features").Out), &f); err != nil {
		t.Fatal(err)
	}
	if f.OCIVersionMin != "1.0.0" || f.OCIVersionMax != specs.Version {
		t.Errorf("versions %s to %s", f.OCIVersionMin, f.OCIVersionMax)
	}
	for _, c := range []struct {
		name string
		have []string
		some string
	}{
		{"hooks", f.Hooks, "prestart createRuntime createContainer startContainer poststart poststop"},
		{"mount options", f.MountOptions, "bind rbind ro rro rnosuid norelatime rnostrictatime rprivate runbindable tmpcopyup idmap ridmap defaults remount lazytime"},
		{"namespaces", f.Linux.Namespaces, "cgroup ipc mount network pid time user uts"},
		{"capabilities", f.Linux.Capabilities, "CAP_CHOWN CAP_CHECKPOINT_RESTORE"},
		{"actions", f.Linux.Seccomp.Actions, "SCMP_ACT_ALLOW SCMP_ACT_NOTIFY SCMP_ACT_KILL_PROCESS"},
		{"operators", f.Linux.Seccomp.Operators, "SCMP_CMP_EQ SCMP_CMP_MASKED_EQ"},
		{"architectures", f.Linux.Seccomp.Archs, "SCMP_ARCH_X86 SCMP_ARCH_X86_64 SCMP_ARCH_X32 SCMP_ARCH_AARCH64"},
		{"flags", f.Linux.Seccomp.KnownFlags, "SECCOMP_FILTER_FLAG_LOG SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"},
		{"supported flags", f.Linux.Seccomp.SupportedFlags, "SECCOMP_FILTER_FLAG_LOG SECCOMP_FILTER_FLAG_SPEC_ALLOW"},
		{"memory policies", f.Linux.MemoryPolicy.Modes, "MPOL_BIND MPOL_WEIGHTED_INTERLEAVE"},
		{"flags of memory policies", f.Linux.MemoryPolicy.Flags, "MPOL_F_STATIC_NODES"},
	} {
		for _, word := range strings.Fields(c.some) {
			if !slices.Contains(c.have, word) {
				t.Errorf("%s: %q lacks %s", c.name, c.have, word)
			}
		}
	}
}

// explain tells what run then does, call for call, but for what only a run knows, and asks for nothing.
func TestExplain(t *testing.T) {
	b := newBox(t, "true")
	b.Write(t)
	var plan, ran []program.Account
	for _, c := range []struct {
		into *[]program.Account
		args []string
	}{
		{&plan, []string{"explain", "--bundle", b.Dir, "--format", "json", b.ID}},
		{&ran, []string{"run", "--bundle", b.Dir, "--explain", b.Path("account"), b.ID}},
	} {
		text := []byte(b.ok(c.args...))
		if c.into == &ran {
			var err error
			if text, err = os.ReadFile(b.Path("account")); err != nil {
				t.Fatal(err)
			}
		} else {
			b.nothingLeft()
		}
		if err := json.Unmarshal(text, c.into); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := reasons(plan), reasons(ran); !slices.Equal(a, b) {
		t.Errorf("the plan:\n%s\nthe run:\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
	if text := b.ok("explain", "-b", b.Dir); !strings.Contains(text, "the kernel was not asked") || !strings.Contains(text, "pivot_root(") {
		t.Errorf("%s", text)
	}
}

// reasons are the steps and requests by name and reason, up to the execve that succeeds.
func reasons(accounts []program.Account) (list []string) {
	for _, a := range accounts {
		for _, calls := range [][]program.Done{a.Host, a.Child} {
			for _, d := range calls {
				name, _, _ := strings.Cut(d.Call, "(")
				list = append(list, a.Phase+" "+name+": "+d.Why)
			}
		}
	}
	return list
}

// run --step shows each call before it is made and what the one before gave, where it pauses. What is typed behind the answers is the container's.
func TestStep(t *testing.T) {
	b := script(t, "cat")
	step := func(input string) bundle.Answer {
		c := b.command("run", "--step", "--bundle", b.written(), b.ID)
		c.Stdin = strings.NewReader(input)
		return bundle.Run(t, c)
	}
	a := step("\n\n\nb pivot_root\nb execve\nc\nmine\n")
	if a.Out != "mine" || a.Code != 0 {
		t.Errorf("exit code %d, %q", a.Code, a.Out)
	}
	if n := strings.Count(a.Errs, "? help >"); n != 6 {
		t.Errorf("asked %d times, want 6", n)
	}
	for _, want := range []string{"clone3(", "pivot_root(", "= 0\n", "execve(\"/bin/sh\"", "asked by  root.path"} {
		if !strings.Contains(a.Errs, want) {
			t.Errorf("does not tell of %q:\n%s", want, a.Errs)
		}
	}
	interrupted := b.command("run", "--step", "--bundle", b.written(), b.ID)
	in, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer typed.Close()
	asked, err := interrupted.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	interrupted.Stdin = in
	if err := interrupted.Start(); err != nil {
		t.Fatal(err)
	}
	typed.WriteString("\n\n\n\n\n\n\n\n\n\n\n\n") //nolint:errcheck // a pipe of ours
	for questions, buf := 0, make([]byte, 4096); questions < 13; {
		n, err := asked.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		questions += strings.Count(string(buf[:n]), "help >")
	}
	interrupted.Process.Signal(os.Interrupt)
	if err := interrupted.Wait(); interrupted.ProcessState.ExitCode() != 1 {
		t.Errorf("interrupted: %v", err)
	}
	b.nothingLeft()
	for input, why := range map[string]string{
		"\n\nq\n":                              "stopped before",
		strings.Repeat("\n", 20) + "q\nmine\n": "stopped before step ",
		"\n\n":                                 "as you asked for",
	} {
		if a := step(input); a.Code != 1 || a.Out != "" || !strings.Contains(a.Errs, why) {
			t.Errorf("%q: exit code %d, %q", input, a.Code, a.Errs)
		}
		b.nothingLeft()
	}
}
