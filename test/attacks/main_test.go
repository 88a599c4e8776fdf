// Package attacks does to glassrun what has broken other runtimes. Each test is written from an advisory: it runs the attack, as a program in
// a container, against the real thing, and fails when that gets out, or when it was not carried out at all.
package attacks

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"glassbox/test/bundle"

	"golang.org/x/sys/unix"
)

// attacks are what this program does in a container, where it is /bin/attack.
var attacks = map[string]func(args []string){
	"around":      around,
	"climb":       climb,
	"descriptors": descriptors,
	"guarded":     guarded,
	"overwrite":   overwrite,
	"hidden":      hidden,
	"host":        reachHost,
	"identity":    identity,
	"terminal":    terminal,
	"victim":      victim,
	"watch":       watch,
}

func TestMain(m *testing.M) { bundle.Main(m, "attack", attack, "") }

func attack(args []string) int {
	if len(args) == 2 && args[1] == "victim" {
		args = args[1:]
	}
	if len(args) == 0 || attacks[args[0]] == nil {
		fmt.Println("unknown attack", args)
		return 2
	}
	attacks[args[0]](args[1:])
	return 0
}

// escaped and held are how an attack says what came of what it tried.
func escaped(how string, a ...any) { fmt.Println("ESCAPED", fmt.Sprintf(how, a...)) }

func held(what string, err error) { fmt.Printf("held %s: %v\n", what, err) }

// tried says of one attempt whether it got out.
func tried(what string, err error) {
	if err == nil || err == unix.Errno(0) {
		escaped("%s", what)
		return
	}
	held(what, err)
}

// withstood fails the test if the attack got out, or did not say what must have been tried.
func withstood(t *testing.T, said string, must ...string) {
	t.Helper()
	for line := range strings.Lines(said) {
		if strings.Contains(line, "ESCAPED") {
			t.Error(strings.TrimSpace(line))
		}
	}
	for _, m := range must {
		if !regexp.MustCompile(m).MatchString(said) {
			t.Errorf("the attack did not say %q, but:\n%s", m, said)
		}
	}
}

// detach runs a container in the background, which the test's end removes. Its output goes to a file in the bundle.
func detach(t *testing.T, b *bundle.Bundle, args ...string) (output func() string) {
	t.Helper()
	b.Spec.Process.Args = args
	b.Write(t)
	t.Cleanup(func() { bundle.Glassrun(t, b.Global("delete", "--force", b.ID)...) })
	background(t, b, b.Global("run", "--detach", "--bundle", b.Dir, b.ID)...)
	return func() string {
		said, _ := os.ReadFile(b.Path("output"))
		return string(said)
	}
}

// bothWays are the two ways in which an attack comes to be in a container: as its first process, and as an exec's.
func bothWays(t *testing.T, attack string) []*exec.Cmd {
	t.Helper()
	waits, fresh := bundle.New(t), bundle.New(t)
	detach(t, waits, "sleep", "1000")
	fresh.Spec.Process.Args = []string{"/bin/attack", attack}
	fresh.Write(t)
	return []*exec.Cmd{
		bundle.Command(t, fresh.Global("run", "--bundle", fresh.Dir, fresh.ID)...),
		bundle.Command(t, waits.Global("exec", waits.ID, "/bin/attack", attack)...),
	}
}

// background runs a command that leaves a process, which keeps its output.
func background(t *testing.T, b *bundle.Bundle, args ...string) {
	t.Helper()
	out, err := os.OpenFile(b.Path("output"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c := bundle.Command(t, args...)
	c.Stdout, c.Stderr = out, out
	if a := bundle.Run(t, c); a.Code != 0 {
		said, _ := os.ReadFile(b.Path("output"))
		t.Fatalf("%v: exit %d: %s", args, a.Code, said)
	}
}

// foreground runs a container to its end.
func foreground(t *testing.T, b *bundle.Bundle, args ...string) bundle.Answer {
	t.Helper()
	b.Spec.Process.Args = args
	b.Write(t)
	return bundle.Glassrun(t, b.Global("run", "--bundle", b.Dir, b.ID)...)
}
