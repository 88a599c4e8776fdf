package binfmt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// elfFile is a 64-bit little-endian header with one program header, PT_INTERP.
func elfFile(machine byte, loader string) string {
	head := make([]byte, 120)
	copy(head, "\x7fELF\x02\x01\x01")
	head[18], head[32], head[54], head[56] = machine, 64, 56, 1
	head[64], head[72], head[96] = 3, 120, byte(len(loader)+1)
	return string(head) + loader + "\x00"
}

// native is e_machine of the machine that the test runs on.
func native(t *testing.T) byte {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	return b[18]
}

// TestExamine: execve(2) itself is asked as well, and must give the same errno.
func TestExamine(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		kind    string
	}{
		"crlf":        {"#!/bin/sh\r\n", 0o755, CRLF},
		"interpreter": {"#!/bin/nosuch -x\n", 0o755, Interpreter},
		"directory":   {"#!/etc\n", 0o755, NotRegular},
		"nameless":    {"#! \n", 0o755, NoName},
		"plain":       {"hello\n", 0o755, Format},
		"empty":       {"", 0o755, Empty},
		"mode":        {"#!/bin/sh\n", 0o644, Mode},
		"short":       {"\x7fELF", 0o755, Format},
		"alien":       {elfFile(243, ""), 0o755, Architecture},
		"loader":      {elfFile(native(t), "/lib/ld-nosuch.so"), 0o755, Loader},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		r, err := Examine(Host, path)
		if err != nil || r == nil || r.Kind != c.kind {
			t.Errorf("%s: %+v, %v; want %s", name, r, err, c.kind)
			continue
		}
		if kernel := unix.Exec(path, []string{path}, nil); kernel != r.Errno && name != "loader" { // such a small ELF file is refused for more
			t.Errorf("%s: the kernel says %v, we %v", name, kernel, r.Errno)
		}
		if len(r.Evidence) == 0 || r.Why == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for _, good := range []string{"/proc/self/exe", "/bin/sh"} {
		if r, err := Examine(Host, good); r != nil || err != nil {
			t.Errorf("%s: %+v, %v", good, r, err)
		}
	}
	if r, err := Examine(Host, dir+"/none"); err != nil || r == nil || r.Kind != Missing {
		t.Errorf("%+v, %v", r, err)
	}
}

// FuzzFormat: whatever a file holds, it is read without harm.
func FuzzFormat(f *testing.F) {
	f.Add(elfFile(62, "/lib/ld.so"))
	f.Add("#!/bin/sh\r\n")
	f.Add("\x7fELF\x02\x01" + strings.Repeat("\xff", 80))
	f.Fuzz(func(t *testing.T, content string) {
		format(func(string) (*os.File, error) { return nil, os.ErrNotExist }, "x", []byte(content), true)
	})
}
