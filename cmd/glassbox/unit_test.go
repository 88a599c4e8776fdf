package main

import (
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// systemd understands the unit that make install copies, and complains of nothing in it.
func TestUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze")
	}
	data, err := os.ReadFile("glassbox.service")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for path, content := range map[string]string{"glassbox": "#!/bin/sh\n", "glassbox.service": strings.ReplaceAll(string(data), "@bin@", dir)} {
		if err := os.WriteFile(dir+"/"+path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir+"/glassbox.service", 0o644); err != nil { // it would complain of x
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", dir+"/glassbox.service").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestListedMode(t *testing.T) {
	for m, want := range map[fs.FileMode]string{
		0o644: "-rw-r--r--", fs.ModeDir | fs.ModeSticky | 0o777: "drwxrwxrwt", fs.ModeSetuid | 0o755: "-rwsr-xr-x", fs.ModeSetgid | 0o640: "-rw-r-S---",
		fs.ModeSymlink | 0o777: "lrwxrwxrwx", fs.ModeDevice | 0o600: "brw-------", fs.ModeDevice | fs.ModeCharDevice | 0o620: "crw--w----",
	} {
		if got := listedMode(m); got != want {
			t.Errorf("%v: %s, want %s", m, got, want)
		}
	}
}
