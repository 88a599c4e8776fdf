// Package smaps measures what a process costs in memory.
package smaps

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// PrivateDirty is what a process costs that no other process shares and the kernel cannot drop: proc_pid_smaps(5), in KiB. The pages of a
// freshly written program file count until they are on disk: sync(2) first.
func PrivateDirty(pid int) (kib int, err error) { return field(pid, "Private_Dirty:") }

// Proportional is what it has in memory, where what several share counts for each by its part, in KiB.
func Proportional(pid int) (kib int, err error) { return field(pid, "Pss:") }

func field(pid int, name string) (kib int, err error) {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	rollup, err := os.ReadFile(path)
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
