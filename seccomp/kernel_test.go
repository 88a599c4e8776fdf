package seccomp

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"glassbox/linux"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// These tests ask the kernel itself, in a process of their own that installs the filter and then makes one call, or executes a
// program: `seccomp.test` with the profile and the deed in its environment. It exits with the call's errno.
const (
	profileVariable = "SECCOMP_TEST_PROFILE"
	deedVariable    = "SECCOMP_TEST_DEED"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(profileVariable); text != "" {
		os.Exit(confined(text))
	}
	os.Exit(m.Run())
}

// deed is a system call, or a program to be executed.
type deed struct {
	Number  uintptr
	Args    [3]uintptr
	Program string
}

func confined(text string) int {
	var s specs.LinuxSeccomp
	var d deed
	err := errors.Join(json.Unmarshal([]byte(text), &s), json.Unmarshal([]byte(os.Getenv(deedVariable)), &d))
	program, _, err2 := Compile(&s, linux.Native())
	if err := errors.Join(err, err2); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 200
	}
	if err := install(program); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 201
	}
	if d.Program != "" {
		return int(syscall.Exec(d.Program, []string{d.Program}, nil).(syscall.Errno))
	}
	_, _, errno := unix.RawSyscall(d.Number, d.Args[0], d.Args[1], d.Args[2])
	return int(errno)
}

// install filters all threads of this process.
func install(program []byte) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(program) / 8), Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0]))}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return nil
}

// do returns the exit code, or 128 and the signal's number.
func do(t *testing.T, s *specs.LinuxSeccomp, d deed) int {
	t.Helper()
	profile, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	what, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), profileVariable+"="+string(profile), deedVariable+"="+string(what))
	c.Stderr = os.Stderr
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if status := c.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal())
	}
	return c.ProcessState.ExitCode()
}

// but is a profile that allows all but one call, for these architectures.
func but(name string, archs ...specs.Arch) *specs.LinuxSeccomp {
	errno := uint(unix.ENODATA)
	return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: archs, Syscalls: []specs.LinuxSyscall{{Names: []string{name}, Action: specs.ActErrno, ErrnoRet: &errno}}}
}

func TestKernelAnswers(t *testing.T) {
	native := specs.Arch(linux.Native().Name)
	if have := do(t, but("getppid", native), deed{Number: unix.SYS_GETPPID}); have != int(unix.ENODATA) {
		t.Errorf("a forbidden getppid is answered %d", have)
	}
	if have := do(t, but("getppid", native), deed{Number: unix.SYS_GETUID}); have != 0 {
		t.Errorf("an allowed getuid is answered %d", have)
	}
	kill := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"getppid"}, Action: specs.ActKillProcess}}}
	if have := do(t, kill, deed{Number: unix.SYS_GETPPID}); have != 128+int(unix.SIGSYS) {
		t.Errorf("a deadly getppid is answered %d", have)
	}
	high := conditional(specs.LinuxSeccompArg{Index: 1, Value: 1 << 40, Op: specs.OpGreaterEqual})
	for argument, want := range map[uintptr]int{1 << 41: int(unix.EPERM), 1<<40 - 1: int(unix.EBADF)} {
		if have := do(t, high, deed{Number: unix.SYS_READ, Args: [3]uintptr{^uintptr(0), argument}}); have != want {
			t.Errorf("read to %#x is answered %d, not %d", argument, have, want)
		}
	}
}

// A filter just below the kernel's limit is taken.
func TestLongestFilter(t *testing.T) {
	s := many(815)
	program, _, err := Compile(s, linux.Native())
	if err != nil || len(program) < 8*4050 {
		t.Fatalf("%d instructions, %v", len(program)/8, err)
	}
	if have := do(t, s, deed{Number: unix.SYS_READ, Args: [3]uintptr{814}}); have != int(unix.EPERM) {
		t.Errorf("the last rule answers %d", have)
	}
}

