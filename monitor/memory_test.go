package monitor

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
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

func TestMemory(t *testing.T) {
	var boxes []*box
	for range 2 {
		b := shell(t, "yes | head -c 1000000; sleep 100")
		b.start()
		s, err := b.c.Exec(ExecSpec{Process: specs.Process{Args: []string{"sh", "-c", "yes | head -c 100000"}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := follow(t, s).wait(); got != 0 {
			t.Fatalf("exec: exit code %d", got)
		}
		boxes = append(boxes, b)
	}
	time.Sleep(tidyEvery + time.Second)
	for _, b := range boxes {
		t.Logf("%d KiB", privateDirty(t, b.state().MonitorPid))
		o, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.state().MonitorPid))
		t.Log(string(o))
		o, _ = os.ReadFile(fmt.Sprintf("/proc/%d/smaps", b.state().MonitorPid))
		os.WriteFile("/tmp/smaps", o, 0644)
	}
}
