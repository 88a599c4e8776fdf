package probe

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// process prints what prctl(2) says of each of these.
func process(names []string) error {
	options := map[string]int{
		"dumpable": unix.PR_GET_DUMPABLE, "keepcaps": unix.PR_GET_KEEPCAPS, "no_new_privs": unix.PR_GET_NO_NEW_PRIVS, "seccomp": unix.PR_GET_SECCOMP,
		"securebits": unix.PR_GET_SECUREBITS, "timerslack": unix.PR_GET_TIMERSLACK,
	}
	for _, name := range names {
		option, known := options[name]
		if !known {
			return fmt.Errorf("unknown option %s", name)
		}
		v, err := unix.PrctlRetInt(option, 0, 0, 0, 0)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Println(name, v)
	}
	return nil
}

// scheduler prints sched_getattr(2).
func scheduler([]string) error {
	a, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return err
	}
	fmt.Printf("policy %d flags %#x nice %d priority %d runtime %d deadline %d period %d\n",
		a.Policy, a.Flags, a.Nice, a.Priority, a.Runtime, a.Deadline, a.Period)
	return nil
}

// ioPriority prints class and level, ioprio_get(2).
func ioPriority([]string) error {
	v, _, errno := unix.RawSyscall(unix.SYS_IOPRIO_GET, 1, 0, 0)
	if errno != 0 {
		return errno
	}
	fmt.Println([]string{"none", "realtime", "best-effort", "idle"}[v>>13&3], v&7)
	return nil
}

// affinity prints the CPUs that this process may run on.
func affinity([]string) error {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(text), "Cpus_allowed_list:")
	line, _, _ := strings.Cut(rest, "\n")
	fmt.Println(strings.TrimSpace(line))
	return nil
}

// memoryPolicy prints mode, flags and nodes, get_mempolicy(2).
func memoryPolicy([]string) error {
	var mode int32
	nodes := make([]byte, 128)
	_, _, errno := unix.RawSyscall6(unix.SYS_GET_MEMPOLICY, uintptr(unsafe.Pointer(&mode)), uintptr(unsafe.Pointer(&nodes[0])), uintptr(8*len(nodes)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	fmt.Printf("mode %d flags %#x nodes %#x\n", mode&0xfff, mode&^0xfff, binary.LittleEndian.Uint64(nodes))
	return nil
}

// keyring prints the number of the session keyring, keyctl(2).
func keyring([]string) error {
	id, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
	if err != nil {
		return err
	}
	fmt.Println(id)
	return nil
}

// personality prints personality(2)'s word.
func personality([]string) error {
	v, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, 0xffffffff, 0, 0)
	if errno != 0 {
		return errno
	}
	fmt.Printf("%#x\n", v)
	return nil
}

// call makes system calls and prints how each is answered: NAME or number, with an ABI (x32:, i386:) before it, and the arguments after
// commas: getppid, i386:getppid, x32:read,0,0,0.
func call(calls []string) error {
	for _, c := range calls {
		w := strings.Split(c, ",")
		abi, name, found := strings.Cut(w[0], ":")
		if !found {
			abi, name = "", w[0]
		}
		var args [6]uintptr
		for i, text := range w[1:] {
			v, err := strconv.ParseUint(text, 0, 64)
			if err != nil || i >= len(args) {
				return fmt.Errorf("%s: %w", c, errArguments)
			}
			args[i] = uintptr(v)
		}
		errno, err := ask(abi, name, args)
		if err != nil {
			return err
		}
		if errno == 0 {
			fmt.Println(w[0], "ok")
			continue
		}
		fmt.Println(w[0], unix.ErrnoName(errno))
	}
	return nil
}

// ask makes one call in one of the ways in.
func ask(abi, name string, args [6]uintptr) (unix.Errno, error) {
	arch := map[string]string{"": linux.Native().Name, "x32": "SCMP_ARCH_X32", "i386": "SCMP_ARCH_X86"}[abi]
	number, err := strconv.ParseUint(name, 0, 32)
	for _, a := range linux.Architectures {
		if n, known := a.Of(name); known && a.Name == arch {
			number, err = uint64(n), nil
		}
	}
	if err != nil {
		return 0, fmt.Errorf("unknown call %s of %s", name, arch)
	}
	if abi == "i386" {
		return int80(uintptr(number), args), nil
	}
	_, _, errno := unix.RawSyscall6(uintptr(number), args[0], args[1], args[2], args[3], args[4], args[5])
	return errno, nil
}
