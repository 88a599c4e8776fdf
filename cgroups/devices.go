package cgroups

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// cgroup v2 has no device files: a BPF program attached to the group is asked at every mknod and open of a device
// (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE). It attaches to any cgroup2 group, on a hybrid host too.

// always is what runc allows every container, after the spec's own rules: making any node (opening it is another matter),
// the devices of OCI's default list, and terminals.
var always = []specs.LinuxDeviceCgroup{
	{Allow: true, Type: "c", Access: "m"},
	{Allow: true, Type: "b", Access: "m"},
	char(1, 3), char(1, 8), char(1, 7), char(5, 0), char(1, 5), char(1, 9), // null random full tty zero urandom
	char(136, -1), char(5, 2), // pts/*, ptmx
}

// withAlways appends those of them that the rules do not have word for word.
func withAlways(rules []specs.LinuxDeviceCgroup) []specs.LinuxDeviceCgroup {
	last := 0 // an allowance counts only behind the last denial
	for i, r := range rules {
		if !r.Allow {
			last = i
		}
	}
	all := slices.Clone(rules)
	for _, a := range always {
		same := func(r specs.LinuxDeviceCgroup) bool {
			return r.Allow && r.Type == a.Type && r.Access == a.Access && reflect.DeepEqual(r.Major, a.Major) && reflect.DeepEqual(r.Minor, a.Minor)
		}
		if len(rules) == 0 || !slices.ContainsFunc(rules[last:], same) {
			all = append(all, a)
		}
	}
	return all
}

func char(major, minor int64) specs.LinuxDeviceCgroup {
	d := specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &major, Access: "rwm"}
	if minor >= 0 {
		d.Minor = &minor
	}
	return d
}

// The kernel's numbers for access and type (linux/bpf.h, BPF_DEVCG_*).
const (
	mknod  = 1
	read   = 2
	writes = 4
	every  = mknod | read | writes

	block     = 1
	character = 2
)

// deviceRequests loads the program for the rules, and attaches it; none where everything is allowed or no rule is given.
func deviceRequests(dir string, r *specs.LinuxResources, attach func(dir string, prog int) error) ([]program.Request, error) {
	if r == nil || len(r.Devices) == 0 {
		return nil, nil
	}
	rules := withAlways(r.Devices)
	code, err := deviceProgram(rules)
	if err != nil || code.allowsAll() {
		return nil, err
	}
	var fd int
	const from = "linux.resources.devices"
	return []program.Request{{
		Call:  code.loadCall(),
		From:  from,
		Why:   "a little program that the kernel checks now, and then asks at each mknod and open of a device; later rules win: " + inWords(rules),
		Gives: "<program>",
		Do:    func() (err error) { fd, err = code.load(); return err },
		Undo:  func() error { return closeOnce(&fd) },
	}, {
		Call: fmt.Sprintf("bpf(BPF_PROG_ATTACH, {target_fd=%s, attach_bpf_fd=\"anon_inode:bpf-prog\", attach_type=BPF_CGROUP_DEVICE, attach_flags=BPF_F_ALLOW_MULTI}, %d)",
			strconv.Quote(dir), unsafe.Sizeof(progAttach{})),
		From: from,
		Why:  "from now on the program guards every process born in this group; programs of the groups above count too",
		Do: func() error {
			defer closeOnce(&fd)
			return attach(dir, fd)
		},
	}}, nil
}

func closeOnce(fd *int) error {
	if *fd == 0 {
		return nil
	}
	err := unix.Close(*fd)
	*fd = 0
	return err
}

// insn is struct bpf_insn.
type insn struct {
	op  uint8
	reg uint8 // destination in the low, source in the high four bits
	off int16
	imm int32
}

type bytecode []insn

// The few instructions used (linux/bpf_common.h).
const (
	opLoad32   = 0x61 // BPF_LDX|BPF_W|BPF_MEM
	opMove32   = 0xbc // BPF_ALU|BPF_MOV|BPF_X
	opAnd32    = 0x54 // BPF_ALU|BPF_AND|BPF_K
	opShift32  = 0x74 // BPF_ALU|BPF_RSH|BPF_K
	opReturns  = 0xb7 // BPF_ALU64|BPF_MOV|BPF_K, of r0
	opExit     = 0x95 // BPF_JMP|BPF_EXIT
	opUnequal  = 0x55 // BPF_JMP|BPF_JNE|BPF_K
	opAnyBit   = 0x45 // BPF_JMP|BPF_JSET|BPF_K
	opJump     = 0x05 // BPF_JMP|BPF_JA
	regContext = 1    // struct bpf_cgroup_dev_ctx { access_type, major, minor }
	regType    = 2
	regAsked   = 3 // the bits of access asked for and not yet allowed
	regMajor   = 4
	regMinor   = 5
)

