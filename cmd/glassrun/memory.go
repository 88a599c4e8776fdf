package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// moment is what a process may take before who waits for it makes itself small: then it is a long wait.
const moment = 500 * time.Millisecond

// giveBack gives back the memory that a start takes and waiting for an end does not: the heap's, and the pages of our own program, which
// come back from the page cache when they are needed.
func giveBack() {
	debug.FreeOSMemory()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) { // proc_pid_maps(5)
		words := strings.Fields(line)
		if len(words) < 6 || strings.Contains(words[1], "w") || !strings.HasPrefix(words[5], "/") {
			continue
		}
		from, to, _ := strings.Cut(words[0], "-")
		begin, err := strconv.ParseUint(from, 16, 64)
		end, endErr := strconv.ParseUint(to, 16, 64)
		if err == nil && endErr == nil {
			unix.RawSyscall(unix.SYS_MADVISE, uintptr(begin), uintptr(end-begin), unix.MADV_DONTNEED)
		}
	}
}
