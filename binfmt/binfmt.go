// Package binfmt reads the first bytes of a file as execve(2) does, and says why the kernel would not run it: execve's few error
// numbers stand for many causes, and ENOENT for a file that is there is the one that costs people most time.
package binfmt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Refusal is why a file cannot be executed.
type Refusal struct {
	Kind     string     // one of the words below
	Errno    unix.Errno // what execve(2) answers
	Why      string     // the cause, in a sentence
	Check    string     // a command that proves it
	Fix      string     // what cures it
	Evidence []string   // what was read, and where
}

// The kinds of refusals.
const (
	Missing      = "missing file"
	NotRegular   = "not a regular file"
	Mode         = "not executable"
	NoExec       = "noexec mount"
	CRLF         = "CRLF"
	NoName       = "#! without a name"
	Interpreter  = "missing interpreter"
	Loader       = "missing loader"
	Architecture = "wrong architecture"
	Format       = "no known format"
	Empty        = "empty file"
)

// Opener opens a regular file of the tree in which a program would run. Links are followed inside it.
type Opener func(name string) (*os.File, error)

// Host opens files as this process sees them.
func Host(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "open", Path: name, Err: unix.EINVAL}
	}
	return os.Open(name)
}

// begun is how much of a file is read: the kernel's own BINPRM_BUF_SIZE is 256 bytes, and ELF's headers may lie further on.
const begun = 4096

// Examine looks for what stands in the way of executing a file; nil: nothing that its first bytes, its mode and its mount could tell. What can
// be wrong with an interpreter is asked of it in the same way, once.
func Examine(open Opener, name string) (*Refusal, error) { return examine(open, name, true) }

func examine(open Opener, name string, scripts bool) (*Refusal, error) {
	look, err := open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return &Refusal{Kind: Missing, Errno: unix.ENOENT, Why: name + " does not exist", Check: "ls -l " + name, Fix: "correct the name, or install the program", Evidence: []string{name + ": " + unix.ENOENT.Error()}}, nil
	case errors.Is(err, unix.EINVAL): // an Opener's word for a file that is not regular
		return &Refusal{
			Kind: NotRegular, Errno: unix.EACCES, Why: name + " is no regular file, and execve(2) runs nothing else", Check: "stat -c %F " + name,
			Fix: "name a program", Evidence: []string{name + ": not a regular file"},
		}, nil
	case err != nil:
		return nil, err
	}
	defer look.Close()
	if r := permitted(look, name); r != nil {
		return r, nil
	}
	head := make([]byte, begun)
	n, err := io.ReadFull(look, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return format(open, name, head[:n], scripts), nil
}

// permitted asks mode and mount. Root, too, needs one x in the mode.
func permitted(look *os.File, name string) *Refusal {
	info, err := look.Stat()
	if err != nil {
		return nil
	}
	mode := fmt.Sprintf("mode of %s: %s", name, info.Mode())
	if info.Mode()&0o111 == 0 {
		return &Refusal{
			Kind: Mode, Errno: unix.EACCES, Why: name + " exists but may not be executed: its mode has no x", Check: "ls -l " + name,
			Fix: "chmod +x " + name, Evidence: []string{mode},
		}
	}
	var s unix.Statfs_t
	if unix.Fstatfs(int(look.Fd()), &s) == nil && s.Flags&unix.ST_NOEXEC != 0 {
		return &Refusal{
			Kind: NoExec, Errno: unix.EACCES, Why: name + " lies on a mount with the option noexec, from which nothing is executed", Check: "findmnt -T " + name,
			Fix:      "mount it with exec (a tmpfs of Docker's is noexec unless it says --tmpfs DIR:exec), or put the file elsewhere",
			Evidence: []string{mode, "statfs of " + name + ": ST_NOEXEC"},
		}
	}
	return nil
}

func format(open Opener, name string, head []byte, scripts bool) *Refusal {
	var r *Refusal
	switch {
	case len(head) == 0:
		r = &Refusal{Kind: Empty, Errno: unix.ENOEXEC, Why: name + " is empty", Fix: "put the program in"}
	case strings.HasPrefix(string(head), "#!") && scripts:
		r = script(open, name, head)
	case strings.HasPrefix(string(head), "\x7fELF"):
		r = elf(open, name, head)
	case !scripts: // an interpreter that is a script: the kernel goes on, five deep
	default:
		r = &Refusal{
			Kind: Format, Errno: unix.ENOEXEC, Why: name + " is neither an ELF program nor a script: its first line does not begin with #!",
			Fix: "put #!/bin/sh on its first line, or run it as `sh " + name + "`",
		}
	}
	if r != nil && len(r.Evidence) == 0 {
		r.Evidence = []string{"first bytes of " + name + ": " + bytesOf(head)}
	}
	return r
}

// bytesOf are the first line's bytes, at most sixteen, in hexadecimal.
func bytesOf(head []byte) string {
	end := min(len(head), 16)
	if i := strings.IndexByte(string(head[:end]), '\n'); i >= 0 {
		end = i + 1
	}
	if end == 0 {
		return "none"
	}
	return fmt.Sprintf("% x", head[:end])
}

