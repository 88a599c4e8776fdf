package program

import (
	"math/bits"
	"strconv"
	"strings"

	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// openHow is struct open_how of openat2(2).
func openHow(b []byte, size uint64) string {
	if size < 24 || len(b) < 24 {
		return memory
	}
	flags, mode := u64(b, 0), u64(b, 8)
	text := "{flags=" + openFlags(flags)
	if flags&(unix.O_CREAT|temporary) != 0 || mode != 0 {
		text += ", mode=" + linux.Octal(mode)
	}
	return text + ", resolve=" + linux.Resolutions.Join(u64(b, 16), "RESOLVE_???") + "}"
}

// mountAttr is struct mount_attr of mount_setattr(2).
func mountAttr(b []byte, size uint64) string {
	if size < 32 {
		return memory
	}
	const unknown = "MOUNT_ATTR_???"
	return "{attr_set=" + linux.MountAttributes.Join(u64(b, 0), unknown) + ", attr_clr=" + linux.MountAttributes.Join(u64(b, 8), unknown) +
		", propagation=" + linux.Propagations.Pick(u64(b, 16), "MS_???") + ", userns_fd=" + unsigned(u64(b, 24)) + "}"
}

// cloneArguments is struct clone_args of clone3(2).
func cloneArguments(b []byte, size uint64) string {
	const cgroup = 80
	if size < 64 || len(b) < 64 {
		return memory
	}
	flags := u64(b, 0)
	fields := []string{"flags=" + cloneFlags(flags)}
	add := func(name, text string) { fields = append(fields, name+"="+text) }
	if flags&unix.CLONE_PIDFD != 0 {
		add("pidfd", pointer(u64(b, 8)))
	}
	if flags&(unix.CLONE_CHILD_SETTID|unix.CLONE_CHILD_CLEARTID) != 0 {
		add("child_tid", pointer(u64(b, 16)))
	}
	if flags&unix.CLONE_PARENT_SETTID != 0 {
		add("parent_tid", memory) // freeze fills it in
	}
	add("exit_signal", signal(u64(b, 32)))
	add("stack", pointer(u64(b, 40)))
	add("stack_size", linux.Hex(u64(b, 48)))
	if flags&unix.CLONE_SETTLS != 0 {
		add("tls", pointer(u64(b, 56)))
	}
	if size > cgroup && len(b) >= cgroup+8 && (u64(b, cgroup) != 0 || flags&unix.CLONE_INTO_CGROUP != 0) {
		add("cgroup", unsigned(u64(b, cgroup)))
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// newThread is what strace adds after the call: the kernel wrote the new process's number at parent_tid.
func (p *printer) newThread(b []byte) string {
	if len(b) < 64 || u64(b, 0)&unix.CLONE_PARENT_SETTID == 0 || p.ran == nil || p.ran.Result < 0 {
		return ""
	}
	return " => {parent_tid=[" + strconv.FormatInt(p.ran.Result, 10) + "]}"
}

func cloneFlags(v uint64) string {
	old, rest := v&0xffffffff, v&^0xffffffff
	if time := uint64(unix.CLONE_NEWTIME); old&time != 0 { // strace has it among clone3's flags, which come last
		old, rest = old&^time, rest|time
	}
	switch {
	case v == 0:
		return "0"
	case old == 0:
		return linux.Clone3Flags.Join(rest, "CLONE_???")
	case rest == 0:
		return linux.CloneFlags.Join(old, "CLONE_???")
	}
	return linux.CloneFlags.Join(old, "CLONE_???") + "|" + linux.Clone3Flags.Join(rest, "")
}

func pointer(v uint64) string {
	if v == 0 {
		return "NULL"
	}
	return linux.Hex(v)
}

func capabilityHeader(b []byte) string {
	version := "_LINUX_CAPABILITY_VERSION_"
	switch v := u32(b, 0); v {
	case unix.LINUX_CAPABILITY_VERSION_1:
		version += "1"
	case unix.LINUX_CAPABILITY_VERSION_2:
		version += "2"
	case unix.LINUX_CAPABILITY_VERSION_3:
		version += "3"
	default:
		version = linux.Hex(uint64(v)) + " /* " + version + "??? */"
	}
	return "{version=" + version + ", pid=" + signed32(uint64(u32(b, 4))) + "}"
}

// capabilities is the two structs cap_user_data of version 3.
func capabilities(b []byte) string {
	field := func(at int) string { return capabilitySet(u32(b, at), u32(b, at+12)) }
	return "{effective=" + field(0) + ", permitted=" + field(4) + ", inheritable=" + field(8) + "}"
}

func capabilitySet(low, high uint32) string {
	switch {
	case high == 0:
		return capabilityBits(low, 0)
	case low == 0:
		return capabilityBits(high, 32)
	}
	return capabilityBits(low, 0) + "|" + capabilityBits(high, 32)
}

func capabilityBits(set uint32, first int) string {
	if set == 0 {
		return "0"
	}
	var texts []string
	for rest := set; rest != 0; rest &= rest - 1 {
		bit := bits.TrailingZeros32(rest)
		name := linux.Capabilities.Of(uint64(first + bit))
		if name == "" {
			if len(texts) == 0 {
				return linux.Hex(uint64(rest)) + " /* CAP_??? */"
			}
			texts = append(texts, linux.Hex(uint64(rest)))
			break
		}
		texts = append(texts, "1<<"+name)
	}
	return strings.Join(texts, "|")
}

func rlimit(b []byte) string {
	return "{rlim_cur=" + limit(u64(b, 0)) + ", rlim_max=" + limit(u64(b, 8)) + "}"
}

func limit(v uint64) string {
	switch {
	case v == ^uint64(0):
		return "RLIM64_INFINITY"
	case v > 1024 && v%1024 == 0:
		return unsigned(v/1024) + "*1024"
	}
	return unsigned(v)
}

// schedAttr is struct sched_attr of sched_setattr(2), 48 bytes at first and 56 now.
func schedAttr(b []byte) string {
	const first, now, keepPolicy, keepParams = 48, 56, 8, 16
	size := uint64(u32(b, 0))
	text := "{size=" + unsigned(size)
	if size == 0 {
		size = first
	}
	if size < first || len(b) < first {
		return text + "}"
	}
	flags := u64(b, 8)
	if policy := u32(b, 4); int32(policy) < 0 || flags&(keepPolicy|keepParams) == 0 {
		text += ", sched_policy=" + linux.Schedulers.Pick(uint64(policy), "SCHED_???")
	}
	text += ", sched_flags=" + linux.SchedFlags.Join(flags, "SCHED_FLAG_???")
	if flags&keepParams == 0 {
		text += ", sched_nice=" + signed32(uint64(u32(b, 16))) + ", sched_priority=" + unsigned(uint64(u32(b, 20))) +
			", sched_runtime=" + unsigned(u64(b, 24)) + ", sched_deadline=" + unsigned(u64(b, 32)) + ", sched_period=" + unsigned(u64(b, 40))
	}
	if size >= now && len(b) >= now {
		text += ", sched_util_min=" + unsigned(uint64(u32(b, 48))) + ", sched_util_max=" + unsigned(uint64(u32(b, 52)))
	}
	if size > now {
		text += ", ..."
	}
	return text + "}"
}

// cpuSet is a CPU mask; strace shows as many bytes of it as the kernel has.
func cpuSet(b []byte, size uint64) string {
	const kernel = 128
	cut := size > kernel
	if cut {
		size = kernel
	}
	var cpus []string
	for i := 0; i < len(b)*8 && uint64(i) < size*8; i++ {
		if b[i/8]>>(i%8)&1 != 0 {
			cpus = append(cpus, strconv.Itoa(i))
		}
	}
	if cut {
		cpus = append(cpus, "...")
	}
	return "[" + strings.Join(cpus, " ") + "]"
}

// nodeSet is a mask of maximum-1 memory nodes in words.
func nodeSet(b []byte, maximum uint64) string {
	var words []string
	for i := 0; uint64(i) < (maximum+62)/64 && i*8+8 <= len(b); i++ {
		word := strconv.FormatUint(u64(b, i*8), 16)
		prefix := "0x"
		if word == "0" {
			prefix = "00"
		}
		words = append(words, prefix+strings.Repeat("0", max(0, 14-len(word)))+word)
	}
	return "[" + strings.Join(words, ", ") + "]"
}

func groups(b []byte, n int) string {
	if n < 0 || n > 65536 {
		return memory
	}
	var ids []string
	for i := 0; i < n && i*4+4 <= len(b); i++ {
		ids = append(ids, id(uint64(u32(b, i*4))))
	}
	return "[" + strings.Join(ids, ", ") + "]"
}

// signalSet is a mask of 64 signals; one with more than two thirds of them is written as what it lacks.
func signalSet(set uint64) string {
	invert := ""
	if bits.OnesCount64(set) >= 64*2/3 {
		invert, set = "~", ^set
	}
	var names []string
	for ; set != 0; set &= set - 1 {
		names = append(names, strings.TrimPrefix(linux.Signal(bits.TrailingZeros64(set)+1), "SIG"))
	}
	return invert + "[" + strings.Join(names, " ") + "]"
}

// signalAction is the kernel's struct sigaction: handler, flags, restorer, mask.
func signalAction(b []byte) string {
	const restorer = 0x04000000
	handler, flags := linux.SignalHandlers.Of(u64(b, 0)), u64(b, 8)
	if handler == "" {
		handler = linux.Hex(u64(b, 0))
	}
	text := "{sa_handler=" + handler + ", sa_mask=" + signalSet(u64(b, 24)) + ", sa_flags=" + linux.SignalActionFlags.Join(flags, "SA_???")
	if flags&restorer != 0 {
		text += ", sa_restorer=" + pointer(u64(b, 16))
	}
	return text + "}"
}

// signalInfo is siginfo_t of a signal that a process sends: si_signo, si_errno, si_code, then at 16 si_pid, si_uid, si_value.
func signalInfo(b []byte) string {
	code := linux.SignalCodes.Of(uint64(u32(b, 8)))
	if code == "" {
		code = linux.Hex(uint64(u32(b, 8)))
	}
	text := "{si_signo=" + signal(uint64(u32(b, 0))) + ", si_code=" + code + ", si_pid=" + signed32(uint64(u32(b, 16))) + ", si_uid=" + unsigned(uint64(u32(b, 20)))
	if value := u64(b, 24); value != 0 && code == "SI_QUEUE" {
		text += ", si_int=" + signed32(value) + ", si_ptr=" + linux.Hex(value)
	}
	return text + "}"
}

func landlockRuleset(b []byte, size uint64) string {
	if size < 8 {
		return memory
	}
	text := "{handled_access_fs=" + linux.LandlockAccess.Join(u64(b, 0), "LANDLOCK_ACCESS_FS_???")
	if size > 8 {
		text += ", ..."
	}
	return text + "}"
}

func winsize(b []byte) string {
	field := func(at int) string { return unsigned(uint64(u16(b, at))) }
	return "{ws_row=" + field(0) + ", ws_col=" + field(2) + ", ws_xpixel=" + field(4) + ", ws_ypixel=" + field(6) + "}"
}

// interfaceFlags is ifreq.ifr_flags, after the name.
func interfaceFlags(b []byte) string {
	return linux.InterfaceFlags.Join(uint64(u16(b, 16)), "IFF_???")
}

func (p *printer) interfaceOut(i int, b []byte) string {
	text := "{ifr_name=" + quoteString(string(b[:16]), 15)
	if after, ok := p.filled(i); ok && len(after) >= 18 {
		text += ", ifr_flags=" + interfaceFlags(after)
	}
	return text + "}"
}

// statfs is struct statfs of statfs(2) on 64-bit machines.
func statfs(b []byte) string {
	const valid = 0x20
	if len(b) < 96 {
		return memory
	}
	word := func(i int) string { return unsigned(u64(b, i*8)) }
	text := "{f_type=" + linux.FileSystems.Pick(u64(b, 0), "") + ", f_bsize=" + word(1) + ", f_blocks=" + word(2) + ", f_bfree=" + word(3) +
		", f_bavail=" + word(4) + ", f_files=" + word(5) + ", f_ffree=" + word(6) +
		", f_fsid={val=[" + linux.Hex(uint64(u32(b, 56))) + ", " + linux.Hex(uint64(u32(b, 60))) + "]}, f_namelen=" + word(8) + ", f_frsize=" + word(9)
	if flags := u64(b, 80); flags&valid != 0 {
		text += ", f_flags=" + linux.StatfsFlags.Join(flags, "ST_???")
	}
	return text + "}"
}
