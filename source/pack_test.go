package source

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// pack makes an archive of what is in a directory, compressed as its name says.
func pack(t testing.TB, file, dir string) {
	t.Helper()
	out, err := exec.Command("tar", "-C", dir, "--auto-compress", "-cf", file, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
}

// TestArchivesAreUnpacked by ADD, however they are compressed, and by nobody else.
func TestArchivesAreUnpacked(t *testing.T) {
	content := files(t, "f=f 4750 3:4", "sub/l->../f", "sub/ 700", "w/.wh.x=1")
	unpacked := []string{"x/ 755 now", "x/f=f 4750 3:4", "x/old=1 644", "x/sub/ 700", "x/sub/l->../f", "x/w/ 755 now", "x/w/.wh.x=1 644"}
	for _, name := range []string{"t.tar", "t.tar.gz", "t.tar.bz2", "t.tar.xz", "t.tar.zst", "t.odd"} {
		t.Run(name, func(t *testing.T) {
			from, image := t.TempDir(), files(t, "x/old=1", "x/f/dir/", "x/sub->old")
			pack(t, filepath.Join(from, name), content)
			do(t, carry(t, Order{From: tree(t, from), Add: true, Paths: []string{name}, Dest: "/x"}, image))
			same(t, listing(t, image), unpacked)
			no := false
			for _, o := range []Order{{Paths: []string{name}}, {Add: true, Unpack: &no, Paths: []string{name}}} {
				o.From, o.Dest = tree(t, from), "/"
				do(t, carry(t, o, image))
				if !exists(filepath.Join(image, name)) {
					t.Errorf("%+v has unpacked it", o)
				}
			}
		})
	}
}

// TestArchivesThatAreNone are files.
func TestArchivesThatAreNone(t *testing.T) {
	from, image := files(t, "t.tar=text", "t.tar.gz=\x1f\x8b\x08nothing", "empty.tar="), t.TempDir()
	do(t, carry(t, Order{From: tree(t, from), Add: true, Paths: []string{"t.tar", "t.tar.gz", "empty.tar"}, Dest: "/"}, image))
	same(t, listing(t, image), []string{"empty.tar= 644", "t.tar=text 644", "t.tar.gz=\x1f\x8b\x08nothing 644"})
}

// TestArchivesThatEscape come out inside.
func TestArchivesThatEscape(t *testing.T) {
	from, image := t.TempDir(), t.TempDir()
	do(t, os.Mkdir(from+"/d", 0o755), os.WriteFile(from+"/d/f", []byte("f"), 0o644))
	out, err := exec.Command("tar", "-P", "-C", from+"/d", "--transform", "s,^f$,../../../../f,", "-cf", from+"/t.tar", "f").CombinedOutput()
	if err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	do(t, carry(t, Order{From: tree(t, from), Add: true, Paths: []string{"t.tar"}, Dest: "/a/b/"}, image))
	same(t, listing(t, image), []string{"a/ 755 now", "a/b/ 755 now", "a/b/f=f 644 now"})
}

// TestArchiveForSomebody: --chown holds for what was unpacked too.
func TestArchiveForSomebody(t *testing.T) {
	from, image := t.TempDir(), t.TempDir()
	pack(t, from+"/t.tar", files(t, "f=f 4750 3:4"))
	do(t, carry(t, Order{From: tree(t, from), Add: true, Paths: []string{"t.tar"}, Dest: "/x/", Chown: "8:9"}, image))
	same(t, listing(t, image), []string{"x/ 755 8:9 now", "x/f=f 4750 8:9"})
}

// TestArchiveCutOff is an error, and not half a tree that is taken for all.
func TestArchiveCutOff(t *testing.T) {
	from, image := t.TempDir(), t.TempDir()
	pack(t, from+"/t.tar", files(t, "f="+string(make([]byte, 20_000))))
	do(t, os.Truncate(from+"/t.tar", 4096))
	if err := carry(t, Order{From: tree(t, from), Add: true, Paths: []string{"t.tar"}, Dest: "/x/"}, image); err == nil || err.Error() != "failed to copy files: unexpected EOF" {
		t.Errorf("got %v", err)
	}
}
