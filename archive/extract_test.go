package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/test/need"
	"glassbox/test/registry"

	"golang.org/x/sys/unix"
)

// extracted extracts an archive into a directory /at of a tree, beside which lies a secret.
func extracted(t testing.TB, archive []byte, change func(*Target)) (root string, err error) {
	t.Helper()
	need.Root(t)
	outside := t.TempDir()
	root = outside + "/root"
	do(t, os.WriteFile(outside+"/secret", []byte("secret"), 0o600), os.MkdirAll(root+"/at/dir", 0o755), os.WriteFile(root+"/at/file", []byte("old"), 0o644),
		os.Mkdir(root+"/other", 0o755), os.Symlink("/other", root+"/at/absolute"), os.Symlink("../../../../other", root+"/at/relative"),
		os.Symlink("../../secret", root+"/at/secret"))
	held, err := os.Open(root)
	do(t, err)
	defer held.Close()
	to := Target{Root: held, Dir: "/at", Shown: "/at"}
	if change != nil {
		change(&to)
	}
	err = Extract(context.Background(), bytes.NewReader(archive), to)
	entries, _ := os.ReadDir(outside)
	if len(entries) != 2 {
		t.Errorf("beside the tree lies %v", entries)
	}
	if got, _ := os.ReadFile(outside + "/secret"); string(got) != "secret" {
		t.Errorf("the file outside now holds %q", got)
	}
	var st unix.Stat_t
	if err := unix.Lstat(outside+"/secret", &st); err != nil || st.Mode != unix.S_IFREG|0o600 || st.Nlink != 1 || st.Uid != 0 {
		t.Errorf("the file outside was changed: %+v %v", st, err)
	}
	return root, err
}

func TestExtract(t *testing.T) {
	when := time.Date(2011, 2, 3, 4, 5, 6, 789, time.UTC)
	archive := registry.Tar(t,
		registry.File{Header: tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o700}}, // the directory itself stays as it is
		registry.File{Header: tar.Header{Typeflag: tar.TypeReg, Name: "file", Mode: 0o4755, Uid: 1, Gid: 2, ModTime: when, Format: tar.FormatPAX,
			PAXRecords: map[string]string{"SCHILY.xattr.security.capability": string(capability(2)), "SCHILY.xattr.trusted.overlay.opaque": "y"}}, Body: "new"},
		registry.File{Header: tar.Header{Typeflag: tar.TypeDir, Name: "dir/", Mode: 0o1777, ModTime: when}},
		file("dir/inner", "i"), file("implied/deep/f", "f"), entry(tar.TypeLink, "hard", "file"), entry(tar.TypeSymlink, "soft", "/anywhere"),
		entry(tar.TypeFifo, "pipe", ""), registry.File{Header: tar.Header{Typeflag: tar.TypeChar, Name: "null", Mode: 0o666, Devmajor: 1, Devminor: 3}},
		file("absolute/x", "through the link"), file("relative/y", "through the link"),
	)
	owners := Owners{{ContainerID: 0, HostID: 100000, Size: 65536}}
	root, err := extracted(t, archive, func(to *Target) {
		to.Owners = owners
		old := unix.Umask(0o077)
		t.Cleanup(func() { unix.Umask(old) })
	})
	do(t, err)
	for name, want := range map[string]string{
		"at": "755 0:0", "at/file": "4755 100001:100002", "at/hard": "4755 100001:100002", "at/dir": "1777 100000:100000", "at/dir/inner": "644 100000:100000",
		"at/implied": "755 100000:100000", "at/implied/deep/f": "644 100000:100000", "at/null": "666 100000:100000", "at/soft": "777 100000:100000",
		"other/x": "644 100000:100000", "other/y": "644 100000:100000",
	} {
		var st unix.Stat_t
		if err := unix.Lstat(root+"/"+name, &st); err != nil {
			t.Error(name, err)
		} else if got := fmt.Sprintf("%o %d:%d", st.Mode&0o7777, st.Uid, st.Gid); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	checkXattrs(t, root+"/at/file", map[string]int{"security.capability": 20, "trusted.overlay.opaque": -1})
	if text, _ := os.ReadFile(root + "/at/hard"); string(text) != "new" {
		t.Errorf("hard holds %q", text)
	}
	if st := stat(t, root+"/at/file"); st.Mtim.Sec != when.Unix() || st.Mtim.Nsec != 789 {
		t.Errorf("time of file: %v", st.Mtim)
	}
	if st := stat(t, root+"/at/dir"); st.Mtim.Sec != when.Unix() {
		t.Errorf("time of dir: %v", st.Mtim)
	}
}

