package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"glassbox/test/need"
	"glassbox/test/registry"

	"golang.org/x/sys/unix"
)

// unpacked unpacks an archive into a new directory, beside which lies a file that nothing may touch.
func unpacked(t testing.TB, files ...registry.File) (string, error) {
	t.Helper()
	need.Root(t)
	return unpackBytes(t, registry.Tar(t, files...))
}

func unpackBytes(t testing.TB, archive []byte) (string, error) {
	t.Helper()
	outside := t.TempDir()
	if err := os.WriteFile(outside+"/secret", []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := outside + "/layer"
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, err = Unpack(context.Background(), bytes.NewReader(archive), root)
	entries, _ := os.ReadDir(outside)
	if len(entries) != 2 {
		t.Errorf("beside the layer lies %v", entries)
	}
	if got, _ := os.ReadFile(outside + "/secret"); string(got) != "secret" {
		t.Errorf("the file outside now holds %q", got)
	}
	if info, err := os.Lstat(outside + "/secret"); err != nil || info.Mode() != 0o600 || info.Sys().(*syscall.Stat_t).Nlink != 1 {
		t.Errorf("the file outside was changed: %v %v", info, err)
	}
	return dir, err
}

func file(name, body string) registry.File {
	return registry.File{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, Body: body}
}

func entry(kind byte, name, link string) registry.File {
	return registry.File{Header: tar.Header{Typeflag: kind, Name: name, Linkname: link}}
}

func stat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatalf("lstat %s: %v", path, err)
	}
	return st
}

func TestUnpackKinds(t *testing.T) {
	when := time.Date(2001, 2, 3, 4, 5, 6, 789, time.UTC)
	long := strings.Repeat("long/", 60) + strings.Repeat("n", 200)
	dir, err := unpacked(t,
		registry.File{Header: tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o1777, ModTime: when, Format: tar.FormatPAX}},
		registry.File{Header: tar.Header{Typeflag: tar.TypeReg, Name: "d/f", Mode: 0o4711, Uid: 12, Gid: 34, ModTime: when, Format: tar.FormatPAX,
			PAXRecords: map[string]string{
				"SCHILY.xattr.user.x":                   "value",
				"SCHILY.xattr.security.capability":      "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
				"SCHILY.xattr.trusted.overlay.redirect": "/etc",
			}}, Body: "content"},
		entry(tar.TypeLink, "hard", "d/f"),
		entry(tar.TypeSymlink, "soft", "/etc/passwd"),
		entry(tar.TypeFifo, "fifo", ""),
		registry.File{Header: tar.Header{Typeflag: tar.TypeChar, Name: "null", Mode: 0o666, Devmajor: 1, Devminor: 3}},
		registry.File{Header: tar.Header{Typeflag: tar.TypeBlock, Name: "disk", Mode: 0o600, Devmajor: 7, Devminor: 0}},
		file(long, "deep"),
		file("sparse", strings.Repeat("\x00", 3<<20)+"end"),
		file("empty", ""),
	)
	if err != nil {
		t.Fatal(err)
	}
	f := stat(t, dir+"/d/f")
	if f.Mode&0o7777 != 0o4711 || f.Uid != 12 || f.Gid != 34 || f.Mtim.Sec != when.Unix() || f.Mtim.Nsec != 789 || f.Nlink != 2 {
		t.Errorf("d/f is %+v", f)
	}
	if d := stat(t, dir+"/d"); d.Mode&0o7777 != 0o1777 || d.Mtim.Sec != when.Unix() {
		t.Errorf("d is %+v", d)
	}
	if h := stat(t, dir+"/hard"); h.Ino != f.Ino {
		t.Error("the hard link is another file")
	}
	if to, _ := os.Readlink(dir + "/soft"); to != "/etc/passwd" {
		t.Errorf("soft leads to %q", to)
	}
	if n := stat(t, dir+"/null"); n.Mode != unix.S_IFCHR|0o666 || n.Rdev != unix.Mkdev(1, 3) {
		t.Errorf("null is %+v", n)
	}
	if n := stat(t, dir+"/disk"); n.Mode != unix.S_IFBLK|0o600 || n.Rdev != unix.Mkdev(7, 0) {
		t.Errorf("disk is %+v", n)
	}
	if stat(t, dir+"/fifo").Mode&unix.S_IFMT != unix.S_IFIFO {
		t.Error("fifo is none")
	}
	if got, _ := os.ReadFile(dir + "/" + long); string(got) != "deep" {
		t.Errorf("the long name holds %q", got)
	}
	if s := stat(t, dir+"/sparse"); s.Size != 3<<20+3 || s.Blocks*512 > 1<<20 {
		t.Errorf("sparse has %d bytes in %d blocks", s.Size, s.Blocks)
	}
	checkXattrs(t, dir+"/d/f", map[string]int{"user.x": 5, "security.capability": 20, "trusted.overlay.redirect": -1})
}

