// Package vagrant tries out the Vagrantfile: Vagrant checks it, and its provisioning script runs in a fresh Debian.
package vagrant

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"glassbox/test/debian"
	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// root is the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestVagrantfileIsValid(t *testing.T) {
	vagrant := need.Program(t, "vagrant")
	// No provider is asked for: which one a learner has is not the file's business.
	c := exec.Command(vagrant, "validate", "--ignore-provider")
	c.Dir = root(t)
	c.Env = append(os.Environ(), "VAGRANT_HOME="+t.TempDir(), "VAGRANT_DOTFILE_PATH="+t.TempDir(), "VAGRANT_CHECKPOINT_DISABLE=1")
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "validated successfully") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestVagrantfileNamesWhatIsThere: paths in it exist, and Vagrant's check does not look at them.
func TestVagrantfileNamesWhatIsThere(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "Vagrantfile"))
	if err != nil {
		t.Fatal(err)
	}
	paths := regexp.MustCompile(`path: "([^"]+)"`).FindAllStringSubmatch(string(text), -1)
	if len(paths) == 0 {
		t.Fatal("nothing is provisioned")
	}
	for _, p := range paths {
		st, err := os.Stat(filepath.Join(root(t), p[1]))
		if err != nil || st.Mode()&0o111 == 0 {
			t.Errorf("%s: %v", p[1], err)
		}
	}
}

// TestProvision runs the script in a fresh Debian 12 under an
// overlay that is thrown away. Downloads are kept too. Everything is mounted in namespaces of its own.
func TestProvision(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	fresh := debian.Root(t)
	cache := filepath.Join(root(t), "test", ".cache", "vagrant")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	work, err := os.MkdirTemp(cache, "run-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(work) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "sh", "-eu", "fresh.sh", fresh, work, cache, root(t))
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	begin := time.Now()
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("provisioned in %v", time.Since(begin).Round(time.Second))
	for _, want := range []string{"glassbox is installed", "\nrunning: "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in the output:\n%s", want, out)
		}
	}
}
