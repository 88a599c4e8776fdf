package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/archive"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
)

// put copies one file into a container.
func (m *machine) put(id, dir, name, text string, o container.CopyToContainerOptions) error {
	m.t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	m.ok(w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Uid: 3, Gid: 4, Size: int64(len(text))}))
	_, err := io.WriteString(w, text)
	m.ok(errors.Join(err, w.Close()))
	return m.Containers.CopyTo(bg, id, dir, &b, o)
}

// fetch lists what is copied out of a container: name, owner and contents.
func (m *machine) fetch(id, path string) string {
	m.t.Helper()
	r, _, err := m.Containers.CopyFrom(bg, id, path)
	m.ok(err)
	defer r.Close()
	return m.list(r)
}

func (m *machine) list(r io.Reader) string {
	m.t.Helper()
	var out strings.Builder
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if err == io.EOF {
			return out.String()
		}
		m.ok(err)
		text, err := io.ReadAll(t)
		m.ok(err)
		fmt.Fprintf(&out, "%s %d:%d %s\n", h.Name, h.Uid, h.Gid, strings.TrimSpace(string(text)))
	}
}

// TestCopyBothWays: what is copied in is seen inside and comes out again, whether the container runs, has ended or never ran, with the
// owners that the container counts.
func TestCopyBothWays(t *testing.T) {
	m := newMachine(t)
	shared := t.TempDir()
	for name, change := range map[string]func(*Options){
		"plain":  func(*Options) {},
		"userns": func(o *Options) { o.HostConfig.UsernsMode = "auto" },
		"bind":   func(o *Options) { o.HostConfig.Binds = []string{shared + ":/tmp/dir"} },
		"volume": func(o *Options) { o.HostConfig.Binds = []string{"copied:/tmp/dir"} },
		"userns volume": func(o *Options) {
			o.HostConfig.Binds, o.HostConfig.UsernsMode = []string{"copied2:/tmp/dir"}, "auto"
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &machine{m.Engine, t}
			o := shell("while [ ! -e /tmp/dir/go ]; do sleep 0.05; done; stat -c %u:%g /tmp/dir/new /tmp/dir/go; cat /tmp/dir/new; echo mine > /tmp/dir/own; chown 5:6 /tmp/dir/own; echo x > /tmp/dir/ready; sleep 1000")
			change(&o)
			id := m.create(o)
			m.ok(m.put(id, "/tmp", "probe", "p", container.CopyToContainerOptions{}))
			if strings.Contains(name, "plain") || name == "userns" {
				var b bytes.Buffer
				w := tar.NewWriter(&b)
				m.ok(w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "dir", Mode: 0o755}))
				m.ok(w.Close())
				m.ok(m.Containers.CopyTo(bg, id, "/tmp", &b, container.CopyToContainerOptions{}))
			}
			m.ok(m.put(id, "/tmp/dir", "new", "text\n", container.CopyToContainerOptions{}))
			if got, want := m.fetch(id, "/tmp/dir/new"), "new 3:4 text\n"; got != want {
				t.Errorf("before the start: %q, want %q", got, want)
			}
			m.ok(m.Containers.Start(bg, id))
			m.ok(m.put(id, "/tmp/dir", "go", "now", container.CopyToContainerOptions{}))
			m.waitForLog(id, "text")
			if out, _ := m.logs(id, LogOptions{Tail: -1}); !strings.Contains(out, "3:4\n3:4\n") {
				t.Errorf("inside the owners are %q", out)
			}
			eventually(t, "the container has written", func() bool {
				_, err := m.Containers.StatPath(bg, id, "/tmp/dir/ready")
				return err == nil
			})
			if got, want := m.fetch(id, "/tmp/dir/own"), "own 5:6 mine\n"; got != want {
				t.Errorf("while it runs: %q, want %q", got, want)
			}
			m.ok(m.Containers.Kill(bg, id, KillOptions{Signal: "KILL"}))
			_, err := m.Containers.Wait(bg, id)
			m.ok(err)
			if got, want := m.fetch(id, "/tmp/dir/own"), "own 5:6 mine\n"; got != want {
				t.Errorf("afterwards: %q, want %q", got, want)
			}
			if got := m.fetch(id, "/etc/passwd"); !strings.HasPrefix(got, "passwd 0:0 root:") {
				t.Errorf("the image's own file: %q", got)
			}
			m.ok(m.put(id, "/tmp/dir", "late", "l", container.CopyToContainerOptions{}))
			if got := m.fetch(id, "/tmp/dir/late"); got != "late 3:4 l\n" {
				t.Errorf("what was copied to the stopped one: %q", got)
			}
		})
	}
	if st, err := os.Stat(shared + "/late"); err != nil || st.Size() != 1 {
		t.Errorf("the bind mount's directory: %v", err)
	}
}