func checkXattrs(t *testing.T, path string, want map[string]int) {
	t.Helper()
	for name, size := range want {
		n, err := unix.Lgetxattr(path, name, make([]byte, 100))
		if err != nil {
			n = -1
		}
		if n != size {
			t.Errorf("%s: %s has %d bytes (%v), want %d", path, name, n, err, size)
		}
	}
}

func TestUnpackWhiteouts(t *testing.T) {
	dir, err := unpacked(t,
		file("gone/.wh.x", ""),
		file("opaque/.wh..wh..opq", ""),
		file(".wh..wh.plnk/1", ""), // below AUFS's own directory: an ordinary, odd name
		file(".wh..wh.aufs", ""),
		entry(tar.TypeDir, "before/", ""), file(".wh.before", ""),
		file(".wh.after", ""), entry(tar.TypeDir, "after/", ""),
		file("kept", "kept"), file(".wh.kept", ""),
		file(".wh.replaced", ""), file("replaced", "new"),
	)
	if err != nil {
		t.Fatal(err)
	}
	if st := stat(t, dir+"/gone/x"); st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0 {
		t.Errorf("the deletion became %+v", st)
	}
	for _, d := range []string{"opaque", "before", "after"} {
		checkXattrs(t, dir+"/"+d, map[string]int{"trusted.overlay.opaque": 1})
	}
	for name, want := range map[string]string{"kept": "kept", "replaced": "new"} {
		if got, _ := os.ReadFile(dir + "/" + name); string(got) != want {
			t.Errorf("%s holds %q", name, got)
		}
	}
	for _, name := range []string{".wh..wh.aufs", "opaque/.wh..wh..opq", "gone/.wh.x"} {
		if _, err := os.Lstat(dir + "/" + name); err == nil {
			t.Errorf("%s was unpacked as a file", name)
		}
	}
}