func TestExtractForOneOwner(t *testing.T) {
	root, err := extracted(t, registry.Tar(t, file("a", "x")), func(to *Target) { to.Owner = &Owner{7, 8} })
	do(t, err)
	if st := stat(t, root+"/at/a"); st.Uid != 7 || st.Gid != 8 {
		t.Errorf("owner %d:%d", st.Uid, st.Gid)
	}
}

func TestExtractRenames(t *testing.T) {
	archive := registry.Tar(t, entry(tar.TypeDir, "src/", ""), file("src/src", "x"), entry(tar.TypeLink, "src/hard", "src/src"))
	root, err := extracted(t, archive, func(to *Target) { to.Rename = Rename{"src", "new"} })
	do(t, err)
	if st := stat(t, root+"/at/new/src"); st.Nlink != 2 {
		t.Errorf("%d links", st.Nlink)
	}
}

// TestExtractRefuses: Docker's words, and nothing outside is ever made or changed.
func TestExtractRefuses(t *testing.T) {
	many := strings.Repeat("../", 40)
	for name, c := range map[string]struct {
		files []registry.File
		host  bool
		err   string // empty: extracted, but inside
		in    string // where it must be then
	}{
		"dots":               {[]registry.File{file("../secret", "x")}, false, `"../secret" is outside of "/at"`, ""},
		"inner dots":         {[]registry.File{file("a/../../secret", "x")}, false, `"../secret" is outside of "/at"`, ""},
		"absolute":           {[]registry.File{file("/abs/x", "x")}, false, "", "at/abs/x"},
		"hard link out":      {[]registry.File{entry(tar.TypeLink, "h", "../secret")}, false, `invalid hardlink "/secret" -> "../secret"`, ""},
		"hard link absolute": {[]registry.File{entry(tar.TypeLink, "h", "/secret")}, false, "", "at/h"}, // to the link /at/secret itself
		"symlink out":        {[]registry.File{entry(tar.TypeSymlink, "l", "../secret")}, false, `invalid symlink "/at/l" -> "../secret"`, ""},
		"symlink in depth":   {[]registry.File{entry(tar.TypeSymlink, "dir/l", "../file")}, false, "", "at/dir/l"},
		"through a link":     {[]registry.File{entry(tar.TypeSymlink, "l", "/"+many), file("l/secret", "x")}, false, "invalid symlink", ""},
		"through two":        {[]registry.File{entry(tar.TypeSymlink, "a", "/other"), entry(tar.TypeSymlink, "b", "a/.."), file("b/../secret", "x"), file("b/a/x", "x")}, false, "", "a/x"},
		"over a link":        {[]registry.File{file("secret", "x")}, false, "", "at/secret"},
		"dir on file":        {[]registry.File{entry(tar.TypeDir, "file", "")}, false, `cannot overwrite non-directory "/at/file" with directory "/at"`, ""},
		"file on dir":        {[]registry.File{file("dir", "x")}, false, `cannot overwrite directory "/at/dir" with non-directory "/at"`, ""},
		"dir on link to dir": {[]registry.File{entry(tar.TypeDir, "absolute", "")}, false, `cannot overwrite non-directory "/at/absolute" with directory "/at"`, ""},
		"file as parent":     {[]registry.File{file("file/x", "x")}, false, "not a directory", ""},
		"host: link out":     {[]registry.File{file("relative/x", "x")}, true, `leads out of "/at"`, ""},
		"host: absolute":     {[]registry.File{file("absolute/x", "x")}, true, `leads out of "/at"`, ""},
		"host: own link":     {[]registry.File{entry(tar.TypeSymlink, "l", "/etc"), file("l/glassbox-was-here", "x")}, true, `leads out of "/at"`, ""},
		"loop":               {[]registry.File{entry(tar.TypeSymlink, "l", "l"), file("l/x", "x")}, false, "too many levels", ""},
		"long part":          {[]registry.File{file(strings.Repeat("n", 300), "x")}, false, "file name too long", ""},
		"unknown kind":       {[]registry.File{entry('Z', "x", "")}, false, "unhandled tar header type 90", ""},
	} {
		t.Run(name, func(t *testing.T) {
			root, err := extracted(t, registry.Tar(t, c.files...), func(to *Target) {
				if c.host {
					to.Host, to.Dir = true, ""
					at, err := os.Open(to.Root.Name() + "/at")
					do(t, err)
					t.Cleanup(func() { at.Close() })
					to.Root = at
				}
			})
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Fatalf("error is %v, want %q", err, c.err)
			}
			if c.in != "" {
				if _, err := os.Lstat(filepath.Join(root, c.in)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if _, err := os.Lstat("/etc/glassbox-was-here"); err == nil {
		t.Error("a link in an archive led to the host's /etc")
	}
}

func TestExtractUnmappedOwner(t *testing.T) {
	archive := registry.Tar(t, registry.File{Header: tar.Header{Typeflag: tar.TypeReg, Name: "a", Uid: 70000}})
	_, err := extracted(t, archive, func(to *Target) { to.Owners = Owners{{ContainerID: 0, HostID: 100000, Size: 65536}} })
	if err == nil || err.Error() != "Container ID 70000 cannot be mapped to a host ID" {
		t.Error(err)
	}
}

// A mount in a running container is not ours to remove, though the kernel would let us from our mount namespace.
func TestMountsAreLeftAlone(t *testing.T) {
	need.Root(t)
	if os.Getenv("GLASSBOX_OWN_MOUNTS") == "" {
		isolated(t)
		return
	}
	dir := t.TempDir()
	do(t, os.WriteFile(dir+"/mounted", nil, 0o644), os.WriteFile(dir+"/source", []byte("kept"), 0o644), unix.Mount(dir+"/source", dir+"/mounted", "", unix.MS_BIND, ""))
	defer unix.Unmount(dir+"/mounted", unix.MNT_DETACH)
	p := place{base: "mounted", shown: "/etc/mounted"}
	parent := open(t, dir)
	p.parent = int(parent.Fd())
	if err := p.remove(); err == nil || err.Error() != "unlinkat /etc/mounted: device or resource busy" {
		t.Error(err)
	}
	if text, _ := os.ReadFile(dir + "/mounted"); string(text) != "kept" {
		t.Errorf("it holds %q", text)
	}
}

// TestSwapsDoNotLeadExtractionOut: somebody exchanges directories for links while archives are extracted.
func TestSwapsDoNotLeadExtractionOut(t *testing.T) {
	need.Root(t)
	outside := t.TempDir()
	root := outside + "/root"
	do(t, os.MkdirAll(root+"/at/d", 0o755), os.Symlink("../../../../.."+outside, root+"/at/evil"), os.Symlink(outside, root+"/at/evil2"))
	var many []registry.File
	for i := range 40 {
		many = append(many, registry.File{Header: tar.Header{Typeflag: tar.TypeDir, Name: "d", Mode: 0o777, Uid: 5}}, file(fmt.Sprintf("d/f%d", i), "x"))
	}
	archive := registry.Tar(t, many...)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, root+"/at/d", unix.AT_FDCWD, root+"/at/"+[]string{"evil", "evil2"}[i%2], unix.RENAME_EXCHANGE)
			}
		}
	}()
	held := open(t, root)
	good := 0
	for range 200 {
		if Extract(context.Background(), bytes.NewReader(archive), Target{Root: held, Dir: "/at", Shown: "/at"}) == nil {
			good++
		}
	}
	close(stop)
	<-done
	entries, err := os.ReadDir(outside)
	do(t, err)
	if len(entries) != 1 {
		t.Errorf("outside lies %v", entries)
	}
	if st := stat(t, outside); st.Uid != 0 || st.Mode&0o7777 == 0o777 {
		t.Errorf("the directory outside was changed: %o %d", st.Mode, st.Uid)
	}
	t.Logf("%d of 200 extractions went through", good)
}