func TestCopyForTheUser(t *testing.T) {
	m := newMachine(t)
	o := shell("true")
	o.Config.User = "bob"
	id := m.create(o)
	m.ok(m.put(id, "/tmp", "kept", "k", container.CopyToContainerOptions{}))
	m.ok(m.put(id, "/tmp", "given", "g", container.CopyToContainerOptions{CopyUIDGID: true}))
	if got := m.fetch(id, "/tmp/kept") + m.fetch(id, "/tmp/given"); got != "kept 3:4 k\ngiven 1000:1000 g\n" {
		t.Errorf("got %q", got)
	}
}

// What the kernel makes up is read as it reads inside, and comes along only when it was named.
func TestCopyOfWhatTheKernelMakes(t *testing.T) {
	m := newMachine(t)
	o := shell("echo scratch > /scratch/f; mkdir /proc2; sleep 1000")
	o.HostConfig.Tmpfs = map[string]string{"/scratch": ""}
	id := m.detached(o)
	eventually(t, "the container has written", func() bool {
		_, err := m.Containers.StatPath(bg, id, "/proc2")
		return err == nil
	})
	if got := m.fetch(id, "/proc/1/status"); !strings.Contains(got, "\nPid:\t1\n") {
		t.Errorf("/proc/1/status: %q", got)
	}
	if got := m.fetch(id, "/dev/null"); got != "null 0:0 \n" {
		t.Errorf("/dev/null: %q", got)
	}
	if got := m.fetch(id, "/scratch"); got != "scratch/ 0:0 \nscratch/f 0:0 scratch\n" {
		t.Errorf("/scratch: %q", got)
	}
	all := m.fetch(id, "/")
	for line, want := range map[string]bool{
		"\n/proc/ ": true, "\n/proc/1/": false, "\n/dev/null ": false, "\n/sys/kernel/": false, "\n/scratch/f ": true, "\n/etc/hosts 0:0 127.0.0.1": true,
	} {
		if strings.Contains(all, line) != want {
			t.Errorf("in the copy of / is %q: %v, want %v", line, !want, want)
		}
	}
	r, err := m.Containers.Export(bg, id)
	m.ok(err)
	defer r.Close()
	exported := m.list(r)
	for line, want := range map[string]bool{"\nproc/ ": true, "\nproc/1/": false, "\nscratch/ ": true, "\nscratch/f ": false, "\netc/hosts 0:0 \n": true, "\nproc2/ ": true} {
		if strings.Contains(exported, line) != want {
			t.Errorf("in the export is %q: %v, want %v", line, !want, want)
		}
	}
}

func TestCopyRefuses(t *testing.T) {
	m := newMachine(t)
	o := shell("sleep 1000")
	o.HostConfig.ReadonlyRootfs = true
	o.HostConfig.Binds = []string{t.TempDir() + ":/ro:ro", t.TempDir() + ":/rw"}
	o.HostConfig.Tmpfs = map[string]string{"/scratch": ""}
	id := m.create(o)
	check := func(when string) {
		for dir, want := range map[string]string{
			"/tmp": "container rootfs is marked read-only", "/ro": "mounted volume is marked read-only", "/rw": "",
			"/none": "Could not find the file /none in container " + id, "/etc/passwd": "extraction point is not a directory",
			"/etc/hosts": "extraction point is not a directory",
		} {
			err := m.put(id, dir, "x", "x", container.CopyToContainerOptions{})
			if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
				t.Errorf("%s, to %s: %s, want %q", when, dir, got, want)
			}
		}
	}
	check("created")
	m.ok(m.Containers.Start(bg, id))
	check("running")
	m.ok(m.put(id, "/scratch", "x", "x", container.CopyToContainerOptions{}))
	m.refuses(m.put("nosuch", "/tmp", "x", "x", container.CopyToContainerOptions{}), "No such container: nosuch")
}

// TestNobodyStartsWhatIsLookedAt: two overlays on one upper directory are undefined.
func TestNobodyStartsWhatIsLookedAt(t *testing.T) {
	m := newMachine(t)
	id := m.create(shell("true"))
	r, _, err := m.Containers.CopyFrom(bg, id, "/")
	m.ok(err)
	ctx, cancel := context.WithTimeout(bg, 200*time.Millisecond)
	defer cancel()
	if err := m.Containers.Start(ctx, id); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it was started: %v", err)
	}
	m.ok(r.Close())
	m.ok(m.Containers.Start(bg, id))
}

