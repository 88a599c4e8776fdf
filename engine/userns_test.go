package engine

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
)

// mapped is shell in a user namespace with a range of its own.
func mapped(script string, binds ...string) Options {
	o := shell(script)
	o.HostConfig.UsernsMode, o.HostConfig.Binds = "auto", binds
	return o
}

// inside runs a script in a running container.
func (m *machine) inside(id, script string, privileged bool) (string, error) {
	var out bytes.Buffer
	o := container.ExecOptions{Cmd: []string{"sh", "-c", script}, Privileged: privileged, AttachStdout: true}
	a, _, err := m.Containers.Exec(bg, id, ExecOptions{ExecOptions: o}, Streams{Out: &out})
	if err != nil {
		return "", err
	}
	defer a.Close()
	_, err = a.Run(bg)
	return out.String(), err
}

// soonInside repeats a script until it prints this.
func (m *machine) soonInside(id, script, want string) {
	m.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		out, err := m.inside(id, script, false)
		if out == want {
			return
		}
		if time.Now().After(end) {
			m.t.Fatalf("%s: %q, %v, want %q", script, out, err, want)
		}
	}
}

// TestRangesInParallel: containers made at the same time get ranges that nobody else has, and rm gives them back.
func TestRangesInParallel(t *testing.T) {
	m := newMachine(t)
	const many = 12
	ids := make([]string, many)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			c, err := m.Containers.Create(bg, mapped("sleep 1000"))
			if err == nil {
				err = m.Containers.Start(bg, c.ID)
			}
			m.ok(err)
			ids[i] = c.ID
		})
	}
	all.Wait()
	owner := map[string]string{}
	for _, id := range ids {
		i := m.inspect(id)
		shown := i.GraphDriver.Data["IDMap"]
		if before := owner[shown]; before != "" || shown == "" {
			t.Errorf("%s and %s both have the ids %q", before, id, shown)
		}
		owner[shown] = id
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", i.State.Pid))
		if m.ok(err); strings.Join(strings.Fields(string(text)), ":") != shown {
			t.Errorf("inspect shows %q, the kernel %q", shown, text)
		}
		m.ok(m.Containers.Remove(bg, id, true, false))
	}
	if left, err := m.Containers.root.Ranges().All(); err != nil || len(left) != 0 {
		t.Errorf("claimed ranges are left: %q, %v", left, err)
	}
}

// TestIDPool: only ids that exist where we are are given away, and none that subuid(5) promises.
func TestIDPool(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	promised, err := idRanges(write("alice:1114112:65536\nbob:1310719:2\nbroken:1:x\n# 1 2\n"), ":", 1)
	if err != nil || !slices.Equal(promised, []idRange{{17 * block, block}, {20*block - 1, 2}}) {
		t.Fatalf("%v, %v", promised, err)
	}
	maps, err := idRanges(write("         0          0 1376256\n   1376256    5000000      65535\n   2000000 1 4000000\n"), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	p := idPool{mapped: maps, promised: promised}
	var got []int
	for n := range p.blocks(18) {
		if len(got) == 5 {
			break
		}
		got = append(got, n)
	}
	// 17 is Alice's, 19 and 20 are touched by Bob's, 21 is one id short; then come those that the third line maps.
	if want := []int{18, 31, 32, 33, 34}; !slices.Equal(got, want) {
		t.Errorf("blocks %v, want %v", got, want)
	}
	for n := range (idPool{promised: promised}).blocks(18) {
		t.Fatalf("block %d, and no id is mapped", n)
	}
}

// TestLayersAreShared: a container in a user namespace shows the image's files with other owners, and changes and copies none.
func TestLayersAreShared(t *testing.T) {
	m := newMachine(t)
	m.run(shell("true")) // the layer of mount points is there now
	before := m.layers()
	for range 3 {
		id := m.create(mapped("stat -c '%u %g' /bin/busybox /etc/passwd; chown 1000 /etc/group; rm /etc/passwd"))
		m.ok(m.Containers.Start(bg, id))
		m.end(id)
		if out, errs := m.logs(id, LogOptions{Tail: -1}); out != "0 0\n0 0\n" || errs != "" {
			t.Errorf("%q %q", out, errs)
		}
		r, err := m.Containers.load(id)
		if err != nil {
			t.Fatal(err)
		}
		if size, err := diskUse(r.place.Upper()); err != nil || size > 4096 {
			t.Errorf("the container has %d bytes of its own, %v", size, err)
		}
	}
	if after := m.layers(); after != before {
		t.Errorf("the layers were changed:\n%s", firstDifference(before, after))
	}
}

// layers lists every file of every layer with all that chown, chmod, write or a copy would change.
func (m *machine) layers() string {
	var b strings.Builder
	m.ok(filepath.WalkDir(m.Containers.root.Layers(), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintln(&b, path, info.Mode(), st.Uid, st.Gid, st.Size, st.Ino, st.Mtim, st.Ctim)
		return nil
	}))
	return b.String()
}

