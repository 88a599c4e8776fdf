package oci_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"glassbox/test/bundle"
)

// nobody is a user with no rights on the machine.
const nobody = 1000

// as makes a command of glassrun's that user's. The program is copied to where they can get at it.
func (b *box) as(user uint32, args ...string) *exec.Cmd {
	b.t.Helper()
	c := b.command(args...)
	program := b.Path("glassrun")
	if _, err := os.Stat(program); err != nil {
		if out, err := exec.Command("install", "-m", "755", c.Path, program).CombinedOutput(); err != nil {
			b.t.Fatalf("installing glassrun: %v: %s", err, out)
		}
	}
	c.Path, c.Dir = program, b.Dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	return c
}

// Whoever has no rights makes containers by a user namespace, in which they are root: without a cgroup, with one id.
func TestWithoutRights(t *testing.T) {
	b := newBox(t)
	if err := os.Chown(b.Dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if a := bundle.Run(t, b.as(nobody, "spec", "--rootless")); a.Code != 0 {
		t.Fatalf("spec --rootless: %s", a.Errs)
	}
	b.edit(`"terminal": true`, `"terminal": false`)
	b.edit(`"sh"`, `"sh", "-c", "id -u; read line; echo $line"`)
	c := b.as(nobody, "run", b.ID)
	c.Stdin = strings.NewReader("typed\n")
	if a := bundle.Run(t, c); a.Code != 0 || a.Out != "0\ntyped" {
		t.Errorf("run ends with %d and prints %q: %s", a.Code, a.Out, a.Errs)
	}
	b.edit(`id -u; read line; echo $line`, `sleep 1000`)
	if a := bundle.Run(t, b.as(nobody, "run", "--detach", b.ID)); a.Code != 0 {
		t.Fatalf("run --detach: %s", a.Errs)
	}
	if a := bundle.Run(t, b.as(nobody, "exec", b.ID, "sh", "-c", "id -u; cat /proc/1/comm")); a.Out != "0\nsleep" {
		t.Errorf("exec ends with %d and prints %q: %s", a.Code, a.Out, a.Errs)
	}
	if a := bundle.Run(t, b.as(nobody, "delete", "--force", b.ID)); a.Code != 0 {
		t.Errorf("delete: %s", a.Errs)
	}
}

// edit replaces a part of config.json.
func (b *box) edit(part, by string) {
	b.t.Helper()
	path := b.Path("config.json")
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), part) {
		b.t.Fatalf("%s has no %s: %v", path, part, err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), part, by, 1)), 0o644); err != nil {
		b.t.Fatal(err)
	}
}
