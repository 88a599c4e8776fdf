package program

import (
	"slices"
	"strings"
)

// Asked picks, from the calls of the host that strace -y saw, those that an account must tell: every write to a
// file of a cgroup or of a process, every directory made or removed among the cgroups, every call that mounts, and every
// netlink message. cgroups is where the cgroup file system is mounted.
func Asked(calls []Traced, cgroups string) []Traced {
	var asked []Traced
	for _, c := range calls {
		if tellable(c, cgroups) {
			asked = append(asked, c)
		}
	}
	return asked
}

// mounting are the calls that change what is mounted.
var mounting = []string{"mount", "umount2", "pivot_root", "open_tree", "move_mount", "mount_setattr", "fsopen", "fsconfig", "fsmount", "fspick"}

func tellable(c Traced, cgroups string) bool {
	name, args, _ := strings.Cut(c.Call, "(")
	switch name {
	case "write", "pwrite64":
		_, path, _ := strings.Cut(args, "<")
		return within(path, cgroups) || within(path, "/proc") && !strings.HasPrefix(path, "/proc/self/")
	case "mkdir", "rmdir", "mkdirat", "unlinkat":
		_, path, _ := strings.Cut(args, `"`)
		return within(path, cgroups)
	case "sendto", "sendmsg", "sendmmsg":
		return strings.Contains(args, "nlmsg_len=") || strings.Contains(args, "<NETLINK:")
	case "bpf":
		return strings.HasPrefix(args, "BPF_PROG_ATTACH") || strings.HasPrefix(args, "BPF_PROG_LOAD")
	}
	return slices.Contains(mounting, name)
}

func within(path, dir string) bool { return dir != "" && strings.HasPrefix(path, dir+"/") }

// CompareHost holds the host's requests that an account tells against the calls that strace -y saw (Asked). Descriptors may be
// told by number or by the path of what they refer to; the number of the process in a path of /proc is not compared.
func CompareHost(told []Done, seen []Traced) error {
	return align(told, seen, hostConfirms)
}

func hostConfirms(d Done, t Traced) bool {
	if d.Failed != failed(t.Result) {
		return false
	}
	told := anyProcess(d.Call)
	for _, seen := range [...]string{descriptors(t.Call, true), descriptors(t.Call, false)} {
		if seen = anyProcess(seen); told == seen || strings.Contains(told, memory) && matches(told, seen) {
			return true
		}
	}
	return false
}

// descriptors rewrites what strace -y prints as 7</sys/fs/cgroup/a/memory.max>: by its path, in quotes, or its number.
func descriptors(call string, byPath bool) string {
	var w strings.Builder
	quoted := false
	for i := 0; i < len(call); i++ {
		switch c := call[i]; {
		case c == '\\' && quoted && i+1 < len(call):
			w.WriteString(call[i : i+2])
			i++
			continue
		case c == '"':
			quoted = !quoted
		case !quoted && c >= '0' && c <= '9' && (i == 0 || strings.IndexByte("(, =[", call[i-1]) >= 0):
			number, path, n := described(call[i:])
			if n > 0 {
				if byPath {
					w.WriteString(`"` + path + `"`)
				} else {
					w.WriteString(number)
				}
				i += n - 1
				continue
			}
		}
		w.WriteByte(call[i])
		if rest, ok := strings.CutPrefix(call[i+1:], "<"); ok && !quoted && strings.HasSuffix(call[:i+1], "AT_FDCWD") {
			i += 1 + strings.IndexByte(rest, '>') + 1 // the working directory, which -y tells too
		}
	}
	return w.String()
}

// described reads a number with what it refers to in angle brackets; n is 0 if there is none.
func described(s string) (number, path string, n int) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if digits == len(s) || s[digits] != '<' {
		return "", "", 0
	}
	end := strings.IndexByte(s[digits:], '>')
	if end < 0 {
		return "", "", 0
	}
	return s[:digits], s[digits+1 : digits+end], digits + end + 1
}

// anyProcess replaces the process in paths of /proc.
func anyProcess(call string) string {
	var w strings.Builder
	for {
		before, after, ok := strings.Cut(call, "/proc/")
		w.WriteString(before)
		if !ok {
			return w.String()
		}
		w.WriteString("/proc/")
		rest := strings.TrimLeft(after, "0123456789")
		if rest != after || strings.HasPrefix(after, "<pid>") {
			rest = strings.TrimPrefix(rest, "<pid>")
			w.WriteString("PID")
		}
		call = rest
	}
}
