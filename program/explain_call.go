package program

import (
	"strconv"
	"strings"

	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// printer writes one step.
type printer struct {
	step  Step
	names Resolver
	ran   *Ran // nil: it did not run
	most  int  // bytes of a string that are shown; 0: longest
}

// longest is how much of a string is shown.
func (p *printer) longest() int {
	if p.most > 0 {
		return p.most
	}
	return longest
}

// memory stands for an address: whose memory it is, and where, tells nobody anything.
const memory = "<memory>"

func (p *printer) call() string {
	c := linux.Lookup(p.step.Call)
	if c == nil {
		return p.unknown()
	}
	args := c.Args
	if len(c.Variants) > 0 {
		rest, _ := c.Of(uint64(uint32(p.value(c.By))))
		args = append(append([]linux.Argument(nil), c.Args[:c.By+1]...), rest...)
	}
	var texts []string
	for i, a := range args {
		if text := p.argument(i, a); text != "" {
			texts = append(texts, text)
		}
	}
	return c.Name + "(" + strings.Join(texts, ", ") + ")"
}

// unknown writes a call that no table describes, so that nothing is hidden.
func (p *printer) unknown() string {
	var texts []string
	for i, a := range p.step.Args {
		switch a.Kind {
		case KindStr:
			texts = append(texts, quote(a.Str))
		case KindStrs:
			texts = append(texts, p.strings(i))
		case KindInt, KindSlot, KindHost:
			texts = append(texts, p.number(i, linux.Hex))
		default:
			texts = append(texts, memory)
		}
	}
	return "syscall_" + linux.Hex(uint64(p.step.Call)) + "(" + strings.Join(texts, ", ") + ")"
}

// argument writes argument i; empty if strace leaves it out.
func (p *printer) argument(i int, a linux.Argument) string {
	v := p.value(i)
	switch a.Form {
	case linux.Hex32:
		return linux.Hex(uint64(uint32(v)))
	case linux.Integer, linux.Fd, linux.Pid:
		return p.number(i, signed32)
	case linux.Long:
		return p.number(i, func(v uint64) string { return strconv.FormatInt(int64(v), 10) })
	case linux.Unsigned:
		return p.number(i, unsigned)
	case linux.Unsigned32:
		return p.number(i, func(v uint64) string { return unsigned(uint64(uint32(v))) })
	case linux.Mode:
		return linux.Octal(uint64(uint16(v)))
	case linux.CreateMode:
		if p.value(i-1)&(unix.O_CREAT|temporary) == 0 {
			return ""
		}
		return linux.Octal(uint64(uint16(v)))
	case linux.FileMode:
		return fileMode(v)
	case linux.Device:
		return device(p.value(i-1), v)
	case linux.DirFd:
		return p.number(i, dirfd)
	case linux.ID:
		return p.number(i, id)
	case linux.SignalNumber:
		return signal(v)
	case linux.Set:
		return a.Names.Join(uint64(uint32(v)), a.Unknown)
	case linux.Set64:
		return setOf(a, v)
	case linux.One:
		return a.Names.Pick(uint64(uint32(v)), a.Unknown)
	case linux.One64:
		return a.Names.Pick(v, a.Unknown)
	case linux.SignedOne:
		if name := a.Names.Of(uint64(int64(int32(v)))); name != "" {
			return name
		}
		return p.number(i, signed32)
	case linux.Open:
		return openFlags(uint64(uint32(v)))
	case linux.PersonalityType:
		return personality(uint64(uint32(v)))
	case linux.IoPriority:
		class := linux.IoPriorityClasses.Pick(uint64(uint32(v)>>13), "IOPRIO_CLASS_???")
		return "IOPRIO_PRIO_VALUE(" + class + ", " + unsigned(v&0x1fff) + ")"
	case linux.MemoryPolicy:
		return memoryPolicy(uint64(uint32(v)))
	case linux.SocketType:
		return socketType(uint64(uint32(v)))
	case linux.SocketProtocol:
		return socketProtocol(p.value(i-2), uint64(uint32(v)))
	case linux.IoctlCode:
		return ioctlCode(uint64(uint32(v)))
	case linux.AmbientCapability:
		if action := p.value(i - 1); action < unix.PR_CAP_AMBIENT_IS_SET || action > unix.PR_CAP_AMBIENT_LOWER {
			return linux.Hex(v)
		}
		return linux.Capabilities.Pick(v, "CAP_???")
	case linux.Hexadecimal:
		return p.number(i, linux.Hex)
	case linux.CloneWord:
		return cloneWord(v)
	}
	return p.pointed(i, a)
}

// value is the register as far as it is known: 0 for an address and for a descriptor without a number yet.
func (p *printer) value(i int) uint64 {
	if i < 0 || i >= len(p.step.Args) {
		return 0
	}
	switch a := p.step.Args[i]; a.Kind {
	case KindInt:
		return a.Int
	case KindSlot, KindHost:
		n, _ := p.names(a)
		return uint64(n)
	}
	return 0
}

// number writes the register with format, or the name of a number that is not known.
func (p *printer) number(i int, format func(uint64) string) string {
	if i >= len(p.step.Args) {
		return format(0)
	}
	switch a := p.step.Args[i]; a.Kind {
	case KindInt:
		return format(a.Int)
	case KindSlot, KindHost:
		n, name := p.names(a)
		if name != "" {
			return name
		}
		return format(uint64(n))
	}
	return memory
}

func signed32(v uint64) string { return strconv.Itoa(int(int32(v))) }

func unsigned(v uint64) string { return strconv.FormatUint(v, 10) }

func dirfd(v uint64) string {
	if int32(v) == unix.AT_FDCWD {
		return "AT_FDCWD"
	}
	return signed32(v)
}

func id(v uint64) string {
	if uint32(v) == ^uint32(0) {
		return "-1"
	}
	return unsigned(uint64(uint32(v)))
}

func signal(v uint64) string {
	if name := linux.Signal(int(int32(v))); name != "" {
		return name
	}
	return signed32(v)
}

// setOf joins 64 bits. mount(2) has a magic number in its upper half from long ago.
func setOf(a linux.Argument, v uint64) string {
	const magic, mask = 0xc0ed0000, 0xffff0000
	if a.Unknown != "MS_???" || v&mask != magic {
		return a.Names.Join(v, a.Unknown)
	}
	if v &^= mask; v == 0 {
		return "MS_MGC_VAL"
	}
	return "MS_MGC_VAL|" + a.Names.Join(v, a.Unknown)
}

// temporary is the bit that O_TMPFILE has beside O_DIRECTORY.
const temporary = 0o20000000

func openFlags(v uint64) string {
	access := linux.AccessModes.Of(v & 3)
	if v &^= 3; v == 0 {
		return access
	}
	return access + "|" + linux.OpenFlags.Join(v, "")
}

func fileMode(v uint64) string {
	kind, mode := "", uint64(uint16(v))
	if mode&unix.S_IFMT != 0 {
		if kind = linux.FileTypes.Of(mode & unix.S_IFMT); kind == "" {
			return linux.Octal(mode)
		}
		kind += "|"
	}
	for _, b := range [...]linux.Name{{Value: unix.S_ISUID, Text: "S_ISUID|"}, {Value: unix.S_ISGID, Text: "S_ISGID|"}, {Value: unix.S_ISVTX, Text: "S_ISVTX|"}} {
		if mode&b.Value != 0 {
			kind += b.Text
		}
	}
	return kind + linux.Octal(mode&0o777)
}

func device(mode, v uint64) string {
	if kind := mode & unix.S_IFMT; kind != unix.S_IFCHR && kind != unix.S_IFBLK {
		return ""
	}
	v = uint64(uint32(v))
	return "makedev(" + linux.Hex(uint64(unix.Major(v))) + ", " + linux.Hex(uint64(unix.Minor(v))) + ")"
}

func personality(v uint64) string {
	if v == 0xffffffff {
		return "0xffffffff"
	}
	text := linux.Personalities.Pick(v&0xff, "PER_???")
	if v &^= 0xff; v != 0 {
		text += "|" + linux.PersonalityFlags.Join(v, "")
	}
	return text
}

func memoryPolicy(v uint64) string {
	const flags = 7 << 13
	if v&flags == 0 {
		return linux.MemoryPolicies.Pick(v, "MPOL_???")
	}
	mode := linux.MemoryPolicies.Of(v &^ flags)
	if mode == "" {
		return linux.MemoryPolicyFlags.Join(v, "MPOL_???")
	}
	return mode + "|" + linux.MemoryPolicyFlags.Join(v&flags, "")
}

func socketType(v uint64) string {
	const mask = 0xf
	name := linux.SocketTypes.Of(v & mask)
	switch {
	case name == "":
		return linux.SocketFlags.Join(v, "SOCK_???")
	case v&^mask == 0:
		return name
	}
	return name + "|" + linux.SocketFlags.Join(v&^mask, "SOCK_???")
}

func socketProtocol(family, v uint64) string {
	switch uint32(family) {
	case unix.AF_INET, unix.AF_INET6:
		return linux.InternetProtocols.Pick(v, "IPPROTO_???")
	case unix.AF_NETLINK:
		return linux.NetlinkProtocols.Pick(v, "NETLINK_???")
	}
	return unsigned(v)
}

// ioctlCode is the request's name or, as include/uapi/asm-generic/ioctl.h composes it, direction, type, number and size.
func ioctlCode(v uint64) string {
	if name := linux.IoctlCodes.Of(v); name != "" {
		return name
	}
	return "_IOC(" + linux.IoctlDirections.Join(v>>30, "_IOC_???") + ", " + linux.Hex(v>>8&0xff) + ", " + linux.Hex(v&0xff) + ", " + linux.Hex(v>>16&0x3fff) + ")"
}
