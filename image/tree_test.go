package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/archive"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

var bg = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// written is an upper directory as an overlay leaves it: everything that a layer may hold, and what it may not.
func written(t *testing.T, s *Store) string {
	t.Helper()
	needRoot(t)
	must(t, s.prepare())
	dir := filepath.Join(filepath.Dir(s.dir), "work", randomName(), "upper")
	must(t, os.MkdirAll(dir+"/deep/er", 0o755))
	must(t, os.WriteFile(dir+"/deep/f", []byte("content"), 0o640))
	must(t, os.Link(dir+"/deep/f", dir+"/second"))
	must(t, os.Chown(dir+"/second", 1000, 10))
	must(t, os.Chmod(dir+"/second", 0o751|fs.ModeSetuid))
	must(t, os.Symlink("deep/f", dir+"/link"))
	must(t, unix.Mkfifo(dir+"/pipe", 0o600))
	must(t, unix.Mknod(dir+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	must(t, unix.Mknod(dir+"/deleted", unix.S_IFCHR, 0))
	must(t, unix.Mknod(dir+"/deep/socket", unix.S_IFSOCK|0o600, 0))
	must(t, os.Mkdir(dir+"/opaque", 0o700))
	must(t, unix.Setxattr(dir+"/opaque", "trusted.overlay.opaque", []byte("y"), 0))
	must(t, unix.Setxattr(dir+"/opaque", "trusted.overlay.origin", []byte("kernel's own"), 0))
	must(t, unix.Setxattr(dir+"/deep/f", "user.kept", []byte("value"), 0))
	must(t, unix.Setxattr(dir+"/deep/f", "trusted.lost", []byte("value"), 0))
	sparse, err := os.Create(dir + "/sparse")
	must(t, err)
	must(t, sparse.Truncate(3<<20))
	must(t, sparse.Close())
	old := time.Date(2020, 2, 3, 4, 5, 6, 789, time.UTC)
	must(t, os.Chtimes(dir+"/deep/f", old, old))
	must(t, os.Chtimes(dir+"/deep/er", old, old))
	must(t, os.Chmod(dir, 0o711))
	return dir
}

// layout tells all that is in a directory, times and attributes included.
func layout(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		st := stat(t, path)
		if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 {
			st.Mtim = unix.Timespec{} // a mark of a deletion has no time
		}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			st.Nlink = 0 // overlayfs does not count for directories of several layers
		}
		line := fmt.Sprintf("%s %o %d:%d %d %x %d.%09d", path[len(dir):], st.Mode, st.Uid, st.Gid, st.Nlink, st.Rdev, st.Mtim.Sec, st.Mtim.Nsec)
		if st.Mode&unix.S_IFMT == unix.S_IFREG {
			body, err := os.ReadFile(path)
			must(t, err)
			sum := sha256.Sum256(body)
			line += " " + hex.EncodeToString(sum[:4])
		}
		names := make([]byte, 4096)
		n, err := unix.Llistxattr(path, names)
		must(t, err)
		for _, name := range strings.Split(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
			if name != "" && name != "trusted.overlay.origin" {
				line += " " + name
			}
		}
		all = append(all, line)
		return nil
	}))
	return all
}

// TestAddTree: the directory becomes what everybody else gets who unpacks the layer.
func TestAddTree(t *testing.T) {
	s := newStore(t)
	base := imports(t, s, "base", "1")
	upper := written(t, s)
	was := stat(t, upper).Ino
	img, err := s.AddTree(bg, upper, Draft{Base: base, Sparse: true})
	must(t, err)
	layers, err := s.Layers(img)
	must(t, err)
	dir := layers.Lower[0]
	if st := stat(t, dir); st.Ino != was || st.Mode != unix.S_IFDIR|0o755 {
		t.Errorf("the layer is inode %d, mode %o: not the directory that was handed over, %d", st.Ino, st.Mode, was)
	}
	if _, err := os.Lstat(upper); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the upper directory is still there: %v", err)
	}
	top := img.layers[1]
	if top.MediaType != ocispec.MediaTypeImageLayer || top.Digest != img.Config.RootFS.DiffIDs[1] {
		t.Errorf("the blob is %+v", top)
	}
	blob, err := os.ReadFile(s.blob(top.Digest))
	must(t, err)
	if digest.FromBytes(blob) != top.Digest || top.Size != int64(len(blob)) {
		t.Errorf("the blob of %d bytes is not what %+v says", len(blob), top)
	}
	other, err := os.Open(t.TempDir())
	must(t, err)
	defer other.Close()
	size, err := archive.Unpack(bg, bytes.NewReader(blob), other)
	must(t, err)
	here, there := layout(t, dir), layout(t, other.Name())
	if !slices.Equal(here, there) {
		t.Errorf("the layer is\n%s\nunpacked it is\n%s", strings.Join(here, "\n"), strings.Join(there, "\n"))
	}
	if img.Size != base.Size+size || size != 7+6+3<<20 {
		t.Errorf("the image has %d bytes, the layer unpacks to %d", img.Size, size)
	}
	found, err := s.Resolve(img.ID.String())
	if err != nil || found.Parent != base.ID || found.Size != img.Size || len(found.layers) != 2 {
		t.Errorf("found %+v, %v; made %+v", found, err, img)
	}
	if l, err := s.layer(img.ChainIDs()[1]); err != nil || l.Plain != top.Size || l.Diff != top.Digest {
		t.Errorf("the layer's record is %+v, %v", l, err)
	}
}

