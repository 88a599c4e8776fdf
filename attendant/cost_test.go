package attendant

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"glassbox/test/smaps"

	"golang.org/x/sys/unix"
)

var (
	building sync.Once
	built    string
)

// glassrun is the real program, where memory matters: the test's own is bigger.
func glassrun(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("GLASSBOX_BIN"); dir != "" {
		return filepath.Join(dir, "glassrun")
	}
	building.Do(func() { built = build(t) })
	if built == "" {
		t.Fatal("glassrun could not be built")
	}
	return built
}

// build puts it where TestMain removes it.
func build(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "attendant-test-")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "glassrun")
	c := exec.Command("go", "build", "-trimpath", "-o", path, "glassbox/cmd/glassrun")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("building glassrun: %v\n%s", err, out)
	}
	return path
}

// privateDirty is measured when nothing waits to be written to disk.
func privateDirty(t testing.TB, pid int) int {
	t.Helper()
	unix.Sync()
	kib, err := smaps.PrivateDirty(pid)
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

func threads(t testing.TB, pid int) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// One attendant stays with each container that needs one.
func TestCost(t *testing.T) {
	best := time.Hour
	r := newRoom(t)
	r.exe = glassrun(t)
	z := r.zone("front")
	for i := range 20 {
		z.host(fmt.Sprint("host", i), fmt.Sprint("web", i), "web", fmt.Sprint("10.0.0.", i+1))
	}
	r.config.Ports = []Port{{"tcp", addrPort("127.0.0.1:0"), addrPort("127.0.0.1:9")}, {"udp", addrPort("127.0.0.1:0"), addrPort("127.0.0.1:9")}}
	for range 10 {
		sockets := append(r.ports(), r.resolver("127.0.0.11:0")...)
		began := time.Now()
		if err := come(Spawn(r.exe, r.dir, r.config, sockets)); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(began))
		for _, s := range sockets {
			s.Close()
		}
		if err := Stop(r.dir); err != nil {
			t.Fatal(err)
		}
	}
	r.start()
	time.Sleep(50 * time.Millisecond)
	fresh := privateDirty(t, r.pid())
	r.short("web0", "A")
	asked := privateDirty(t, r.pid())
	t.Logf("ready after %v at best; private dirty memory: %d KiB, after a question %d KiB; %d threads", best, fresh, asked, threads(t, r.pid()))
	if fresh > 1536 {
		t.Errorf("%d KiB of private dirty memory", fresh)
	}
}
