package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
)

// upheaval changes an image's files in every way that a layer must tell of.
const upheaval = `set -e
echo new >/new; touch -d 2020-02-03 /new; chown 1000:10 /new; chmod 4751 /new
ln /new /tmp/second; ln -s ../nowhere /tmp/link; busybox mkfifo -m 640 /tmp/pipe
mkdir -p -m 1777 /deep/er; touch -d 2019-01-01 /deep/er; echo tool >/deep/tool
rm /etc/group /tmp/noexec.sh; chown 7 /etc/passwd; chmod 600 /bin/crlf
rm -r /root; mkdir -m 711 /root; echo anew >/root/file
rm -r /tmp/dir; echo a file now >/tmp/dir
rm /bin/noshebang; mkdir /bin/noshebang; echo inside >/bin/noshebang/file
busybox truncate -s 3M /sparse; echo end >>/sparse
: >'/a name with spaces'
`

// allFiles tells all of a container's files that can be seen from inside, but for what a start mounts or makes.
const allFiles = `for f in $(busybox find /* -xdev -regex '/\(dev\|proc\|sys\)' -prune -o -print | busybox grep -vxE '/etc(/hosts|/hostname|/resolv.conf)?' | busybox tr ' ' '?' | busybox sort); do
	busybox stat -c '%N %f %u %g %t:%T %Y' "$f"
	[ -d "$f" ] && [ ! -h "$f" ] || busybox stat -c '%s %h' "$f"
	[ -f "$f" ] && [ ! -h "$f" ] && busybox md5sum "$f"
done; true`

// based makes bb2, which has a directory for upheaval to replace.
func based(m *machine) {
	m.run(shell("mkdir /tmp/dir; echo x >/tmp/dir/x"))
	m.commit(m.only(), container.CommitOptions{Reference: "bb2"})
	m.ok(m.Containers.Remove(bg, m.only(), true, false))
}

// only is the one container there is.
func (m *machine) only() string {
	m.t.Helper()
	ids, err := m.Containers.root.IDs()
	if err != nil || len(ids) != 1 {
		m.t.Fatalf("containers %v, %v", ids, err)
	}
	return ids[0]
}

func (m *machine) commit(id string, o container.CommitOptions) string {
	m.t.Helper()
	img, err := m.Containers.Commit(bg, id, o)
	if err != nil {
		m.t.Fatal(err)
	}
	return img
}

// of is a shell in a container of another image.
func of(image, userns, script string) Options {
	o := shell(script)
	o.Config.Image, o.HostConfig.UsernsMode = image, container.UsernsMode(userns)
	return o
}

// TestCommitGivesFilesBack commits a container whose files were changed in every way: one of the image shows the same files.
func TestCommitGivesFilesBack(t *testing.T) {
	for _, userns := range []string{"", "auto"} {
		t.Run("userns="+userns, func(t *testing.T) {
			m := newMachine(t)
			based(m)
			before, errs, code := m.run(of("bb2", userns, upheaval+allFiles))
			if code != 0 || !strings.Contains(before, "/new 89e9 1000 10") {
				t.Fatalf("code %d: %s", code, errs)
			}
			id := m.only()
			capable(t, m, id)
			changes := diffOf(t, m, id)
			m.commit(id, container.CommitOptions{Reference: "changed"})
			m.ok(m.Containers.Remove(bg, id, true, false))

			// Both with and without a user namespace, whatever it was committed from.
			for _, other := range []string{"", "auto"} {
				after, errs, _ := m.run(of("changed", other, allFiles))
				if after != before {
					t.Errorf("userns=%q sees\n%s%s", other, firstDifference(after, before), errs)
				}
				if left := diffOf(t, m, m.only()); len(left) > 0 {
					t.Errorf("reading alone changed %s", left)
				}
				m.ok(m.Containers.Remove(bg, m.only(), true, false))
			}
			img, err := m.Images.Resolve("changed")
			if err != nil {
				t.Fatal(err)
			}
			layers, err := m.Images.Layers(img)
			if err != nil {
				t.Fatal(err)
			}
			if got := capabilityOf(layers.Lower[0] + "/deep/tool"); !bytes.Equal(got, capability(2)) {
				t.Errorf("the file's capability is % x", got)
			}
			if _, err := os.Lstat(layers.Lower[0] + "/deep/socket"); err == nil {
				t.Error("a socket is in the layer")
			}
			wanted := strings.Fields(`A/a?name?with?spaces A/deep A/deep/er A/deep/socket A/deep/tool A/new A/root/file A/sparse A/tmp/link A/tmp/pipe A/tmp/second
				A/bin/noshebang/file C/bin C/bin/crlf C/bin/noshebang C/etc C/etc/passwd C/root C/tmp C/tmp/dir D/etc/group D/tmp/noexec.sh`)
			slices.Sort(wanted)
			if got := strings.ReplaceAll(strings.Join(changes, " "), "name with spaces", "name?with?spaces"); got != strings.ReplaceAll(strings.Join(wanted, " "), "a?name", "a name") {
				t.Errorf("diff is\n%s, want\n%s", got, wanted)
			}
		})
	}
}