// TestAddTreeAgain: the same files at other times, on another inode, with an epoch, are the same image.
func TestAddTreeAgain(t *testing.T) {
	epoch := time.Unix(1600000000, 0)
	var ids []digest.Digest
	for range 2 {
		s := newStore(t)
		d := Draft{Epoch: epoch}
		d.Document.Created = &epoch
		img, err := s.AddTree(bg, written(t, s), d)
		must(t, err)
		layers, err := s.Layers(img)
		must(t, err)
		for name, want := range map[string]int64{"sparse": epoch.Unix(), "deep": epoch.Unix(), "opaque": epoch.Unix(), "deep/f": 1580702706} {
			if got := stat(t, layers.Lower[0]+"/"+name).Mtim; got.Sec != want || got.Nsec != 0 {
				t.Errorf("%s has the time %d.%d, want %d", name, got.Sec, got.Nsec, want)
			}
		}
		ids = append(ids, img.ID)
		time.Sleep(1100 * time.Millisecond)
	}
	if ids[0] != ids[1] {
		t.Errorf("two images of the same: %v", ids)
	}
}

func TestAddTreeOfNothing(t *testing.T) {
	s := newStore(t)
	base := imports(t, s, "base", "1")
	for sparse, layers := range map[bool]int{true: 1, false: 2} {
		upper := filepath.Join(t.TempDir(), "upper")
		must(t, os.Mkdir(upper, 0o755))
		d := Draft{Base: base, Sparse: sparse}
		d.Document.History = []ocispec.History{{}, {CreatedBy: "x"}}
		img, err := s.AddTree(bg, upper, d)
		must(t, err)
		if len(img.Config.RootFS.DiffIDs) != layers || img.Config.History[1].EmptyLayer != sparse {
			t.Errorf("sparse %v: %+v", sparse, img.Config)
		}
		if _, err := os.Lstat(upper); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("sparse %v: the upper directory: %v", sparse, err)
		}
	}
}

func TestAddTreeCancelled(t *testing.T) {
	s := newStore(t)
	ctx, cancel := context.WithCancel(bg)
	cancel()
	upper := written(t, s)
	if _, err := s.AddTree(ctx, upper, Draft{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	checkEmpty(t, s)
}

func TestAddConfig(t *testing.T) {
	s := newStore(t)
	base := imports(t, s, "base", "1")
	d := Draft{Base: base}
	d.Document.Config.Cmd = []string{"a"}
	d.Document.History = []ocispec.History{{CreatedBy: "one"}, {CreatedBy: "two"}}
	img, err := s.AddConfig(bg, d)
	must(t, err)
	if !slices.Equal(img.ChainIDs(), base.ChainIDs()) || img.Size != base.Size || img.Parent != base.ID || !img.Config.History[1].EmptyLayer {
		t.Errorf("made %+v", img)
	}
	nothing, err := s.AddConfig(bg, Draft{})
	must(t, err)
	for _, d := range []digest.Digest{nothing.ID, nothing.Manifest.Digest} {
		raw, err := os.ReadFile(s.blob(d))
		must(t, err)
		if bytes.Contains(raw, []byte("null")) {
			t.Errorf("what has no layers says so by null: %s", raw)
		}
	}
	ids, err := s.IDs()
	if err != nil || len(ids) != 3 || !ids[img.ID] || !ids[base.ID] || !ids[nothing.ID] {
		t.Errorf("there are %v, %v", ids, err)
	}
}

func TestHold(t *testing.T) {
	s := newStore(t)
	base := imports(t, s, "base", "1")
	hold, err := s.Hold(bg)
	must(t, err)
	must(t, hold.Add(bg, base.ID))
	d := Draft{Base: base, Hold: hold}
	d.Document.Author = "me"
	step, err := s.AddConfig(bg, d)
	must(t, err)
	var missing *NotFound
	if err := hold.Add(bg, digest.FromString("nothing")); !errors.As(err, &missing) {
		t.Errorf("what is not there is held: %v", err)
	}
	var conflict *Conflict
	if _, _, err := s.Remove(step.ID.String(), true, nil); !errors.As(err, &conflict) || !strings.HasSuffix(err.Error(), "(cannot be forced) - image is being used by a build that is going on") {
		t.Errorf("removing a step of a build: %v", err)
	}
	if untagged, deleted, err := s.Remove("base", false, nil); err != nil || len(untagged) != 1 || len(deleted) != 0 {
		t.Errorf("removing the name of a build's base: %v, %v, %v", untagged, deleted, err)
	}
	must(t, hold.Release())
	if _, deleted, err := s.Remove(step.ID.String(), false, nil); err != nil || len(deleted) != 3 {
		t.Errorf("after the build: %v, %v", deleted, err)
	}
	checkEmpty(t, s)
}
