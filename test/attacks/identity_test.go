package attacks

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"glassbox/test/bundle"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// identity prints who this process is.
func identity([]string) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		held("reading who we are", err)
		return
	}
	for line := range strings.Lines(string(status)) {
		if regexp.MustCompile(`^(Uid|Gid|Groups|CapInh|CapPrm|CapAmb|NoNewPrivs|Seccomp):`).MatchString(line) {
			fmt.Print(strings.ReplaceAll(line, "\t", " "))
		}
	}
}

// TestGroups: the supplementary groups of whoever runs glassrun stay outside, and those that are asked for are all there are
// (CVE-2022-29162's kin CVE-2022-2989, CVE-2022-36109, CVE-2023-25173), for a container and for an exec.
func TestGroups(t *testing.T) {
	need.SecondKernel(t)
	b := bundle.New(t)
	detach(t, b, "sleep", "1000")
	fresh := bundle.New(t)
	fresh.Spec.Process.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{10}}
	fresh.Spec.Process.Args = []string{"/bin/attack", "identity"}
	fresh.Write(t)
	for groups, c := range map[string][]string{
		"10":    fresh.Global("run", "--bundle", fresh.Dir, fresh.ID),
		"20 30": b.Global("exec", "--user", "1000:1000", "--additional-gids", "20", "--additional-gids", "30", b.ID, "/bin/attack", "identity"),
		"":      b.Global("exec", "--user", "1000:1000", b.ID, "/bin/attack", "identity"),
	} {
		run := bundle.Command(t, c...)
		run.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{12345, 0}}}
		withstood(t, bundle.Run(t, run).Out, "(?m)^Uid: 1000 1000 1000 1000$", "(?m)^Gid: 1000 1000 1000 1000$", "(?m)^Groups: "+groups+" ?$")
	}
}

// TestInheritable is CVE-2022-29162 (and Docker's CVE-2022-24769): what is not asked for as inheritable is not, or a file with inheritable
// capabilities would give them to whoever executes it; an exec with --cap too.
func TestInheritable(t *testing.T) {
	b := bundle.New(t)
	detach(t, b, "sleep", "1000")
	fresh := bundle.New(t)
	fresh.Spec.Process.Args = []string{"/bin/attack", "identity"}
	fresh.Write(t)
	none := []string{"CapInh: 0000000000000000", "CapAmb: 0000000000000000", "CapPrm: 0000000[0-9a-f]*[1-9a-f][0-9a-f]*"}
	withstood(t, bundle.Glassrun(t, fresh.Global("run", "--bundle", fresh.Dir, fresh.ID)...).Out, none...)
	withstood(t, bundle.Glassrun(t, b.Global("exec", "--cap", "CAP_NET_ADMIN", b.ID, "/bin/attack", "identity")...).Out, none...)
	withstood(t, bundle.Glassrun(t, b.Global("exec", b.ID, "/bin/attack", "identity")...).Out, none...)
}

// TestNoNewPrivileges: a program that is set-user-ID to root makes nobody root, in a container and in an exec.
func TestNoNewPrivileges(t *testing.T) {
	need.SecondKernel(t)
	for _, noNew := range []bool{true, false} {
		b := bundle.New(t)
		copyFile(t, b.Root("bin/attack"), b.Root("bin/suid"))
		if err := os.Chmod(b.Root("bin/suid"), 0o755|os.ModeSetuid); err != nil {
			t.Fatal(err)
		}
		b.Spec.Process.NoNewPrivileges = noNew
		detach(t, b, "sleep", "1000")
		fresh := bundle.New(t)
		fresh.Spec.Root.Path = b.Root("")
		fresh.Spec.Process.NoNewPrivileges = noNew
		fresh.Spec.Process.User.UID = 1000
		ran := foreground(t, fresh, "/bin/suid", "identity")
		executed := bundle.Glassrun(t, b.Global("exec", "--user", "1000", b.ID, "/bin/suid", "identity")...)
		want := map[bool]string{true: "(?m)^Uid: 1000 1000 1000 1000$", false: "(?m)^Uid: 1000 0 0 0$"}[noNew]
		withstood(t, ran.Out, want)
		withstood(t, executed.Out, want)
	}
}
