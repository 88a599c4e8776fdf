package engine

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"glassbox/test/need"
	vol "glassbox/volume"

	"github.com/docker/docker/api/types/volume"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestSizesAreRefused(t *testing.T) {
	m := newMachine(t)
	if vol.Limited(m.Containers.root.Data) == nil {
		t.Skip("the file system of the test's directory has project quotas: TestQuota is for that")
	}
	for text, do := range map[string]func() error{
		"--storage-opt is supported only for overlay over xfs with 'pquota' mount option": m.sized("size=1G"),
		"create vol5: quota size requested but no quota support":                          m.refusing("vol5", "", "size=1m"),
		"Unknown option colour": m.sized("colour=red"),
		"invalid size: 'big'":   m.sized("size=big"),
	} {
		err := do()
		if err == nil || err.Error() != text {
			t.Errorf("got  %v\nwant %s", err, text)
		}
		var e *Error
		if strings.Contains(text, "quota") && (!errors.As(err, &e) || e.Hint == nil || !strings.Contains(e.Hint.Why, "lies on") || e.Hint.Fix == "") {
			t.Errorf("%s: without its reason and cure: %+v", text, e)
		}
	}
}

// sized creates a container with one --storage-opt.
func (m *machine) sized(option string) func() error {
	o := shell("true")
	key, value, _ := strings.Cut(option, "=")
	o.HostConfig.StorageOpt = map[string]string{key: value}
	return func() error { _, err := m.Containers.Create(bg, o); return err }
}

// quotaDisk is a directory on a file system with project quotas, made for the test.
func quotaDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := dir + "/image"
	if err := os.Truncate(create(t, file), 256<<20); err != nil {
		t.Fatal(err)
	}
	mke2fs := need.Program(t, "mke2fs")
	if out, err := exec.Command(mke2fs, "-q", "-t", "ext4", "-O", "quota,project", "-E", "quotatype=prjquota", file).CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v\n%s", err, out)
	}
	at := dir + "/mounted"
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	exec.Command("modprobe", "-a", "loop", "quota_v2").Run() //nolint:errcheck // built in, or not there: mounting tells
	if out, err := exec.Command("mount", "-o", "loop,prjquota", file, at).CombinedOutput(); err != nil {
		t.Skipf("this kernel mounts no ext4 with project quotas (CONFIG_QFMT_V2, loop devices): %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", at).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return at
}

func create(t *testing.T, path string) string {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestQuota(t *testing.T) {
	m := newMachine(t)
	disk := quotaDisk(t)
	if err := os.Chmod(disk, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.removeAll)
	t.Setenv("GLASSBOX_ROOT", disk+"/data")
	e, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	m.Engine = e
	m.image("disk", ocispec.ImageConfig{})
	for _, maps := range [][]string{nil, {"0:200000:65536"}} {
		o := shell("dd if=/dev/zero of=/big bs=1M count=20 2>&1; dd if=/dev/zero of=/v/big bs=1M count=20 2>&1; echo end")
		o.Config.Image, o.UsernsMap = "disk", maps
		o.HostConfig.StorageOpt = map[string]string{"size": "8m"}
		o.HostConfig.Binds = []string{"limited:/v"}
		if _, err := m.Volumes.Create(volume.CreateOptions{Name: "limited", DriverOpts: map[string]string{"size": "4m"}}); err != nil {
			t.Fatal(err)
		}
		id := m.create(o)
		if err := m.Containers.Start(bg, id); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Containers.Wait(bg, id); err != nil {
			t.Fatal(err)
		}
		out := m.said(id)
		if n := strings.Count(strings.ToLower(out), "disk quota exceeded") + strings.Count(out, "No space left"); n != 2 || !strings.HasSuffix(out, "end\n") {
			t.Errorf("%v: %q", maps, out)
		}
		r, err := m.Containers.load(id)
		if err != nil {
			t.Fatal(err)
		}
		if used, err := diskUse(r.place.Upper()); err != nil || used < 7<<20 || used > 8<<20 {
			t.Errorf("%v: wrote %d, %v", maps, used, err)
		}
		if used, err := diskUse(m.Containers.root.Volume("limited").Data()); err != nil || used < 3<<20 || used > 4<<20 {
			t.Errorf("%v: wrote %d into the volume, %v", maps, used, err)
		}
		m.remove(id, false)
		if err := m.Volumes.Remove("limited", false); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := m.Containers.root.Projects().All(); err != nil || len(left) > 0 {
		t.Errorf("project ids left: %v, %v", left, err)
	}
}