// What Write writes Extract makes again.
func TestThereAndBack(t *testing.T) {
	need.Root(t)
	from, to := sample(t), t.TempDir()
	var b bytes.Buffer
	do(t, Write(&b, open(t, from), Options{Root: "."}))
	do(t, Extract(context.Background(), &b, Target{Root: open(t, to), Shown: "/"}))
	var want []string
	for line := range strings.Lines(listing(t, from)) {
		// Sockets have no form in an archive, trusted.* no meaning elsewhere, times are whole seconds; the root was there already.
		if name, _, _ := strings.Cut(line, " "); name != "sock" && name != "." {
			line = strings.NewReplacer(" trusted.note=74", "", " trusted.note=6c", "").Replace(line)
			want = append(want, line[:strings.Index(line, "mtime=")]+after(line))
		}
	}
	var got []string
	for line := range strings.Lines(listing(t, to)) {
		if !strings.HasPrefix(line, ". ") {
			got = append(got, line[:strings.Index(line, "mtime=")]+after(line))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, ""), strings.Join(want, ""))
	}
	if st := stat(t, to+"/holes"); st.Blocks*512 > 6<<20 {
		t.Errorf("the holes were filled: %d blocks", st.Blocks)
	}
}

// after is what follows the time in a line of a listing, seconds included.
func after(line string) string {
	_, rest, _ := strings.Cut(line, "mtime=")
	i := strings.IndexByte(rest, '.')
	j := strings.IndexFunc(rest[i+1:], func(r rune) bool { return r < '0' || r > '9' })
	return rest[:i] + rest[i+1+j:]
}

