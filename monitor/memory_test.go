package monitor

import (
	"testing"

	"glassbox/test/smaps"

	"golang.org/x/sys/unix"
)

// privateDirty is measured when nothing waits to be written to disk.
func privateDirty(t *testing.T, pid int) int {
	t.Helper()
	unix.Sync()
	kib, err := smaps.PrivateDirty(pid)
	if err != nil {
		t.Fatal(err)
	}
	return kib
}