// TestUnpackHostile tries to get out of the layer. unpacked checks that nothing outside is made or changed.
func TestUnpackHostile(t *testing.T) {
	many := strings.Repeat("../", 40)
	for name, c := range map[string]struct {
		files []registry.File
		err   string // empty: unpacked, but inside
		in    string // a file that must exist inside, if not empty
	}{
		"dots":            {[]registry.File{file("../secret", "x")}, "leads out of the layer", ""},
		"inner dots":      {[]registry.File{file("a/../../secret", "x")}, "leads out of the layer", ""},
		"just dots":       {[]registry.File{entry(tar.TypeDir, "..", "")}, "leads out of the layer", ""},
		"absolute":        {[]registry.File{file("/etc/x", "x")}, "", "etc/x"},
		"link, then in":   {[]registry.File{entry(tar.TypeSymlink, "l", many), file("l/secret", "x")}, "", "secret"},
		"absolute link":   {[]registry.File{entry(tar.TypeDir, "t", ""), entry(tar.TypeSymlink, "l", "/t"), file("l/x", "x")}, "", "t/x"},
		"chain of links":  {[]registry.File{entry(tar.TypeSymlink, "a", ".."), entry(tar.TypeSymlink, "b", "a/.."), file("b/secret", "x")}, "", "secret"},
		"link to nowhere": {[]registry.File{entry(tar.TypeSymlink, "l", "/none"), file("l/x", "x")}, "not a directory", ""},
		"loop":            {[]registry.File{entry(tar.TypeSymlink, "l", "l"), file("l/x", "x")}, "too many levels", ""},
		"write via link":  {[]registry.File{entry(tar.TypeSymlink, "l", "../secret"), file("/l", "x")}, "", "l"},
		"chmod via link":  {[]registry.File{entry(tar.TypeSymlink, "l", many+"../secret"), entry(tar.TypeDir, "/l/", "")}, "", "l"},
		"hard link out":   {[]registry.File{entry(tar.TypeLink, "h", "../secret")}, "leads out of the layer", ""},
		"hard link abs":   {[]registry.File{entry(tar.TypeLink, "h", "/secret")}, "no such file", ""},
		"hard via link":   {[]registry.File{entry(tar.TypeSymlink, "l", many), entry(tar.TypeLink, "h", "l/secret")}, "no such file", ""},
		"hard to link":    {[]registry.File{entry(tar.TypeSymlink, "l", "../secret"), entry(tar.TypeLink, "h", "l"), file("/h", "x")}, "", "h"},
		"hard to itself":  {[]registry.File{entry(tar.TypeLink, "h", "h")}, "no such file", ""},
		"root replaced":   {[]registry.File{entry(tar.TypeSymlink, "./", "/etc")}, "root is not a directory", ""},
		"deletes dots":    {[]registry.File{file(".wh...", "")}, "names nothing to delete", ""},
		"deletes itself":  {[]registry.File{file("a/.wh..", "")}, "names nothing to delete", ""},
		"opaque via link": {[]registry.File{entry(tar.TypeSymlink, "l", many), file("l/.wh..wh..opq", "")}, "", ""},
		"file as parent":  {[]registry.File{file("f", "x"), file("f/g", "x")}, "not a directory", ""},
		"dir replaced":    {[]registry.File{file("d/x", "x"), entry(tar.TypeSymlink, "d", many), file("d/secret", "x")}, "", "secret"},
		"sub replaced":    {[]registry.File{file("d/e/x", "x"), entry(tar.TypeSymlink, "d", ".."), file("d/e/y", "x")}, "", "e/y"},
		"twice":           {[]registry.File{entry(tar.TypeDir, "etc/", ""), entry(tar.TypeDir, "./etc", "")}, "duplicates of file paths not supported", ""},
		"a file twice":    {[]registry.File{file("f", "x"), file("g", "x"), file("f", "y")}, "duplicates of file paths not supported", ""},
		"long part":       {[]registry.File{file(strings.Repeat("n", 300), "x")}, "file name too long", ""},
		"magic link":      {[]registry.File{entry(tar.TypeSymlink, "p", "/proc/self/cwd"), file("p/x", "x")}, "not a directory", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := unpacked(t, c.files...)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Fatalf("error is %v, want %q", err, c.err)
			}
			if c.in != "" {
				if _, err := os.Lstat(filepath.Join(dir, c.in)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestUnpackGigantic(t *testing.T) {
	need.Root(t)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "huge", Mode: 0o644, Size: 1 << 50}); err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("little"))
	_, err := unpackBytes(t, b.Bytes())
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "claims") {
		t.Errorf("error is %v", err)
	}
	var cut bytes.Buffer
	w = tar.NewWriter(&cut)
	if err := w.WriteHeader(&tar.Header{Name: "cut", Mode: 0o644, Size: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("little"))
	if _, err := unpackBytes(t, cut.Bytes()); err == nil || !strings.Contains(err.Error(), "unexpected EOF") {
		t.Errorf("error is %v", err)
	}
}

// TestOverlay mounts what was unpacked: overlayfs itself is the judge of the on-disk form.
func TestOverlay(t *testing.T) {
	need.Root(t)
	low := registry.Tar(t, file("d/old", "old"), file("e/old", "old"), file("x", "x"))
	high := registry.Tar(t, file(".wh.x", ""), file("d/.wh..wh..opq", ""), file("d/new", "new"), file(".wh.e", ""), entry(tar.TypeDir, "e/", ""))
	if os.Getenv("GLASSBOX_OWN_MOUNTS") == "" {
		isolated(t)
		return
	}
	lower, err := unpackBytes(t, low)
	if err != nil {
		t.Fatal(err)
	}
	upper, err := unpackBytes(t, high)
	if err != nil {
		t.Fatal(err)
	}
	at := t.TempDir()
	if err := unix.Mount("overlay", at, "overlay", unix.MS_RDONLY, "lowerdir="+upper+":"+lower); err != nil {
		t.Skipf("overlay cannot be mounted here: %v", err)
	}
	defer unix.Unmount(at, unix.MNT_DETACH)
	for path, want := range map[string]bool{"/x": false, "/d/old": false, "/d/new": true, "/e": true, "/e/old": false} {
		if _, err := os.Lstat(at + path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// FuzzUnpack feeds anything; unpackBytes watches that nothing outside the layer is touched.
func FuzzUnpack(f *testing.F) {
	need.Root(f)
	f.Add(registry.Tar(f, file("a/b", "c"), entry(tar.TypeSymlink, "l", "../.."), file("l/secret", "x"), entry(tar.TypeLink, "h", "a/b")))
	f.Add(registry.Tar(f, file(".wh.a", ""), entry(tar.TypeDir, "a/", ""), file("a/.wh..wh..opq", "")))
	f.Add(registry.Tar(f, entry(tar.TypeFifo, "p", ""), registry.File{Header: tar.Header{Typeflag: tar.TypeChar, Name: "c", Devmajor: 1, Devminor: 3}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		unpackBytes(t, raw)
	})
}

// Docker counts contents of files and what links say, not directories and further names of a file.
func TestUnpackedSize(t *testing.T) {
	need.Root(t)
	root, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	archive := registry.Tar(t, entry(tar.TypeDir, "d/", ""), file("d/f", "12345"), entry(tar.TypeSymlink, "l", "d/f"), entry(tar.TypeLink, "h", "d/f"))
	size, err := Unpack(context.Background(), bytes.NewReader(archive), root)
	if size != 8 || err != nil {
		t.Errorf("%d bytes, want 8: %v", size, err)
	}
}

// isolated runs the test again in a mount namespace of its own.
func isolated(t *testing.T) {
	t.Helper()
	c := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), "GLASSBOX_OWN_MOUNTS=yes")
	// Unshareflags makes all mounts private in the new namespace, before the program starts.
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if i := strings.Index(string(out), "--- SKIP"); i >= 0 {
		t.Skip(string(out[i:]))
	}
}