// FuzzExtract feeds anything; extracted watches that nothing outside is touched.
func FuzzExtract(f *testing.F) {
	need.Root(f)
	f.Add(registry.Tar(f, file("a/b", "c"), entry(tar.TypeSymlink, "l", "/../.."), file("l/secret", "x"), entry(tar.TypeLink, "h", "a/b")), false)
	f.Add(registry.Tar(f, entry(tar.TypeFifo, "p", ""), registry.File{Header: tar.Header{Typeflag: tar.TypeChar, Name: "c", Devmajor: 1, Devminor: 3}}), true)
	f.Add(registry.Tar(f, entry(tar.TypeLink, "h", "secret"), file("h", "x"), entry(tar.TypeDir, "absolute/..", "")), true)
	f.Fuzz(func(t *testing.T, raw []byte, host bool) {
		extracted(t, raw, func(to *Target) { //nolint:errcheck // what it cannot read it refuses
			if host {
				at, err := os.Open(to.Root.Name() + "/at")
				do(t, err)
				t.Cleanup(func() { at.Close() })
				to.Host, to.Dir, to.Root = true, "", at
			}
		})
	})
}

func TestStreamEnds(t *testing.T) {
	released := false
	s := Stream(func(w io.Writer) error {
		defer func() { released = true }()
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return err
			}
		}
	})
	do(t, s.Close())
	if !released {
		t.Error("the writer still holds what it had")
	}
}
