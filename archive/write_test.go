package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// members is an archive as lines: type, mode, owner, name, what it leads to, contents and extended attributes.
func members(t *testing.T, archive []byte) []string {
	t.Helper()
	var out []string
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		do(t, err)
		line := fmt.Sprintf("%c %04o %d:%d %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Name)
		if h.Linkname != "" {
			line += " -> " + h.Linkname
		}
		if h.Devmajor != 0 || h.Devminor != 0 {
			line += fmt.Sprintf(" %d:%d", h.Devmajor, h.Devminor)
		}
		data, err := io.ReadAll(r)
		do(t, err)
		if len(data) > 0 {
			line += fmt.Sprintf(" %q", data)
		}
		for _, key := range slices.Sorted(func(yield func(string) bool) {
			for k := range h.PAXRecords {
				if strings.HasPrefix(k, attributeRecord) && !yield(k) {
					return
				}
			}
		}) {
			line += fmt.Sprintf(" %s=%q", strings.TrimPrefix(key, attributeRecord), h.PAXRecords[key])
		}
		out = append(out, line)
	}
}

func expect(t *testing.T, archive []byte, want ...string) {
	t.Helper()
	if got := members(t, archive); !slices.Equal(got, want) {
		t.Errorf("the archive holds\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func put(t *testing.T, path, text string, mode uint32) {
	t.Helper()
	do(t, os.WriteFile(path, []byte(text), 0o600))
	do(t, unix.Chmod(path, mode))
}

func TestWriteKeepsEverything(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	do(t, os.Chmod(dir, 0o750))
	put(t, dir+"/b", "two", 0o4755)
	do(t, os.Link(dir+"/b", dir+"/c"))
	put(t, dir+"/a", "", 0o600)
	do(t, os.Chown(dir+"/a", 100001, 100002))
	do(t, os.Symlink("/etc/passwd", dir+"/l"))
	do(t, os.Mkdir(dir+"/d", 0o1777))
	do(t, os.Chmod(dir+"/d", 0o777|os.ModeSticky))
	do(t, unix.Mknod(dir+"/d/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	do(t, unix.Mknod(dir+"/d/pipe", unix.S_IFIFO|0o644, 0))
	do(t, unix.Mknod(dir+"/d/socket", unix.S_IFSOCK|0o644, 0))
	do(t, os.Chmod(dir+"/d/null", 0o666))
	long := strings.Repeat("x", 120)
	put(t, dir+"/d/"+long, "long", 0o644)

	var plain, rooted, one bytes.Buffer
	do(t, Write(&plain, open(t, dir), Options{}))
	want := []string{
		"0 0600 100001:100002 a", `0 4755 0:0 b "two"`, "1 4755 0:0 c -> b", "5 1777 0:0 d/", "3 0666 0:0 d/null 1:3", "6 0644 0:0 d/pipe",
		"0 0644 0:0 d/" + long + ` "long"`, "2 0777 0:0 l -> /etc/passwd",
	}
	expect(t, plain.Bytes(), want...)

	owners := Owners{{ContainerID: 0, HostID: 100000, Size: 65536}}
	do(t, Write(&rooted, open(t, dir+"/d"), Options{Root: "new", Owners: owners}))
	expect(t, rooted.Bytes(), "5 1777 65534:65534 new/", "3 0666 65534:65534 new/null 1:3", "6 0644 65534:65534 new/pipe",
		"0 0644 65534:65534 new/"+long+` "long"`)

	do(t, Write(&one, open(t, dir+"/a"), Options{Root: "other", Owners: owners}))
	expect(t, one.Bytes(), "0 0600 1:2 other")
}

func TestWriteAtTheRoot(t *testing.T) {
	dir := t.TempDir()
	do(t, os.Chmod(dir, 0o755))
	put(t, dir+"/a", "", 0o644)
	who := fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
	for name, want := range map[string][]string{"/": {"5 0755 " + who + " /", "0 0644 " + who + " /a"}, ".": {"5 0755 " + who + " ./", "0 0644 " + who + " ./a"}} {
		var b bytes.Buffer
		do(t, Write(&b, open(t, dir), Options{Root: name}))
		expect(t, b.Bytes(), want...)
	}
}

func TestLayerMarksDeletions(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	do(t, os.Mkdir(dir+"/opaque", 0o755))
	do(t, unix.Setxattr(dir+"/opaque", "trusted.overlay.opaque", []byte("y"), 0))
	put(t, dir+"/opaque/new", "n", 0o644)
	do(t, os.Mkdir(dir+"/merged", 0o755))
	do(t, unix.Setxattr(dir+"/merged", "trusted.overlay.origin", []byte("whatever"), 0))
	do(t, unix.Mknod(dir+"/merged/old", unix.S_IFCHR, 0))
	put(t, dir+"/user", "", 0o644)
	do(t, unix.Setxattr(dir+"/user", "security.capability", capability(3), 0))
	var b bytes.Buffer
	do(t, Layer(&b, dir, Options{}))
	expect(t, b.Bytes(), "5 0755 0:0 merged/", "0 0600 0:0 merged/.wh.old", "5 0755 0:0 opaque/", "0 0755 0:0 opaque/.wh..wh..opq",
		`0 0644 0:0 opaque/new "n"`, fmt.Sprintf("0 0644 0:0 user security.capability=%q", capability(2)))

	do(t, unix.Setxattr(dir+"/merged", "trusted.overlay.redirect", []byte("elsewhere"), 0))
	if err := Layer(io.Discard, dir, Options{}); err == nil || !strings.Contains(err.Error(), "redirect_dir=off") {
		t.Errorf("a renamed directory: %v, want an error that names redirect_dir", err)
	}
}

// capability is CAP_NET_BIND_SERVICE as version 2 or 3 of the attribute, bound to the root user 100000.
func capability(version byte) []byte {
	c := append([]byte{1, 0, 0, version, 0, 4}, make([]byte, 14)...)
	if version == 3 {
		c = append(c, 0xa0, 0x86, 1, 0)
	}
	return c
}

func TestFilesThatShrinkAreFilledUp(t *testing.T) {
	dir := t.TempDir()
	put(t, dir+"/a", "four", 0o644)
	fd, err := unix.Open(dir+"/a", unix.O_RDONLY, 0)
	do(t, err)
	defer unix.Close(fd)
	var b bytes.Buffer
	p := newWriter(&b, Options{})
	do(t, p.tar.WriteHeader(&tar.Header{Name: "a", Size: 6, Typeflag: tar.TypeReg}))
	do(t, p.content(fd, "a", 6))
	do(t, p.tar.Close())
	if got := members(t, b.Bytes()); !strings.HasSuffix(got[0], `"four\x00\x00"`) {
		t.Errorf("got %s", got)
	}
}

// TestSwapsLeadNowhere: while a directory is written, somebody puts a link to elsewhere in its place, again and again.
func TestSwapsLeadNowhere(t *testing.T) {
	dir := t.TempDir()
	inside, outside := dir+"/inside", dir+"/outside"
	do(t, os.MkdirAll(inside+"/d", 0o755))
	do(t, os.Mkdir(outside, 0o755))
	put(t, inside+"/d/file", "mine", 0o644)
	put(t, outside+"/file", "SECRET", 0o644)
	do(t, os.Symlink(outside, inside+"/evil"))
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, inside+"/d", unix.AT_FDCWD, inside+"/evil", unix.RENAME_EXCHANGE)
			}
		}
	}()
	links, dirs := 0, 0
	for range 3000 {
		var b bytes.Buffer
		do(t, Write(&b, open(t, inside), Options{}))
		if bytes.Contains(b.Bytes(), []byte("SECRET")) {
			t.Fatal("what lies outside was written")
		}
		for _, m := range members(t, b.Bytes()) {
			if strings.Contains(m, " d -> ") {
				links++
			}
			if strings.Contains(m, " d/file ") {
				dirs++
			}
		}
	}
	close(stop)
	<-done
	if links == 0 || dirs == 0 {
		t.Skipf("never saw both the link (%d times) and the directory (%d times): one processor only?", links, dirs)
	}
}
