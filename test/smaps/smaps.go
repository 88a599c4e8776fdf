// Package smaps measures what a process costs in memory.
package smaps

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// PrivateDirty is what a process costs that no other process shares and the kernel cannot drop: proc_pid_smaps(5), in KiB. The pages of a
// freshly written program file count until they are on disk: sync(2) first.
func PrivateDirty(pid int) (kib int, err error) { return field(pid, "Private_Dirty:") }

// Proportional is what it has in memory, where what several share counts for each by its part, in KiB.
func Proportional(pid int) (kib int, err error) { return field(pid, "Pss:") }

// Most is the largest size that it has had in memory since its execve(2), in KiB; 0 when it has ended.
func Most(pid int) (kib int) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		fmt.Sscanf(line, "VmHWM: %d", &kib) //nolint:errcheck // other lines
	}
	return kib
}

func field(pid int, name string) (kib int, err error) {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	rollup, err := os.ReadFile(path)
	for tries := 0; errors.Is(err, unix.ESRCH) && tries < 100; tries++ { // no memory for a moment: one of its threads is in execve(2)
		time.Sleep(10 * time.Millisecond)
		rollup, err = os.ReadFile(path)
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(rollup)) {
		if rest, found := strings.CutPrefix(line, name); found {
			return strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	return 0, fmt.Errorf("%s has no line %s", path, name)
}