// TestOwnersAcrossRanges: what is kept outside of a container belongs to the same users in every one, whatever its range; the host's own
// directories are as they are.
func TestOwnersAcrossRanges(t *testing.T) {
	m := newMachine(t)
	const owners = "stat -c '%u:%g' /v/root /v/bob"
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	first := m.create(mapped("touch /v/root /v/bob; chown bob:bob /v/bob; sleep 1000", "shared:/v"))
	m.ok(m.Containers.Start(bg, first))
	m.soonInside(first, owners, "0:0\n1000:1000\n")
	inherited := mapped(owners + "; echo more >>/v/root")
	inherited.HostConfig.VolumesFrom = []string{first}
	plain := shell(owners + "; cat /v/root")
	plain.HostConfig.Binds = []string{"shared:/v"}
	bind := mapped("touch /v/made; stat -c %u /v /v/made; chown bob /v/made; ls /root/.. >/dev/null", dir+":/v")
	tmpfs := mapped("stat -c '%u:%g %a' /t; touch /t/x; stat -c %u /t/x; stat -c %u /m")
	tmpfs.HostConfig.Tmpfs = map[string]string{"/t": "mode=1770"}
	tmpfs.HostConfig.Mounts = []mount.Mount{{Type: "tmpfs", Target: "/m"}}
	for _, test := range []struct {
		name string
		o    Options
		want string
	}{
		{"a volume, with another range", mapped(owners, "shared:/v"), "0:0\n1000:1000\n"},
		{"a volume of another container", inherited, "0:0\n1000:1000\n"},
		{"a volume, without a user namespace", plain, "0:0\n1000:1000\nmore\n"},
		{"a directory of the host's root", bind, "65534\n0\n"},
		{"tmpfs", tmpfs, "0:0 1770\n0\n0\n"},
	} {
		if out, errs, code := m.run(test.o); out != test.want || code != 0 {
			t.Errorf("%s: %q %q %d, want %q", test.name, out, errs, code, test.want)
		}
	}
	// A bind mount shows numbers as they are: what the container's bob makes is bob's of its range.
	made, err := os.Stat(dir + "/made")
	if err != nil {
		t.Fatal(err)
	}
	if uid := made.Sys().(*syscall.Stat_t).Uid; uid%block != 1000 || uid < firstBlock*block {
		t.Errorf("on the host, the file belongs to %d", uid)
	}
}

// TestLifeInUserNamespace: exec, health and restart find the same users, and the container its own files.
func TestLifeInUserNamespace(t *testing.T) {
	m := newMachine(t)
	o := checkedBy("test -O /mine && test $(id -u) = 0")
	o.HostConfig = mapped("").HostConfig
	o.Config.Cmd = []string{"sh", "-c", "touch /mine; id -u; exec sleep 1000"}
	id := m.detached(o)
	m.health(id, "healthy", inHealth("healthy"))
	m.soonInside(id, "stat -c '%u' /mine; id -u", "0\n0\n")
	before := m.inspect(id).GraphDriver.Data["IDMap"]
	m.ok(m.Containers.Restart(bg, id, StopOptions{Timeout: new(int)}))
	m.soonInside(id, "stat -c '%u' /mine", "0\n")
	m.health(id, "healthy", inHealth("healthy"))
	if after := m.inspect(id).GraphDriver.Data["IDMap"]; after != before {
		t.Errorf("other ids after a restart: %s, then %s", before, after)
	}
}
