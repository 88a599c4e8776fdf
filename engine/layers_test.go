package engine

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glassbox/rootfs"
	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// laid lays directories one over the other, lowest first; the last one is a container's if writable says so.
func laid(t *testing.T, writable bool, wanted int, dirs ...string) *Layers {
	t.Helper()
	out := &Layers{}
	for i, dir := range dirs {
		out.Layers = append(out.Layers, &Layer{Name: fmt.Sprint(i + 1), Dir: dir, Writable: writable && i == len(dirs)-1})
	}
	out.stack = &stack{layers: out.Layers, wanted: wanted, out: out}
	if err := out.stack.lay(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLayers(t *testing.T) {
	need.Root(t)
	one := layer(t, "etc/", "etc/passwd=12345", "etc/group=123", "old/", "old/a=1234567", "old/sub/", "old/sub/b=12", "gone/", "gone/x=1", "gone/y=22", "keep=1")
	if err := os.Link(one+"/keep", one+"/again"); err != nil {
		t.Fatal(err)
	}
	two := layer(t, "etc/", "etc/passwd=12", "o:old/", "old/a=9", "-gone", "-keep", "-nothing")
	three := layer(t, "gone/", "gone/z=1", "-again", "etc=file", "new->etc")
	out := laid(t, false, 1, one, two, three)
	for i, want := range []Layer{
		{Added: 12, Size: 5 + 3 + 7 + 2 + 1 + 2 + 1, Wasted: 5 + 3 + 7 + 2 + 1 + 2 + 1},
		{Changed: 3, Hides: 2 + 3 + 1, Size: 2 + 1, Wasted: 2, Whiteouts: 3, Opaque: 1}, // passwd, old, a; old/sub with b, gone with x and y, keep
		{Added: 3, Changed: 1, Hides: 1 + 2, Size: 1 + 4, Whiteouts: 1},                 // gone, z, new; etc with passwd and group; again
	} {
		got := *out.Layers[i]
		got.Name, got.Dir = "", ""
		if got != want {
			t.Errorf("layer %d: %+v\nwant %+v", i+1, got, want)
		}
	}
	var said []string
	for _, c := range out.Changes {
		said = append(said, fmt.Sprintf("%s %s %d names %d bytes of %v", c.Kind, c.Path, c.Names, c.Bytes, c.Of))
	}
	slices.Sort(said)
	want := []string{"C /etc/passwd 1 names 5 bytes of [0]", "C /old 0 names 0 bytes of []", "C /old/a 1 names 7 bytes of [0]", "D /gone 3 names 3 bytes of [0]",
		"D /keep 1 names 0 bytes of [0]", "D /nothing 0 names 0 bytes of []", "D /old/sub 2 names 2 bytes of [0]"}
	if !slices.Equal(said, want) {
		t.Errorf("changes:\n%s\nwant:\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
}

func TestLayersFiles(t *testing.T) {
	need.Root(t)
	one := layer(t, "etc/", "etc/passwd=12345", "usr/bin/", "usr/bin/sh=1", "dir/", "dir/low=1", "bin->usr/bin", "loop->loop/x")
	two := layer(t, "etc/", "etc/passwd=12", "-etc/none", "o:dir/", "dir/high=1")
	three := layer(t, "etc/", "-etc/passwd", "-usr")
	out := laid(t, false, -1, one, two, three)
	for name, want := range map[string]string{
		"/etc/passwd": "2 whiteout /etc/passwd|1 file /etc/passwd|0 file /etc/passwd",
		"etc":         "2 directory /etc shown|1 directory /etc shown|0 directory /etc shown|1 whiteout /etc/none|2 whiteout /etc/passwd [1 0]",
		"/usr/bin/sh": "2 whiteout /usr|0 file /usr/bin/sh",
		"/bin/sh":     "2 whiteout /usr|0 file /usr/bin/sh",
		"/bin":        "0 link /bin shown",
		"/dir":        "1 opaque directory /dir shown|0 directory /dir|1 file /dir/high shown|1 hidden by its directory /dir/low [0]",
		"/dir/low":    "1 hidden by its directory /dir/low|0 file /dir/low",
		"/../dir/./x": "", "/loop/y": "",
	} {
		files, err := out.stack.files(name, false)
		var said []string
		for _, f := range files {
			s := fmt.Sprintf("%d %s %s", f.Layer, f.Kind, f.Path)
			if f.Shown {
				s += " shown"
			}
			if len(f.Others) > 0 {
				s += fmt.Sprint(" ", f.Others)
			}
			said = append(said, s)
		}
		if got := strings.Join(said, "|"); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s (%v), want %s", name, got, err, want)
		}
	}
}

// The kernel is the judge: layers are made by working in overlays, and what one sees in the last one is what we say, from the layers we say.
func TestLayersAsOverlayfs(t *testing.T) {
	need.Root(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	at := dir + "/at"
	lower := []string{dir + "/base"}
	for _, d := range []string{at, dir + "/base"} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 6 {
		upper, work := fmt.Sprintf("%s/upper%d", dir, n), fmt.Sprintf("%s/work%d", dir, n)
		for _, d := range []string{upper, work} {
			if err := os.Mkdir(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		tree, err := (&rootfs.Layers{Lower: lower, Upper: upper, Work: work, Mount: at}).OpenForWriting(at)
		if err != nil {
			t.Fatal(err)
		}
		scramble(r, fmt.Sprintf("/proc/self/fd/%d", tree.Fd()), n)
		if err := tree.Close(); err != nil {
			t.Fatal(err)
		}
		lower = append([]string{upper}, lower...)
	}
	tree, err := (&rootfs.Layers{Lower: lower}).Open(at)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	dirs := slices.Clone(lower)
	slices.Reverse(dirs)
	out := laid(t, false, -1, dirs...)
	said := map[string]string{}
	out.stack.root.visit("", func(name string, n *inode) {
		said[name] = fmt.Sprintf("%v %s", n.mode, content(out.stack.host(n, name)))
	})
	is := map[string]string{}
	root := fmt.Sprintf("/proc/self/fd/%d", tree.Fd())
	err = filepath.WalkDir(root+"/.", func(file string, e fs.DirEntry, err error) error {
		if err != nil || file == root+"/." {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(file, &st); err != nil {
			return err
		}
		is[strings.TrimPrefix(file, root)] = fmt.Sprintf("%v %s", st.Mode, content(file))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(is) < 10 || !maps.Equal(said, is) {
		t.Errorf("the kernel shows %d names:\n%v\nwe say:\n%v", len(is), is, said)
	}
	var size, wasted, seen int64
	for _, l := range out.Layers {
		size, wasted = size+l.Size, wasted+l.Wasted
	}
	out.stack.root.visit("", func(_ string, n *inode) { seen += n.size })
	if size-wasted != seen {
		t.Errorf("%d bytes, %d of them wasted, %d seen", size, wasted, seen)
	}
}

// visit calls f for all that is seen below n.
func (n *inode) visit(at string, f func(string, *inode)) {
	for name, c := range n.names {
		if c.seen() != nil {
			f(at+"/"+name, c)
			c.visit(at+"/"+name, f)
		}
	}
}

// content is a file's, or where a link leads.
func content(file string) string {
	if target, err := os.Readlink(file); err == nil {
		return target
	}
	b, _ := os.ReadFile(file)
	return string(b)
}

// scramble makes, changes and removes files at random; much of it fails, as names are not there or are something else.
func scramble(r *rand.Rand, root string, round int) {
	name := func() string {
		parts := []string{root}
		for range 1 + r.IntN(3) {
			parts = append(parts, string(rune('a'+r.IntN(6))))
		}
		return strings.Join(parts, "/")
	}
	for i := range 200 {
		switch r.IntN(13) {
		case 0, 1, 8, 9:
			_ = os.Mkdir(name(), 0o755)
		case 2, 3, 10, 11, 12:
			_ = os.WriteFile(name(), fmt.Appendf(nil, "%d.%d", round, i), 0o644)
		case 4:
			_ = os.RemoveAll(name() + "/" + string(rune('a'+r.IntN(6))))
			_ = os.Remove(name())
		case 5:
			_ = os.Chmod(name(), fs.FileMode(0o700+r.IntN(64)))
		case 6:
			_ = os.Rename(name(), name())
		case 7:
			_ = os.Symlink("a/b", name())
		}
	}
}

// A file that a container changes was copied up first; one that it puts in the place of another was not.
func TestLayersCopyUp(t *testing.T) {
	need.Root(t)
	lower := layer(t, "changed=12345678", "replaced=12345678", "chowned=123", "same=1")
	dir := t.TempDir()
	for _, d := range []string{"/at", "/upper", "/work"} {
		if err := os.Mkdir(dir+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := (&rootfs.Layers{Lower: []string{lower}, Upper: dir + "/upper", Work: dir + "/work"}).OpenForWriting(dir + "/at")
	if err != nil {
		t.Fatal(err)
	}
	root := fmt.Sprintf("/proc/self/fd/%d", tree.Fd())
	f, err := os.OpenFile(root+"/changed", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, err := range []error{os.Chown(root+"/chowned", 1, 1), os.WriteFile(root+"/other", []byte("1"), 0o644), os.Rename(root+"/other", root+"/replaced"), tree.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	out := laid(t, true, -1, lower, dir+"/upper")
	if top := out.Layers[1]; top.CopiedUp != 2 || top.Copied != 8+3 || top.Changed != 3 {
		t.Errorf("%+v", *top)
	}
}

// A container that exchanges directories for links to the host meanwhile shows nothing of the host.
func TestLayersHostile(t *testing.T) {
	need.Root(t)
	upper := layer(t, "dir/", "dir/own=1")
	outside := layer(t, "secret=12345678")
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Rename(upper+"/dir", upper+"/away")
			_ = os.Symlink(outside, upper+"/dir")
			_ = os.Remove(upper + "/dir")
			_ = os.Rename(upper+"/away", upper+"/dir")
		}
	}()
	for range 60 {
		out := laid(t, true, 0, upper)
		for _, c := range out.Changes {
			if strings.Contains(c.Path, "secret") {
				t.Fatalf("%+v", c)
			}
		}
	}
	close(stop)
	<-ended
}
