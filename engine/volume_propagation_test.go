package engine

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"glassbox/test/need"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// elsewhere runs the test again in a process with a mount namespace of its own, and reports whether this is that process.
func elsewhere(t *testing.T) bool {
	t.Helper()
	if os.Getenv("GLASSBOX_TEST_MOUNTS") == t.Name() {
		return true
	}
	need.Root(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", self, "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "GLASSBOX_TEST_MOUNTS="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func mountAt(t *testing.T, source, at, fstype string, flags uintptr) {
	t.Helper()
	if err := unix.Mount(source, at, fstype, flags, ""); err != nil {
		t.Fatalf("mounting %s on %s: %v", source, at, err)
	}
}

func directories(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := os.MkdirAll(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPropagation(t *testing.T) {
	if !elsewhere(t) {
		return
	}
	m := newMachine(t)
	dir := t.TempDir()
	directories(t, dir+"/src")
	mountAt(t, "tmpfs", dir+"/src", "tmpfs", 0)
	defer unix.Unmount(dir+"/src", unix.MNT_DETACH) //nolint:errcheck // the namespace goes with this process
	mountAt(t, "", dir+"/src", "", unix.MS_SHARED)
	directories(t, dir+"/src/from-host", dir+"/src/from-inside", dir+"/private")
	for _, c := range []struct {
		mode                         string
		hostSeenInside, insideOnHost bool
	}{{"rprivate", false, false}, {"rslave", true, false}, {"rshared", true, true}} {
		o := with("mount -t tmpfs inside /m/from-inside; while [ ! -e /m/go ]; do sleep 0.05; done; grep -c 'hostly /m/from-host' /proc/mounts; true", dir+"/src:/m:"+c.mode)
		o.HostConfig.CapAdd, o.HostConfig.SecurityOpt = []string{"SYS_ADMIN"}, []string{"apparmor=unconfined"}
		id := m.detached(o)
		eventually(t, c.mode+": mounted inside", func() bool {
			s := m.inspect(id)
			data, err := os.ReadFile("/proc/" + strconv.Itoa(s.State.Pid) + "/mountinfo")
			return err == nil && strings.Contains(string(data), " inside ")
		})
		data, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(data), " inside "); got != c.insideOnHost {
			t.Errorf("%s: what the container mounted is seen on the host: %v", c.mode, got)
		}
		mountAt(t, "hostly", dir+"/src/from-host", "tmpfs", 0)
		if err := os.WriteFile(dir+"/src/go", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Containers.Wait(bg, id); err != nil {
			t.Fatal(err)
		}
		if got := strings.HasPrefix(m.said(id), "1"); got != c.hostSeenInside {
			t.Errorf("%s: what the host mounted is seen inside: %v: %q", c.mode, got, m.said(id))
		}
		if err := os.Remove(dir + "/src/go"); err != nil {
			t.Fatal(err)
		}
		if err := unix.Unmount(dir+"/src/from-host", 0); err != nil {
			t.Fatal(err)
		}
		unix.Unmount(dir+"/src/from-inside", unix.MNT_DETACH) //nolint:errcheck // only there with rshared
	}
	for mode, want := range map[string]string{
		"shared": " but it is not a shared mount", "slave": " but it is not a shared or slave mount",
	} {
		id := m.create(with("true", dir+"/private:/m:"+mode))
		if err := m.Containers.Start(bg, id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s of a private mount: %v", mode, err)
		}
	}
}

func TestRecursiveReadOnly(t *testing.T) {
	if !elsewhere(t) {
		return
	}
	m := newMachine(t)
	dir := t.TempDir()
	directories(t, dir+"/below")
	mountAt(t, "tmpfs", dir+"/below", "tmpfs", 0)
	defer unix.Unmount(dir+"/below", unix.MNT_DETACH) //nolint:errcheck // the namespace goes with this process
	script := "touch /m/f 2>/dev/null && echo top; touch /m/below/f 2>/dev/null && echo below; grep -c ' /m/below ' /proc/mounts"
	for _, c := range []struct {
		name, want string
		options    *mount.BindOptions
		readOnly   bool
	}{
		{"writable", "top\nbelow\n1\n", nil, false},
		{"readonly", "1\n", nil, true},
		{"bind-recursive=enabled", "1\n", &mount.BindOptions{}, true},
		{"bind-recursive=disabled", "top\nbelow\n0\n", &mount.BindOptions{NonRecursive: true}, false},
		{"bind-recursive=writable", "below\n1\n", &mount.BindOptions{ReadOnlyNonRecursive: true}, true},
		{"bind-recursive=readonly", "1\n", &mount.BindOptions{ReadOnlyForceRecursive: true, Propagation: "rprivate"}, true},
	} {
		for _, maps := range [][]string{nil, {"0:200000:65536"}} {
			o := shell("umask 0; " + script)
			o.UsernsMap = maps
			o.HostConfig.Mounts = []mount.Mount{{Type: "bind", Source: dir, Target: "/m", ReadOnly: c.readOnly, BindOptions: c.options}}
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir+"/below", 0o777); err != nil {
				t.Fatal(err)
			}
			for _, f := range []string{dir + "/f", dir + "/below/f"} {
				if err := os.Remove(f); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			if out, errs, _ := m.run(o); out != c.want {
				t.Errorf("%s %v: %q %q, want %q", c.name, maps, out, errs, c.want)
			}
		}
	}
}

// What courses teach: back a volume up and restore it.
func TestBackupAndRestore(t *testing.T) {
	m := newMachine(t)
	m.image("tool", ocispec.ImageConfig{})
	host := t.TempDir()
	run := func(script string, change func(*container.HostConfig)) string {
		o := shell(script)
		o.Config.Image = "tool"
		change(o.HostConfig)
		out, errs, code := m.run(o)
		if code != 0 {
			t.Errorf("%s: %d %s", script, code, errs)
		}
		return out
	}
	db := shell("mkdir -p /data/sub; echo row > /data/table; touch /data/sub/index; ln /data/table /data/link; true")
	db.Config.Image, db.Config.Volumes = "tool", map[string]struct{}{"/data": {}}
	id := m.detached(db)
	if _, err := m.Containers.Wait(bg, id); err != nil {
		t.Fatal(err)
	}
	run("tar cvf /backup/b.tar /data", func(h *container.HostConfig) { h.VolumesFrom, h.Binds = []string{id}, []string{host + ":/backup"} })
	out := run("cd / && tar xf /backup/b.tar && cat /data/table && find /data | wc -l", func(h *container.HostConfig) {
		h.Binds = []string{"restored:/data", host + ":/backup:ro"}
	})
	if strings.Join(strings.Fields(out), " ") != "row 5" {
		t.Errorf("restored: %q", out)
	}
}

func TestTwoWriters(t *testing.T) {
	m := newMachine(t)
	var ids []string
	for _, who := range []string{"a", "b"} {
		ids = append(ids, m.detached(with("for i in $(seq 200); do echo "+who+" >> /v/log; done; echo done > /v/"+who, "both:/v")))
	}
	for _, id := range ids {
		if code, err := m.Containers.Wait(bg, id); code != 0 || err != nil {
			t.Errorf("%d, %v", code, err)
		}
	}
	text, err := os.ReadFile(m.Containers.root.Volume("both").Data() + "/log")
	if err != nil || strings.Count(string(text), "a\n") != 200 || strings.Count(string(text), "b\n") != 200 {
		t.Errorf("%d a, %d b, %v", strings.Count(string(text), "a\n"), strings.Count(string(text), "b\n"), err)
	}
}
