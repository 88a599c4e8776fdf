package fields

import (
	"os/exec"
	"strings"
	"testing"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// profileText allows everything but the users' list.
const profileText = `profile fields-test flags=(attach_disconnected) {
	file,
	capability,
	signal,
	network,
	unix,
	ptrace,
	deny /etc/passwd r,
}
`

// seen is what a confined process prints: its name to the module, and that a file is closed to it.
const (
	look = "cat /proc/self/attr/apparmor/current; cat /etc/passwd 2>&1; true"
	seen = "fields-test (enforce)\ncat: can't open '/etc/passwd': Permission denied"
)

func named(profile string) func(*specs.Spec) {
	return process(func(p *specs.Process) { p.ApparmorProfile = profile })
}

func TestAppArmor(t *testing.T) {
	need.AppArmor(t)
	load := exec.Command("apparmor_parser", "--replace", "--skip-cache")
	load.Stdin = strings.NewReader(profileText)
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("loading the profile: %v: %s", err, out)
	}
	t.Run("profile", func(t *testing.T) { check(t, appArmorRows) })
	remove := exec.Command("apparmor_parser", "--remove")
	remove.Stdin = strings.NewReader(profileText)
	if out, err := remove.CombinedOutput(); err != nil {
		t.Errorf("removing the profile: %v: %s", err, out)
	}
}

var appArmorRows = []row{
	{name: "unset", inside: "cat /proc/self/attr/apparmor/current", prints: "unconfined"},
	{name: "set", edit: named("fields-test"), inside: look, prints: seen},
	{name: "unconfined", edit: named("unconfined"), inside: "cat /proc/self/attr/apparmor/current", prints: "unconfined"},
	{name: "with noNewPrivileges", edit: func(s *specs.Spec) { named("fields-test")(s); s.Process.NoNewPrivileges = true }, inside: look, prints: seen},
	{name: "of a user in a user namespace", prepare: func(t *testing.T, b *box) { b.mapped(t) }, edit: func(s *specs.Spec) {
		named("fields-test")(s)
		s.Process.User = specs.User{UID: 1000, GID: 1000}
	}, inside: look, prints: seen},
	{name: "of an exec", edit: named("fields-test"), exec: func(*specs.Process) {}, inside: look, prints: seen},
	{name: "of an exec alone", exec: func(p *specs.Process) { p.ApparmorProfile = "fields-test" }, inside: look, prints: seen},
	{name: "not loaded", edit: named("fields-nowhere"), refused: "asked for by process.apparmorProfile"},

	// The container's /proc is a directory of its image, with a file where the module's would be (CVE-2019-16884, CVE-2023-28642).
	{name: "where /proc is an impostor", edit: func(s *specs.Spec) { named("fields-test")(s); impostor(s) }, inside: "cat /etc/passwd 2>&1; true",
		prints: "cat: can't open '/etc/passwd': Permission denied"},
	{name: "of an exec where /proc is an impostor", edit: impostor, exec: func(p *specs.Process) { p.ApparmorProfile = "fields-test" },
		prepare: func(t *testing.T, b *box) {
			b.waiting = "mkdir -p /proc/self/attr/apparmor; touch /proc/self/attr/exec /proc/self/attr/apparmor/exec; exec probe wait"
		}, inside: "cat /etc/passwd 2>&1; true", prints: "cat: can't open '/etc/passwd': Permission denied"},
}

func impostor(s *specs.Spec) {
	s.Mounts = s.Mounts[1:]
}