// script: execve(2) reports the interpreter's absence as if the script were missing.
func script(open Opener, name string, head []byte) *Refusal {
	line, _, _ := strings.Cut(string(head[2:]), "\n")
	if strings.HasSuffix(line, "\r") {
		return &Refusal{
			Kind: CRLF, Errno: unix.ENOENT,
			Why:   fmt.Sprintf("the first line of %s names the interpreter %q: the file has Windows line ends (CRLF)", name, strings.TrimLeft(line, " \t")),
			Check: "head -1 " + name + " | od -c",
			Fix:   "sed -i 's/\\r$//' " + name,
		}
	}
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return &Refusal{Kind: NoName, Errno: unix.ENOEXEC, Why: "the first line of " + name + " names no interpreter", Fix: "put #!/bin/sh on its first line"}
	}
	r, err := examine(open, fields[0], false)
	if err != nil || r == nil {
		return nil
	}
	if r.Kind != Missing {
		r.Why = name + " is a script for " + fields[0] + ": " + r.Why
		return r
	}
	return &Refusal{
		Kind: Interpreter, Errno: unix.ENOENT, Why: fmt.Sprintf("%s is a script for %s, and there is no such file", name, fields[0]),
		Check: "head -1 " + name, Fix: "name an interpreter that the image has, such as /bin/sh",
		Evidence: []string{fmt.Sprintf("first line of %s: %q", name, "#!"+line), fields[0] + ": " + unix.ENOENT.Error()},
	}
}

// machines are ELF's e_machine values (elf(5)) of what people build images for.
var machines = [...]struct {
	number uint16
	name   string
}{{3, "386"}, {40, "arm"}, {62, "amd64"}, {183, "arm64"}, {243, "riscv64"}, {21, "ppc64le"}, {22, "s390x"}}

// Machine is the architecture of an ELF file, in Go's words; empty where it is not known.
func Machine(head []byte) string {
	if len(head) < 20 {
		return ""
	}
	number := uint16(head[18]) | uint16(head[19])<<8
	if head[5] == 2 { // big endian
		number = uint16(head[19]) | uint16(head[18])<<8
	}
	for _, m := range machines {
		if m.number == number {
			return m.name
		}
	}
	return ""
}

func elf(open Opener, name string, head []byte) *Refusal {
	if len(head) < 64 {
		return &Refusal{Kind: Format, Errno: unix.ENOEXEC, Why: name + " is a piece of an ELF file: it ends within its header", Fix: "copy it once more"}
	}
	if m := Machine(head); m != "" && !runs(m) {
		return &Refusal{
			Kind: Architecture, Errno: unix.ENOEXEC, Why: fmt.Sprintf("%s is a program for %s, and this machine is %s", name, m, runtime.GOARCH),
			Check: "file " + name + "; uname -m", Fix: "use an image for linux/" + runtime.GOARCH,
			Evidence: []string{
				fmt.Sprintf("ELF header of %s: e_machine %d (%s)", name, uint16(head[18])|uint16(head[19])<<8, m), "uname -m: " + machineName(),
			},
		}
	}
	loader := LoaderOf(head)
	if loader == "" {
		return nil
	}
	if look, err := open(loader); err == nil {
		look.Close()
		return nil
	}
	return &Refusal{
		Kind: Loader, Errno: unix.ENOENT, Why: fmt.Sprintf("%s needs the loader %s%s, and there is none", name, loader, library(loader)),
		Check:    "ls -l " + loader + " /lib/ld-*",
		Fix:      "build it statically (CGO_ENABLED=0, or -static), or use a base image with that C library",
		Evidence: []string{"ELF program header PT_INTERP of " + name + ": " + loader, loader + ": " + unix.ENOENT.Error()},
	}
}

// library says to which C library a loader belongs.
func library(loader string) string {
	switch {
	case strings.Contains(loader, "/ld-musl-"):
		return ", which is musl's (Alpine)"
	case strings.Contains(loader, "/ld-linux"):
		return ", which is glibc's (Debian, Fedora, ...)"
	}
	return ""
}

// runs: kernels for amd64 run 386 as well, where they are built with IA32_EMULATION.
func runs(machine string) bool {
	return machine == runtime.GOARCH || runtime.GOARCH == "amd64" && machine == "386" || runtime.GOARCH == "arm64" && machine == "arm"
}

func machineName() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Machine[:])
}

// LoaderOf is the PT_INTERP of a 64-bit little-endian ELF file, as far as its first bytes show it.
func LoaderOf(head []byte) string {
	if len(head) < 64 || head[4] != 2 || head[5] != 1 {
		return ""
	}
	number := func(at, size int) uint64 {
		var v uint64
		for i := size - 1; i >= 0 && at+i < len(head); i-- {
			v = v<<8 | uint64(head[at+i])
		}
		return v
	}
	table, size, count := number(32, 8), number(54, 2), number(56, 2)
	for i := uint64(0); i < min(count, 64); i++ {
		at := int(min(table+i*size, uint64(len(head))))
		if number(at, 4) != 3 { // PT_INTERP
			continue
		}
		from, length := number(at+8, 8), number(at+32, 8)
		if from < uint64(len(head)) && length > 1 && length <= uint64(len(head))-from {
			return string(head[from : from+length-1])
		}
	}
	return ""
}
