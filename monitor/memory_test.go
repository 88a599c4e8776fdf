package monitor

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// privateDirty is what a process costs that no other process shares and the kernel cannot drop: proc_pid_smaps(5), in KiB.
func privateDirty(t *testing.T, pid int) (kib int) {
	t.Helper()
	unix.Sync() // the pages of a freshly written program file count as dirty until they are on disk
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "Private_Dirty:"); ok {
			fmt.Sscan(rest, &kib)
		}
	}
	return kib
}
