package shell

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// limits is ulimit's table: unit is what one of its numbers means.
var limits = []struct {
	letter   byte
	resource int
	unit     uint64
	label    string
}{
	{'t', unix.RLIMIT_CPU, 1, "cpu time (seconds)"},
	{'f', unix.RLIMIT_FSIZE, 512, "file size (blocks)"},
	{'d', unix.RLIMIT_DATA, 1024, "data seg size (kb)"},
	{'s', unix.RLIMIT_STACK, 1024, "stack size (kb)"},
	{'c', unix.RLIMIT_CORE, 512, "core file size (blocks)"},
	{'m', unix.RLIMIT_RSS, 1024, "resident set size (kb)"},
	{'l', unix.RLIMIT_MEMLOCK, 1024, "locked memory (kb)"},
	{'p', unix.RLIMIT_NPROC, 1, "processes"},
	{'n', unix.RLIMIT_NOFILE, 1, "file descriptors"},
	{'v', unix.RLIMIT_AS, 1024, "address space (kb)"},
	{'w', unix.RLIMIT_LOCKS, 1, "locks"},
	{'e', unix.RLIMIT_NICE, 1, "scheduling priority"},
	{'r', unix.RLIMIT_RTPRIO, 1, "real-time priority"},
}

func (s *Shell) ulimit(args []string) int {
	soft, hard, all, which := false, false, false, byte('f')
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		for _, letter := range []byte(args[0][1:]) {
			switch letter {
			case 'S':
				soft = true
			case 'H':
				hard = true
			case 'a':
				all = true
			case 'u':
				which = 'p'
			default:
				if which = letter; !limited(letter) {
					s.errorf("ulimit: illegal option -%c", letter)
					return 2
				}
			}
		}
		args = args[1:]
	}
	for _, l := range limits {
		if !all && l.letter != which {
			continue
		}
		if len(args) > 0 && !all {
			return s.limit(l.resource, l.unit, args[0], soft, hard)
		}
		now := s.currentLimit(l.resource)
		value := now.Cur
		if hard {
			value = now.Max
		}
		if all {
			fmt.Fprintf(s.stdout(), "%-32s(-%c)  ", l.label, l.letter)
		}
		fmt.Fprintln(s.stdout(), limitText(value, l.unit))
		if !all {
			return 0
		}
	}
	return 0
}

func limited(letter byte) bool {
	for _, l := range limits {
		if l.letter == letter {
			return true
		}
	}
	return false
}

func limitText(value, unit uint64) string {
	if value == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(value/unit, 10)
}

func (s *Shell) limit(resource int, unit uint64, word string, soft, hard bool) int {
	value := uint64(unix.RLIM_INFINITY)
	if word != "unlimited" {
		n, err := strconv.ParseUint(word, 10, 63)
		if err != nil {
			s.errorf("ulimit: bad number: %s", word)
			return 2
		}
		value = n * unit
	}
	now := s.currentLimit(resource)
	if soft || !hard {
		now.Cur = value
	}
	if hard || !soft {
		now.Max = value
	}
	// syscall's own call, since it tells the runtime not to put an older RLIMIT_NOFILE back in children.
	if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: now.Cur, Max: now.Max}); err != nil {
		s.errorf("ulimit: error setting limit: %s", reason(err))
		return 1
	}
	if resource == unix.RLIMIT_NOFILE {
		s.ownFiles = true
	}
	return 0
}

func (s *Shell) currentLimit(resource int) unix.Rlimit {
	var now unix.Rlimit
	unix.Getrlimit(resource, &now)
	if resource == unix.RLIMIT_NOFILE && !s.ownFiles {
		if before, ok := s.limitOfChildren(resource); ok {
			return before
		}
	}
	return now
}

// limitOfChildren asks what a child gets. Go raises RLIMIT_NOFILE when it starts and puts it back in every child (os/rlimit.go),
// without a way to ask for the original: so a child is started, stopped at its execve, looked at and killed.
func (s *Shell) limitOfChildren(resource int) (limit unix.Rlimit, ok bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, err := syscall.ForkExec(s.self(), os.Args[:1], &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true}})
	if err != nil {
		return limit, false
	}
	var status unix.WaitStatus
	unix.Wait4(pid, &status, 0, nil)
	err = unix.Prlimit(pid, resource, nil, &limit)
	unix.Kill(pid, unix.SIGKILL)
	unix.Wait4(pid, &status, 0, nil)
	return limit, err == nil
}
