package program

import (
	"net/netip"
	"strconv"
	"strings"

	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// attributes writes a struct stat as strace does without -v: what it is, and how large.
func attributes(b []byte) string {
	mode := uint64(u32(b, linux.StatMode))
	what := "st_size=" + unsigned(u64(b, linux.StatLen))
	if kind := mode & unix.S_IFMT; kind == unix.S_IFCHR || kind == unix.S_IFBLK {
		what = "st_rdev=" + device(mode, u64(b, linux.StatRdev))
	}
	return "{st_mode=" + fileMode(mode) + ", " + what + ", ...}"
}

// names writes a struct utsname.
func names(b []byte) string {
	text := func(i int) string { return quoteString(string(b[65*i:65*i+65]), 64) }
	return "{sysname=" + text(0) + ", nodename=" + text(1) + ", ...}"
}

func timespec(b []byte) string {
	return "{tv_sec=" + strconv.FormatInt(int64(u64(b, 0)), 10) + ", tv_nsec=" + unsigned(u64(b, 8)) + "}"
}

// waitStatus writes how a process ended, wait(2).
func waitStatus(status uint32) string {
	s := unix.WaitStatus(status)
	switch {
	case s.Exited():
		return "{WIFEXITED(s) && WEXITSTATUS(s) == " + strconv.Itoa(s.ExitStatus()) + "}"
	case s.Signaled():
		core := ""
		if s.CoreDump() {
			core = " && WCOREDUMP(s)"
		}
		return "{WIFSIGNALED(s) && WTERMSIG(s) == " + signal(uint64(s.Signal())) + core + "}"
	case s.Stopped():
		return "{WIFSTOPPED(s) && WSTOPSIG(s) == " + signal(uint64(s.StopSignal())) + "}"
	}
	return linux.Hex(uint64(status))
}

// cloneWord writes clone(2)'s flags and, in the lowest byte, the signal at the child's end.
func cloneWord(v uint64) string {
	text, end := "", ""
	if flags := v &^ 0xff; flags != 0 {
		text = cloneFlags(flags)
	}
	if n := v & 0xff; n != 0 {
		end = signal(n)
	}
	if text != "" && end != "" {
		text += "|"
	}
	if text += end; text == "" {
		return "0"
	}
	return text
}

// socketAddress writes a struct sockaddr.
func socketAddress(b []byte) string {
	if len(b) < 2 {
		return memory
	}
	family := u16(b, 0)
	name := linux.AddressFamilies.Pick(uint64(family), "AF_???")
	switch {
	case family == unix.AF_UNIX && len(b) > 2 && b[2] == 0:
		return "{sa_family=AF_UNIX, sun_path=@" + quote(string(b[3:])) + "}"
	case family == unix.AF_UNIX:
		return "{sa_family=AF_UNIX, sun_path=" + quoteString(string(b[2:])+"\x00", longestPath) + "}"
	case family == unix.AF_INET && len(b) >= 8:
		return "{sa_family=AF_INET, sin_port=htons(" + port(b) + "), sin_addr=inet_addr(\"" + netip.AddrFrom4([4]byte(b[4:8])).String() + "\")}"
	case family == unix.AF_INET6 && len(b) >= 24:
		return "{sa_family=AF_INET6, sin6_port=htons(" + port(b) + "), sin6_addr=\"" + netip.AddrFrom16([16]byte(b[8:24])).String() + "\", ...}"
	case family == unix.AF_NETLINK && len(b) >= 12:
		return "{sa_family=AF_NETLINK, nl_pid=" + unsigned(uint64(u32(b, 4))) + ", nl_groups=" + groupsWord(u32(b, 8)) + "}"
	}
	return "{sa_family=" + name + ", ...}"
}

// port is in network byte order.
func port(b []byte) string { return strconv.Itoa(int(b[2])<<8 | int(b[3])) }

// groupsWord writes netlink(7)'s groups, eight digits wide, as strace does.
func groupsWord(v uint32) string {
	if v == 0 {
		return "00000000"
	}
	return linux.Hex(uint64(v))
}

// vector writes the buffers of a writev(2), which Observe has read one after the other.
func (p *printer) vector(i int) string {
	a := p.step.Args[i]
	if a.Kind != KindStrs {
		return memory
	}
	parts := make([]string, len(a.Strs))
	for j, s := range a.Strs {
		text := quote(s)
		if len(s) > p.longest() {
			text = quote(s[:p.longest()]) + "..."
		}
		parts[j] = "{iov_base=" + text + ", iov_len=" + strconv.Itoa(len(s)) + "}"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