// deviceProgram compiles the rules so that for each kind of access asked for the last rule that speaks of it decides, as
// writing them one after the other to v1's devices.allow and devices.deny would. So it goes backwards: an allowing rule
// strikes its kinds off what is still asked, a denying one refuses if one of its kinds is. What no rule speaks of is refused.
func deviceProgram(rules []specs.LinuxDeviceCgroup) (bytecode, error) {
	code := bytecode{
		{op: opLoad32, reg: regType | regContext<<4, off: 0},
		{op: opMove32, reg: regAsked | regType<<4},
		{op: opAnd32, reg: regType, imm: 0xffff},
		{op: opShift32, reg: regAsked, imm: 16},
		{op: opLoad32, reg: regMajor | regContext<<4, off: 4},
		{op: opLoad32, reg: regMinor | regContext<<4, off: 8},
	}
	for i := len(rules) - 1; i >= 0; i-- {
		b, err := ruleCode(rules[i])
		if err != nil {
			return nil, fmt.Errorf("linux.resources.devices[%d]: %w", i, err)
		}
		code = append(code, b...)
		if n := len(b); n == 2 { // it decides everything: the verifier rejects code that cannot be reached
			return code, nil
		}
	}
	return append(code, returns(0)...), nil
}

func returns(n int32) bytecode { return bytecode{{op: opReturns, imm: n}, {op: opExit}} }

// ruleCode is one rule: what it does not speak of jumps over its end.
func ruleCode(r specs.LinuxDeviceCgroup) (bytecode, error) {
	kinds, err := accessBits(r.Access)
	if err != nil {
		return nil, err
	}
	tests, err := ruleTests(r)
	if err != nil {
		return nil, err
	}
	var act bytecode
	switch {
	case kinds == every:
		act = returns(int32(truth(r.Allow)))
	case r.Allow:
		act = append(bytecode{{op: opAnd32, reg: regAsked, imm: int32(every &^ kinds)}, {op: opUnequal, reg: regAsked, off: 2}}, returns(1)...)
	default:
		act = append(bytecode{{op: opAnyBit, reg: regAsked, imm: int32(kinds), off: 1}, {op: opJump, off: 2}}, returns(0)...)
	}
	for i := range tests {
		tests[i].off = int16(len(tests) - i - 1 + len(act))
	}
	return append(tests, act...), nil
}

// ruleTests compares type, major and minor, where the rule names them.
func ruleTests(r specs.LinuxDeviceCgroup) (bytecode, error) {
	var tests bytecode
	switch r.Type {
	case "a", "":
	case "b":
		tests = append(tests, insn{op: opUnequal, reg: regType, imm: block})
	case "c", "u":
		tests = append(tests, insn{op: opUnequal, reg: regType, imm: character})
	default:
		return nil, fmt.Errorf("device type %q is none of a, b, c, u", r.Type)
	}
	for _, part := range []struct {
		reg uint8
		n   *int64
	}{{regMajor, r.Major}, {regMinor, r.Minor}} {
		if part.n == nil || *part.n == -1 {
			continue
		}
		if *part.n < 0 || *part.n > math.MaxInt32 { // devices have 12 and 20 bits
			return nil, fmt.Errorf("device number %d is out of range", *part.n)
		}
		tests = append(tests, insn{op: opUnequal, reg: part.reg, imm: int32(*part.n)})
	}
	return tests, nil
}

