package monitor

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

func TestDeleteLink(t *testing.T) {
	need.Root(t)
	ip := need.Program(t, "ip")
	runtime.LockOSThread() // the thread ends with the test, and its network namespace with it
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	list := func() string {
		out, err := exec.Command(ip, "-o", "link").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	for _, name := range []string{"v", "ve", "vet", "veth0123456", "veth01234567890"} {
		if out, err := exec.Command(ip, "link", "add", name, "type", "bridge").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := deleteLink(name); err != nil {
			t.Error(err)
		}
		if out := list(); strings.Count(out, "\n") != 1 {
			t.Errorf("%s is left:\n%s", name, out)
		}
		if err := deleteLink(name); err != nil {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
}