// capable gives a file of a stopped container capabilities, and puts a socket beside it: busybox can do neither.
func capable(t *testing.T, m *machine, id string) {
	t.Helper()
	r, err := m.Containers.load(id)
	if err != nil {
		t.Fatal(err)
	}
	dir := r.place.Upper() + "/deep"
	before, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(dir+"/tool", "security.capability", capability(2), 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(dir+"/socket", unix.S_IFSOCK|0o600, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(dir, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// capability is cap_net_raw+ep in the form of capabilities(7), VFS_CAP_REVISION_2.
func capability(revision byte) []byte {
	b := make([]byte, 20)
	b[0], b[3] = 1, revision // effective
	binary.LittleEndian.PutUint32(b[4:], 1<<unix.CAP_NET_RAW)
	return b
}

func diffOf(t *testing.T, m *machine, id string) []string {
	t.Helper()
	changes, err := m.Containers.Diff(id)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range changes {
		all = append(all, c.Kind.String()+c.Path)
	}
	slices.Sort(all)
	return all
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i] + "\ninstead of\n" + y[i] + "\n"
		}
	}
	return "more or less lines\n"
}

// TestCommitFromTheOutside has skopeo read a committed image from the store, which is an OCI image layout.
func TestCommitFromTheOutside(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is missing (apt-get install skopeo)")
	}
	m := newMachine(t)
	m.run(shell("echo new >/new"))
	m.commit(m.only(), container.CommitOptions{Reference: "made", Author: "me", Changes: []string{"ENV A=b"}})
	to := t.TempDir()
	out, err := exec.Command(skopeo, "copy", "oci:"+m.Containers.root.Images()+":made:latest", "dir:"+to).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files, err := filepath.Glob(to + "/*")
	if err != nil || len(files) < 5 { // manifest.json, version, config, two layers
		t.Errorf("skopeo has copied %v, %v", files, err)
	}
	if out, err = exec.Command(skopeo, "inspect", "--config", "dir:"+to).CombinedOutput(); err != nil || !bytes.Contains(out, []byte(`"A=b"`)) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestCommitHolds: the container stands still while it is read, and goes on afterwards, also when that has failed.
func TestCommitHolds(t *testing.T) {
	m := newMachine(t)
	id := m.detached(shell("i=0; while true; do i=$((i+1)); for f in a b; do echo $i >/new; busybox mv /new /$f; done; done"))
	for range 3 {
		m.commit(id, container.CommitOptions{Reference: "held", Pause: true})
		if s := m.inspect(id).State; s.Status != "running" {
			t.Fatalf("the container is %s", s.Status)
		}
		out, _, _ := m.run(of("held", "", `a=$(cat /a || echo 0); b=$(cat /b || echo 0); [ $((a-b)) = 0 ] || [ $((a-b)) = 1 ] && echo fine || echo "$a $b"`))
		if out != "fine\n" {
			t.Errorf("what was written later is there, what was written before is not: %s", out)
		}
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := m.Containers.Commit(ctx, id, container.CommitOptions{Pause: true}); err == nil {
		t.Error("committed although it was called off")
	}
	if s := m.inspect(id).State; s.Status != "running" {
		t.Errorf("after a failure the container is %s", s.Status)
	}
}

// TestCommitOfRemoved: half a container is no image.
func TestCommitOfRemoved(t *testing.T) {
	m := newMachine(t)
	m.run(shell("busybox seq 100000 >/big; for i in $(busybox seq 300); do echo $i >/$i; done"))
	id := m.only()
	done := make(chan error, 1)
	go func() {
		_, err := m.Containers.Commit(bg, id, container.CommitOptions{Reference: "half"})
		done <- err
	}()
	time.Sleep(5 * time.Millisecond)
	m.ok(m.Containers.Remove(bg, id, true, false))
	if err := <-done; err != nil {
		if _, missing := m.Images.Resolve("half"); missing == nil {
			t.Errorf("there is an image although: %v", err)
		}
		return
	}
	out, _, _ := m.run(of("half", "", "cat /big | busybox tail -n 1; ls / | busybox grep -c '[0-9]'"))
	if out != "100000\n300\n" {
		t.Errorf("the image holds %q", out)
	}
}
