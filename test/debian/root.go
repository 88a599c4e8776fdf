// Package debian keeps a minimal Debian 12 for tests: made by debootstrap once, in test/.cache.
package debian

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glassbox/store"
	"glassbox/test/need"
)

// Root returns a directory with its file tree, which is not to be changed. Test programs that want it at once make it once.
func Root(t *testing.T) string {
	t.Helper()
	need.Root(t)
	need.Program(t, "debootstrap")
	dir, err := Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Make makes that directory, for who has no test yet: where a test runs there may be no network.
func Make(ctx context.Context) (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(filepath.Dir(strings.TrimSpace(string(mod))), "test", ".cache", "debian")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	lock, err := store.Exclusive(ctx, cache)
	if err != nil {
		return "", err
	}
	defer lock.Release() //nolint:errcheck // closed in any case
	dir := filepath.Join(cache, "bookworm")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	making := dir + ".making"
	os.RemoveAll(making)
	if out, err := exec.CommandContext(ctx, "debootstrap", "--variant=minbase", "bookworm", making).CombinedOutput(); err != nil {
		return "", fmt.Errorf("debootstrap: %w\n%s", err, out)
	}
	return dir, os.Rename(making, dir)
}
