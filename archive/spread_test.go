package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glassbox/test/need"
	"glassbox/test/registry"

	"golang.org/x/sys/unix"
)

// spread unpacks an archive into at, a directory of the returned one in which nothing else may change.
func spread(t testing.TB, raw []byte, s Spread) (root string, err error) {
	t.Helper()
	root = t.TempDir()
	do(t, os.Mkdir(root+"/at", 0o755), os.WriteFile(root+"/secret", []byte("secret"), 0o600), os.Symlink("../secret", root+"/at/way-out"))
	at, err := os.Open(root + "/at")
	do(t, err)
	defer at.Close()
	s.Root = at
	err = s.Extract(context.Background(), bytes.NewReader(raw))
	names, _ := os.ReadDir(root)
	if secret, _ := os.ReadFile(root + "/secret"); len(names) != 2 || string(secret) != "secret" {
		t.Errorf("something was touched outside: %v, %q", names, secret)
	}
	return root + "/at", err
}

// TestSpread: names that climb come out inside, marks of deletions are files, what stands in the way goes.
func TestSpread(t *testing.T) {
	need.Root(t)
	raw := registry.Tar(t, file("../../a", "1"), file("/b", "2"), file("d/.wh.c", "3"), file(".wh..wh..opq", "4"), entry(tar.TypeSymlink, "l", "/../../secret"), file("l", "5"),
		file("d", "6"), entry(tar.TypeDir, "d", ""), file("way-out", "7"), entry(tar.TypeSymlink, "m", ".."), file("m/e", "8"), entry(tar.TypeLink, "h", "../../b"))
	root, err := spread(t, raw, Spread{})
	do(t, err)
	got := map[string]string{}
	do(t, filepath.WalkDir(root, func(file string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			content, _ := os.ReadFile(file)
			got[strings.TrimPrefix(file, root+"/")] = string(content)
		}
		return err
	}))
	for name, want := range map[string]string{"a": "1", "b": "2", ".wh..wh..opq": "4", "l": "5", "way-out": "7", "e": "8", "h": "2"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q (all: %v)", name, got[name], want, got)
		}
	}
	if _, there := got["d/.wh.c"]; there || len(got) != 7 {
		t.Errorf("too much is there: %v", got)
	}
}

// TestSpreadRefuses: sizes that cannot be true fail before anything is written.
func TestSpreadRefuses(t *testing.T) {
	need.Root(t)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	do(t, w.WriteHeader(&tar.Header{Name: "huge", Typeflag: tar.TypeReg, Size: 1 << 60, Mode: 0o644}))
	if root, err := spread(t, b.Bytes(), Spread{}); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v in %s", err, root)
	}
	if _, err := spread(t, []byte(strings.Repeat("no archive", 200)), Spread{}); err == nil {
		t.Error("what is no archive was taken for one")
	}
}

// TestSpreadClamps times and owners.
func TestSpreadClamps(t *testing.T) {
	need.Root(t)
	latest := time.Unix(1_000_000, 0)
	root, err := spread(t, registry.Tar(t, registry.File{Header: tar.Header{Name: "f", Typeflag: tar.TypeReg, Uid: 3, ModTime: time.Unix(2_000_000, 0)}}), Spread{Latest: latest, Owner: &Owner{5, 6}})
	do(t, err)
	if st := stat(t, root+"/f"); st.Mtim.Sec != latest.Unix() || st.Uid != 5 || st.Gid != 6 {
		t.Errorf("of %d, %d:%d", st.Mtim.Sec, st.Uid, st.Gid)
	}
}

// FuzzSpread feeds anything; spread watches that nothing outside is touched.
func FuzzSpread(f *testing.F) {
	need.Root(f)
	f.Add(registry.Tar(f, file("a/b", "c"), entry(tar.TypeSymlink, "l", "/../.."), file("l/secret", "x"), entry(tar.TypeLink, "h", "a/b")))
	f.Add(registry.Tar(f, entry(tar.TypeFifo, "p", ""), registry.File{Header: tar.Header{Typeflag: tar.TypeChar, Name: "c", Devmajor: 1, Devminor: 3}}, entry(tar.TypeLink, "h", "way-out"), file("h", "x")))
	f.Add(registry.Tar(f, file("../x", "y"), entry(tar.TypeDir, "..", ""), file("way-out/x", "y"), file(".wh.secret", "")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		spread(t, raw, Spread{}) //nolint:errcheck // what it cannot read it refuses
	})
}