// TestHostileSwaps: a container exchanges a directory and links to the host's for one another while files are copied in and out. Nothing of
// the host is read or written.
func TestHostileSwaps(t *testing.T) {
	m := newMachine(t)
	victim := t.TempDir()
	m.ok(os.WriteFile(victim+"/secret", []byte("HOST"), 0o644))
	o := shell(fmt.Sprintf("mkdir /tmp/a /tmp/a/sub; echo mine > /tmp/a/secret; ln -s %s /tmp/b; ln -s ../../../../../../../../..%s /tmp/c; echo go; while :; do mv /tmp/a /tmp/x; mv /tmp/b /tmp/a; mv /tmp/x /tmp/b; "+
		"mv /tmp/b /tmp/x; mv /tmp/a /tmp/b; mv /tmp/x /tmp/a; mv /tmp/a /tmp/x; mv /tmp/c /tmp/a; mv /tmp/x /tmp/c; mv /tmp/c /tmp/x; mv /tmp/a /tmp/c; mv /tmp/x /tmp/a; done", victim, victim))
	id := m.detached(o)
	m.waitForLog(id, "go")
	seen := map[string]int{}
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
		for _, path := range []string{"/tmp/a/secret", "/tmp/a", "/tmp/a/."} {
			r, _, err := m.Containers.CopyFrom(bg, id, path)
			if err != nil {
				seen["gone"]++
				continue
			}
			if text := m.list(r); strings.Contains(text, "HOST") {
				t.Fatalf("%s: the host's file was read: %q", path, text)
			} else if strings.Contains(text, "mine") {
				seen["own"]++
			} else {
				seen["link"]++
			}
			m.ok(r.Close())
		}
		for _, dir := range []string{"/tmp/a", "/tmp/a/sub"} {
			if m.put(id, dir, "secret", "OVERWRITTEN", container.CopyToContainerOptions{}) == nil {
				seen["written"]++
			}
		}
	}
	if text, err := os.ReadFile(victim + "/secret"); err != nil || string(text) != "HOST" {
		t.Errorf("the host's file: %q, %v", text, err)
	}
	entries, err := os.ReadDir(victim)
	if err != nil || len(entries) != 1 {
		t.Errorf("the host's directory holds %v, %v", entries, err)
	}
	t.Log(seen)
	if seen["own"]+seen["written"] == 0 {
		t.Error("nothing was ever copied")
	}
}

// TestDevicesAreNotOpened: a container puts a FIFO where a file was, which would hold us for ever, and makes devices.
func TestDevicesAreNotOpened(t *testing.T) {
	m := newMachine(t)
	id := m.create(shell("mkfifo /etc/passwd.new; mv /etc/passwd.new /etc/passwd; mknod /tmp/mem c 1 1; echo go; sleep 1000"))
	m.ok(m.Containers.Start(bg, id))
	m.waitForLog(id, "go")
	if got := m.fetch(id, "/etc/passwd") + m.fetch(id, "/tmp/mem"); got != "passwd 0:0 \nmem 0:0 \n" {
		t.Errorf("got %q", got)
	}
	m.ok(m.put(id, "/tmp", "x", "x", container.CopyToContainerOptions{CopyUIDGID: true}))
}

// TestCopyIsStreamed: two hundred megabytes take no more memory than two.
func TestCopyIsStreamed(t *testing.T) {
	m := newMachine(t)
	id := m.create(shell("true"))
	const size = 200 << 20
	before := heap()
	most := uint64(0)
	content := archive.Stream(func(w io.Writer) error {
		t := tar.NewWriter(w)
		err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "big", Mode: 0o644, Size: size})
		block := bytes.Repeat([]byte{1}, 1<<20)
		for n := 0; err == nil && n < size; n += len(block) {
			_, err = t.Write(block)
			if n%(50<<20) == 0 {
				most = max(most, heap())
			}
		}
		return errors.Join(err, t.Close())
	})
	defer content.Close()
	m.ok(m.Containers.CopyTo(bg, id, "/tmp", content, container.CopyToContainerOptions{}))
	r, _, err := m.Containers.CopyFrom(bg, id, "/tmp/big")
	m.ok(err)
	defer r.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, make([]byte, 1<<20))
	m.ok(err)
	most = max(most, heap())
	if n < size || most > before+32<<20 {
		t.Errorf("%d bytes came back; the heap grew from %d to %d bytes", n, before, most)
	}
}

func heap() uint64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// After a view nothing is left: no mount, no process, no descriptor.
func TestViewsLeaveNothing(t *testing.T) {
	m := newMachine(t)
	o := shell("true")
	o.HostConfig.Binds = []string{"left:/tmp/dir"}
	id := m.create(o)
	m.fetch(id, "/etc/passwd")
	mounts, open := mountLines(t), descriptors(t)
	for range 3 {
		m.fetch(id, "/etc/passwd")
		m.ok(m.put(id, "/tmp/dir", "x", "x", container.CopyToContainerOptions{}))
		if _, err := m.Containers.StatPath(bg, id, "/none"); err == nil {
			t.Error("no error for a file that does not exist")
		}
		r, err := m.Containers.Export(bg, id)
		m.ok(err)
		m.list(r)
		m.ok(r.Close())
	}
	if now := mountLines(t); !slices.Equal(now, mounts) {
		t.Errorf("mounts before\n%s\nafter\n%s", strings.Join(mounts, "\n"), strings.Join(now, "\n"))
	}
	if now := descriptors(t); now > open {
		t.Errorf("%d descriptors before, %d after", open, now)
	}
	if err := unix.Access(m.Containers.root.Container(id).Mount(), unix.F_OK); err != nil {
		t.Error(err)
	}
}

func mountLines(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(data), "\n")
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
