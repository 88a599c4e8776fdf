package trace

import (
	"fmt"
	"slices"
	"strings"

	"glassbox/linux"
)

// Selection says which calls are told of. The zero Selection has all.
type Selection struct{ words []string }

// classes are groups of calls by what they are about. file and desc follow from the calls' arguments.
var classes = []struct {
	name  string
	calls []string
}{
	{"file", nil},
	{"desc", nil},
	{"network", []string{"socket", "socketpair", "bind", "listen", "accept", "accept4", "connect", "sendto", "recvfrom", "sendmsg", "recvmsg", "shutdown", "getsockname", "getpeername", "setsockopt", "getsockopt"}},
	{"process", []string{"execve", "execveat", "clone", "clone3", "fork", "vfork", "exit", "exit_group", "wait4", "waitid", "kill", "unshare", "setns", "pidfd_open", "pidfd_send_signal"}},
	{"memory", []string{"mmap", "munmap", "mprotect", "mremap", "brk", "madvise", "memfd_create"}},
	{"signal", []string{"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "sigaltstack", "kill", "tgkill", "pause", "alarm", "setitimer"}},
	{"identity", []string{"getuid", "geteuid", "getgid", "getegid", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "getgroups", "getresuid", "getresgid", "setfsuid", "setfsgid", "capget", "capset", "prctl", "seccomp"}},
	{"mount", []string{"mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "mount_setattr", "fsopen", "fsmount", "fsconfig", "fspick", "statfs", "fstatfs"}},
}

// Classes are the names of groups that Select knows.
func Classes() []string {
	var names []string
	for _, c := range classes {
		names = append(names, c.name)
	}
	return names
}

// Select reads a list of classes and names of calls: "file,network,brk". "all" and the empty list are all.
func Select(list string) (Selection, error) {
	var s Selection
	for word := range strings.SplitSeq(list, ",") {
		switch {
		case word == "" || word == "all":
			return Selection{}, nil
		case slices.Contains(Classes(), word):
		default:
			if _, known := linux.Native().Of(word); !known {
				return s, fmt.Errorf("no system call and no class of them is named %q: the classes are %s", word, strings.Join(Classes(), ", "))
			}
		}
		s.words = append(s.words, word)
	}
	return s, nil
}

// Has says whether the call is told of.
func (s Selection) Has(call string) bool {
	if len(s.words) == 0 {
		return true
	}
	return slices.ContainsFunc(s.words, func(word string) bool { return word == call || inClass(word, call) })
}

func inClass(class, call string) bool {
	switch class {
	case "file":
		return takes(call, linux.PathName)
	case "desc":
		return takes(call, linux.Fd) || takes(call, linux.DirFd)
	}
	for _, c := range classes {
		if c.name == class {
			return slices.Contains(c.calls, call)
		}
	}
	return false
}

// takes says whether the call has an argument of the form.
func takes(call string, form linux.Form) bool {
	number, known := linux.Native().Of(call)
	if !known {
		return false
	}
	c := linux.Lookup(uintptr(number))
	return c != nil && slices.ContainsFunc(c.Args, func(a linux.Argument) bool { return a.Form == form })
}