func accessBits(access string) (uint32, error) {
	var bits uint32
	for _, c := range access {
		switch c {
		case 'm':
			bits |= mknod
		case 'r':
			bits |= read
		case 'w':
			bits |= writes
		default:
			return 0, fmt.Errorf("device access %q has %q, which is none of r, w, m", access, c)
		}
	}
	if bits == 0 {
		bits = every
	}
	return bits, nil
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// allowsAll: no rule refuses anything, as for a privileged container.
func (c bytecode) allowsAll() bool {
	for _, i := range c {
		if i.op == opReturns && i.imm == 0 {
			return false
		}
	}
	return true
}

// bytes is the program as the kernel reads it.
func (c bytecode) bytes() []byte {
	var b []byte
	for _, i := range c {
		b = append(b, i.op, i.reg)
		b = binary.NativeEndian.AppendUint16(b, uint16(i.off))
		b = binary.NativeEndian.AppendUint32(b, uint32(i.imm))
	}
	return b
}

// inWords writes rules as cgroup v1's devices.allow takes them, cgroup-v1/devices.rst.
func inWords(rules []specs.LinuxDeviceCgroup) string {
	var w []string
	for _, r := range rules {
		verb := "deny "
		if r.Allow {
			verb = "allow "
		}
		kind := r.Type
		if kind == "" {
			kind = "a"
		}
		access := r.Access
		if access == "" {
			access = "rwm"
		}
		w = append(w, verb+kind+" "+orAny(r.Major)+":"+orAny(r.Minor)+" "+access)
	}
	return strings.Join(w, ", ")
}

func orAny(n *int64) string {
	if n == nil || *n < 0 {
		return "*"
	}
	return strconv.FormatInt(*n, 10)
}

// opNames are the instructions as strace writes them.
var opNames = map[uint8]string{
	opLoad32: "BPF_LDX|BPF_W|BPF_MEM", opMove32: "BPF_ALU|BPF_X|BPF_MOV", opAnd32: "BPF_ALU|BPF_K|BPF_AND",
	opShift32: "BPF_ALU|BPF_K|BPF_RSH", opReturns: "BPF_ALU64|BPF_K|BPF_MOV", opExit: "BPF_JMP|BPF_K|BPF_EXIT",
	opUnequal: "BPF_JMP|BPF_K|BPF_JNE", opAnyBit: "BPF_JMP|BPF_K|BPF_JSET", opJump: "BPF_JMP|BPF_K|BPF_JA",
}

// loadCall is the whole call, as `strace -v` prints it.
func (c bytecode) loadCall() string {
	var w []string
	for _, i := range c {
		imm := "0"
		if i.imm != 0 {
			imm = fmt.Sprintf("%#x", uint32(i.imm))
		}
		w = append(w, fmt.Sprintf("{code=%s, dst_reg=BPF_REG_%d, src_reg=BPF_REG_%d, off=%d, imm=%s}", opNames[i.op], i.reg&15, i.reg>>4, i.off, imm))
	}
	return fmt.Sprintf(`bpf(BPF_PROG_LOAD, {prog_type=BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt=%d, insns=[%s], license="GPL", log_level=0, log_size=0, log_buf=NULL, kern_version=KERNEL_VERSION(0, 0, 0), prog_flags=0, prog_name="", prog_ifindex=0, expected_attach_type=BPF_CGROUP_INET_INGRESS}, %d)`,
		len(c), strings.Join(w, ", "), unsafe.Sizeof(progLoad{}))
}

// progLoad and progAttach are the beginnings of union bpf_attr that these two commands read.
type progLoad struct {
	progType, count       uint32
	insns, license        uint64
	logLevel, logSize     uint32
	logBuf                uint64
	kernVersion, flags    uint32
	name                  [16]byte
	ifindex, expectedType uint32
}

type progAttach struct{ target, prog, attachType, flags uint32 }

func (c bytecode) load() (int, error) {
	insns, license := c.bytes(), []byte("GPL\x00")
	attr := progLoad{
		progType: unix.BPF_PROG_TYPE_CGROUP_DEVICE,
		count:    uint32(len(c)),
		insns:    uint64(uintptr(unsafe.Pointer(&insns[0]))),
		license:  uint64(uintptr(unsafe.Pointer(&license[0]))),
	}
	fd, err := bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(insns)
	runtime.KeepAlive(license)
	if err != nil {
		return 0, fmt.Errorf("loading the device program: %w", err)
	}
	return int(fd), nil
}

func attach(dir string, prog int) error {
	group, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("attaching the device program to %s: open: %w", dir, err)
	}
	defer unix.Close(group)
	attr := progAttach{target: uint32(group), prog: uint32(prog), attachType: unix.BPF_CGROUP_DEVICE, flags: unix.BPF_F_ALLOW_MULTI}
	if _, err := bpf(unix.BPF_PROG_ATTACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		return fmt.Errorf("attaching the device program to %s: %w", dir, err)
	}
	return nil
}

func bpf(command uintptr, attr unsafe.Pointer, size uintptr) (uintptr, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(attr), size)
		switch errno {
		case 0:
			return r, nil
		case unix.EAGAIN, unix.EINTR: // the verifier was interrupted by a signal
		default:
			return 0, errno
		}
	}
}