// The calls of x32 and of 32-bit programs lead around nothing.
func TestOtherWaysIn(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("x32 and 32-bit calls are amd64's")
	}
	const sigsys = 128 + int(unix.SIGSYS)
	getppid := linux.X32Bit | uintptr(unix.SYS_GETPPID)
	if have := do(t, but("getppid", specs.ArchX86_64), deed{Number: getppid}); have != sigsys {
		t.Errorf("x32's getppid, where the profile has no x32, is answered %d", have)
	}
	if have := do(t, but("getppid", specs.ArchX86_64, specs.ArchX32), deed{Number: getppid}); have != int(unix.ENODATA) {
		t.Errorf("x32's getppid is answered %d", have)
	}
	program := filepath.Join(t.TempDir(), "getppid32")
	if err := os.WriteFile(program, program32(64), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command(program).Run(); err != nil && os.IsNotExist(err) || errors.Is(err, unix.ENOEXEC) {
		t.Skipf("this kernel runs no 32-bit programs: %v", err)
	}
	if have := do(t, but("getppid", specs.ArchX86_64, specs.ArchX86), deed{Program: program}); have != int(unix.ENODATA) {
		t.Errorf("a 32-bit getppid is answered %d", have)
	}
	if have := do(t, but("getppid", specs.ArchX86_64), deed{Program: program}); have != sigsys {
		t.Errorf("a 32-bit program, where the profile has no 32-bit calls, ends with %d", have)
	}
}

// program32 is a 32-bit program, elf(5), that makes one call and exits with its errno.
func program32(number byte) []byte {
	const base, header, entry = 0x08048000, 52, 52 + 32
	text := []byte{
		0xb8, number, 0, 0, 0, // mov $number, %eax
		0xcd, 0x80, // int $0x80
		0xf7, 0xd8, // neg %eax
		0x89, 0xc3, // mov %eax, %ebx
		0xb8, 1, 0, 0, 0, // mov $1, %eax
		0xcd, 0x80, // int $0x80: exit
	}
	le := binary.LittleEndian
	b := append([]byte("\x7fELF\x01\x01\x01"), make([]byte, 9)...)
	for _, half := range []uint16{2, 3} { // executable, for i386
		b = le.AppendUint16(b, half)
	}
	for _, word := range []uint32{1, base + entry, header, 0, 0} { // version, entry, program headers, no sections, no flags
		b = le.AppendUint32(b, word)
	}
	for _, half := range []uint16{header, 32, 1, 0, 0, 0} {
		b = le.AppendUint16(b, half)
	}
	size := uint32(entry + len(text))
	for _, word := range []uint32{1, 0, base, base, size, size, 5, 0x1000} { // one segment, readable and executable
		b = le.AppendUint32(b, word)
	}
	return append(b, text...)
}

// FuzzCompile holds what is compiled of any profile against a slow reading of it.
func FuzzCompile(f *testing.F) {
	add := func(s *specs.LinuxSeccomp, number uint32, argument uint64) {
		text, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, number, argument, argument, byte(0))
	}
	add(but("read"), 0, 0)
	add(but("socket", specs.ArchX86_64, specs.ArchX86, specs.ArchX32, specs.ArchARM), 102, 1)
	add(many(3), 0, 2)
	add(conditional(specs.LinuxSeccompArg{Index: 5, Op: specs.OpMaskedEqual, Value: 7, ValueTwo: 1}), 0, 9)
	random := rand.New(rand.NewPCG(5, 28))
	for range 20 {
		add(randomProfile(random), random.Uint32N(450), randomValue(random))
	}
	f.Fuzz(func(t *testing.T, text []byte, number uint32, even, odd uint64, of byte) {
		var s specs.LinuxSeccomp
		if json.Unmarshal(text, &s) != nil {
			return
		}
		native := linux.Architectures[0]
		program, _, err := Compile(&s, native)
		if err != nil {
			return
		}
		a := linux.Architectures[int(of)%len(linux.Architectures)]
		for _, n := range append(numbers(&s, a), number) {
			c := call{number: n, arch: a.Audit, args: [6]uint64{even, odd, even, odd, even, odd}}
			if have, want := ask(t, program, c), reading(&s, native, c); have != want {
				t.Fatalf("%s %#x %x is answered %#x, not %#x", a.Name, n, c.args, have, want)
			}
		}
	})
}

// numbers are those of the calls that the profile names, and their neighbours.
func numbers(s *specs.LinuxSeccomp, a linux.Architecture) (all []uint32) {
	for _, r := range s.Syscalls {
		for _, name := range r.Names {
			if n, known := a.Of(name); known {
				all = append(all, n-1, n, n+1)
			}
		}
	}
	return all
}
