package program

import (
	"slices"
	"strconv"
	"strings"
)

// Asked picks, from the calls of the host that strace -y saw, those that an account must tell: every write to a
// file of a cgroup or of a process, every directory made or removed among the cgroups, every call that mounts, the making of
// the container's process, and every netlink message. cgroups is where the cgroup file system is mounted. What the
// account told beside these is picked too. What a process of the host writes to files of its own in /proc is its own affair.
func Asked(calls []Traced, cgroups string, told ...Done) []Traced {
	var asked []Traced
	own := map[string]bool{}
	for _, c := range calls {
		own[strconv.Itoa(c.Pid)] = true
	}
	for _, c := range calls {
		if tellable(c, cgroups) && !own[subject(c)] || slices.ContainsFunc(told, func(d Done) bool { return hostConfirms(d, c) }) {
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
	case "clone3":
		return strings.Contains(args, "CLONE_CLEAR_SIGHAND")
	case "bpf":
		return strings.HasPrefix(args, "BPF_PROG_ATTACH") || strings.HasPrefix(args, "BPF_PROG_LOAD")
	}
	return slices.Contains(mounting, name)
}

// subject is the process whose file in /proc is written; empty for another call.
func subject(c Traced) string {
	_, after, _ := strings.Cut(c.Call, "</proc/")
	pid, _, _ := strings.Cut(after, "/")
	return pid
}

func within(path, dir string) bool { return dir != "" && strings.HasPrefix(path, dir+"/") }

// CompareHost holds the host's requests that an account tells against the calls that strace -y saw (Asked). Descriptors may be
// told by number, by the path of what they refer to, or by a name in angle brackets; the number of the process in a
// path of /proc is not compared.
func CompareHost(told []Done, seen []Traced) error {
	return align(made(told), seen, hostConfirms)
}

func hostConfirms(d Done, t Traced) bool {
	told := anyProcess(d.Call)
	for _, byPath := range [...]bool{true, false} {
		if matches(told, anyProcess(unchanged(descriptors(t.Call, byPath)))) {
			return sameOutcome(d, t)
		}
	}
	return false
}

func sameOutcome(d Done, t Traced) bool {
	if d.Result == "" {
		return d.Failed == failed(t.Result)
	}
	return matches(d.Result, descriptors(t.Result, false))
}

// unchanged leaves out what a call wrote back into its struct: "{...} => {pidfd=[7]}".
func unchanged(call string) string {
	before, after, ok := strings.Cut(call, "} => {")
	if !ok {
		return call
	}
	_, rest, _ := strings.Cut(after, "}")
	return before + "}" + rest
}

// descriptors rewrites what strace -y prints as 7</sys/fs/cgroup/a/memory.max>: by its path, in quotes, or its number.
func descriptors(call string, byPath bool) string {
	var w strings.Builder
	for i := 0; i < len(call); i++ {
		if call[i] == '"' {
			end := min(closing(call, i)+1, len(call))
			w.WriteString(call[i:end])
			i = end - 1
			continue
		}
		if i == 0 || strings.IndexByte("(, =[", call[i-1]) >= 0 {
			if number, path, n := described(call[i:]); n > 0 {
				if byPath && number != "AT_FDCWD" {
					number = `"` + path + `"`
				}
				w.WriteString(number)
				i += n - 1
				continue
			}
		}
		w.WriteByte(call[i])
	}
	return w.String()
}

// described reads a descriptor with what it refers to in angle brackets; n is 0 if there is none.
func described(s string) (number, path string, n int) {
	number, rest, ok := strings.Cut(s, "<")
	if !ok || number != "AT_FDCWD" && (number == "" || strings.Trim(number, "0123456789") != "") {
		return "", "", 0
	}
	path, rest, ok = strings.Cut(rest, ">")
	if !ok {
		return "", "", 0
	}
	rest = strings.TrimPrefix(rest, "(deleted)")
	return number, path, len(s) - len(rest)
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
