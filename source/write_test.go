package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// copies are what comes of a COPY or ADD: what Docker's classic builder makes of the same, and BuildKit where only that knows a flag. test/build and
// test/docker ask them anew.
var copies = []struct {
	name  string
	order Order
	image []string // before
	want  []string // after
	fails string
}{
	{name: "a directory's content", order: Order{Paths: []string{"d"}, Dest: "/x"},
		want: []string{"x/ 755 now", "x/f=f 644", "x/sub/ 2775", "x/sub/deep/ 755", "x/sub/deep/h=h 600", "x/sub/up->../f"}},
	{name: "into one that is there", order: Order{Paths: []string{"d/"}, Dest: "/x/"}, image: []string{"x/ 700 9:9", "x/sub/ 700 9:9", "x/old= 600 9:9"},
		want: []string{"x/ 700 9:9 now", "x/f=f 644", "x/old= 600 9:9", "x/sub/ 2775", "x/sub/deep/ 755", "x/sub/deep/h=h 600", "x/sub/up->../f"}},
	{name: "a file", order: Order{Paths: []string{"a"}, Dest: "/p/q"}, want: []string{"p/ 755 now", "p/q=a 600"}},
	{name: "a file into a directory", order: Order{Paths: []string{"a"}, Dest: "/p/q/"}, want: []string{"p/ 755 now", "p/q/ 755 now", "p/q/a=a 600"}},
	{name: "relative", order: Order{Paths: []string{"a"}, Dest: "n", Workdir: "/w"}, want: []string{"w/ 755 now", "w/n=a 600"}},
	{name: "a dot", order: Order{Paths: []string{"a", "s"}, Dest: ".", Workdir: "/w"}, want: []string{"w/ 755 now", "w/a=a 600", "w/s=s 4755"}},
	{name: "set-id bits stay", order: Order{Paths: []string{"s"}, Dest: "/s", Chown: "7"}, want: []string{"s=s 4755 7:7"}},
	{name: "a link is followed", order: Order{Paths: []string{"la"}, Dest: "/x/"}, want: []string{"x/ 755 now", "x/la=a 600"}},
	{name: "a link out", order: Order{Paths: []string{"out"}, Dest: "/x"}, fails: "COPY failed: file not found in build context or excluded by .dockerignore: stat out: file does not exist"},
	{name: "up", order: Order{Paths: []string{"../a"}, Dest: "/x"}, fails: "COPY failed: forbidden path outside the build context: ../a ()"},
	{name: "a circle", order: Order{Paths: []string{"circle"}, Dest: "/x"}, fails: "COPY failed: forbidden path outside the build context: circle ()"},
	{name: "missing", order: Order{Paths: []string{"/nosuch"}, Dest: "/x"}, fails: "COPY failed: file not found in build context or excluded by .dockerignore: stat nosuch: file does not exist"},
	{name: "several", order: Order{Paths: []string{"a", "s"}, Dest: "/x"}, fails: "When using COPY with more than one source file, the destination must be a directory and end with a /"},
	{name: "wildcards", order: Order{Paths: []string{"[as]", "d/s?b"}, Dest: "/x/"},
		want: []string{"x/ 755 now", "x/a=a 600", "x/deep/ 755", "x/deep/h=h 600", "x/s=s 4755", "x/up->../f"}},
	{name: "wildcards behind a link", order: Order{Paths: []string{"ld/*"}, Dest: "/x/"}, want: []string{"x/ 755 now", "x/deep/ 755", "x/deep/h=h 600", "x/f=f 644", "x/up->../f"}},
	{name: "no match", order: Order{Paths: []string{"*.zip"}, Dest: "/x/"}, fails: "COPY failed: no source files were specified"},
	{name: "nothing to copy from", order: Order{Paths: []string{"http://h/x"}, Dest: "/x/"}, fails: "COPY failed: source can't be a URL for COPY"},
	{name: "owners", order: Order{Paths: []string{"d"}, Dest: "/p/x", Chown: "5:6"},
		want: []string{"p/ 755 now", "p/x/ 755 5:6 now", "p/x/f=f 644 5:6", "p/x/sub/ 2775 5:6", "p/x/sub/deep/ 755 5:6", "p/x/sub/deep/h=h 600 5:6", "p/x/sub/up->../f 5:6"}},
	{name: "an owner by name", order: Order{Paths: []string{"a"}, Dest: "/p/", Chown: "app:grp"}, image: []string{"etc/passwd=app:x:10:11::/:\n", "etc/group=grp:x:20:\n"},
		want: []string{"etc/ 755 now", "etc/group=grp:x:20:\n 644", "etc/passwd=app:x:10:11::/:\n 644", "p/ 755 10:20 now", "p/a=a 600 10:20"}},
	{name: "nobody's name", order: Order{Paths: []string{"a"}, Dest: "/p/", Chown: "no"}, image: []string{"etc/passwd="},
		fails: "unable to convert uid/gid chown string to host mapping: can't find uid for user no: no such user: no"},
	{name: "a link to passwd leads nowhere else", order: Order{Paths: []string{"a"}, Dest: "/p/", Chown: "root"}, image: []string{"etc/passwd->../../../../../../etc/passwd"},
		fails: "unable to convert uid/gid chown string to host mapping: can't find uid for user root: stat etc/passwd: too many levels of symbolic links"},
	{name: "modes", order: Order{Paths: []string{"d"}, Dest: "/n/x", Chmod: "751"},
		want: []string{"n/ 751 now", "n/x/ 751 now", "n/x/f=f 751", "n/x/sub/ 751", "n/x/sub/deep/ 751", "n/x/sub/deep/h=h 751", "n/x/sub/up->../f"}},
	{name: "modes by letters", order: Order{Paths: []string{"d"}, Dest: "/x", Chmod: "g-s,o=,u+X"},
		want: []string{"x/ 755 now", "x/f=f 640", "x/sub/ 770", "x/sub/deep/ 750", "x/sub/deep/h=h 600", "x/sub/up->../f"}},
	{name: "no mode", order: Order{Paths: []string{"a"}, Dest: "/x", Chmod: "99999"}, fails: "invalid chmod parameter: '99999'. it should be octal string and between 0 and 07777"},
	{name: "a file in place of a directory", order: Order{Paths: []string{"a"}, Dest: "/x/"}, image: []string{"x/a/b/c=1"}, want: []string{"x/ 755 now", "x/a=a 600"}},
	{name: "a directory in place of a file", order: Order{Paths: []string{"d"}, Dest: "/x"}, image: []string{"x/sub=1"},
		want: []string{"x/ 755 now", "x/f=f 644", "x/sub/ 2775", "x/sub/deep/ 755", "x/sub/deep/h=h 600", "x/sub/up->../f"}},
	{name: "a directory onto a file", order: Order{Paths: []string{"d"}, Dest: "/x"}, image: []string{"x=1"}, fails: "failed to copy files: failed to copy directory: mkdir /x: not a directory"},
	{name: "through a link in the image", order: Order{Paths: []string{"a"}, Dest: "/l/n"}, image: []string{"l->/real", "real/"}, want: []string{"l->/real", "real/ 755 now", "real/n=a 600"}},
	{name: "a link in the image leads nowhere else", order: Order{Paths: []string{"a"}, Dest: "/l/n"}, image: []string{"l->../../../../../../../../tmp/of/D"},
		want: []string{"l->../../../../../../../../tmp/of/D", "tmp/ 755 now", "tmp/of/ 755 now", "tmp/of/D/ 755 now", "tmp/of/D/n=a 600"}},
	{name: "a link in the image is written through", order: Order{Paths: []string{"a"}, Dest: "/l"}, image: []string{"l->f", "f=old"}, want: []string{"f=a 600", "l->f"}},
	{name: "a link in a directory is replaced", order: Order{Paths: []string{"a"}, Dest: "/"}, image: []string{"a->f", "f=old"}, want: []string{"a=a 600", "f=old 644"}},
	{name: "a here-document", order: Order{Inline: []File{{"doc", []byte("hi\n")}}, Dest: "/x/", Chown: "3"}, want: []string{"x/ 755 3:3 now", "x/doc=hi\n 644 3:3 now"}},
	{name: "a here-document elsewhere", order: Order{Inline: []File{{"../../doc", []byte("hi\n")}}, Dest: "/x/"}, want: []string{"x/ 755 now", "x/doc=hi\n 644 now"}},
	{name: "without some", order: Order{Paths: []string{"d"}, Dest: "/x", Exclude: []string{"sub/deep", "f"}}, want: []string{"x/ 755 now", "x/sub/ 2775", "x/sub/up->../f"}},
	{name: "without some of a wildcard", order: Order{Paths: []string{"?"}, Dest: "/x/", Exclude: []string{"d", "s"}}, want: []string{"x/ 755 now", "x/a=a 600"}},
	{name: "with parents", order: Order{Paths: []string{"./d/sub/deep/h", "a"}, Dest: "/x", Parents: true},
		want: []string{"x/ 755 now", "x/a=a 600", "x/d/ 755", "x/d/sub/ 2775", "x/d/sub/deep/ 755", "x/d/sub/deep/h=h 600"}},
	{name: "with parents from a pivot", order: Order{Paths: []string{"./d/./sub/*/h"}, Dest: "/x", Parents: true}, want: []string{"x/ 755 now", "x/sub/ 2775", "x/sub/deep/ 755", "x/sub/deep/h=h 600"}},
	{name: "with parents at any depth", order: Order{Paths: []string{"**/f"}, Dest: "/x", Parents: true}, want: []string{"x/ 755 now", "x/d/ 755", "x/d/f=f 644"}},
	{name: "with parents of nothing", order: Order{Paths: []string{"d/nosuch"}, Dest: "/x", Parents: true}, fails: "COPY failed: file not found in build context or excluded by .dockerignore: stat d/nosuch: file does not exist"},
	{name: "a file as an archive", order: Order{Add: true, Paths: []string{"a"}, Dest: "/x"}, want: []string{"x=a 600"}},
	{name: "a checksum of a file", order: Order{Add: true, Paths: []string{"a"}, Dest: "/x", Checksum: "sha256:00"}, fails: "checksum requires HTTP(S) or Git sources"},
}

func sample(t *testing.T) string {
	return files(t, "d/sub/deep/h=h 600 3:4", "d/sub/deep/", "d/sub/up->../f", "d/sub/ 2775", "d/f=f 644 5:5", "d/", "a=a 600", "s=s 4755", "la->a", "ld->/d/sub/..",
		"out->../../../../../../../../etc/hostname", "circle->circle", "empty/")
}

func TestCopies(t *testing.T) {
	from := sample(t)
	for _, c := range copies {
		t.Run(c.name, func(t *testing.T) {
			image := files(t, c.image...)
			c.order.From = tree(t, from)
			err := carry(t, c.order, image)
			if c.fails != "" {
				if err == nil || err.Error() != c.fails {
					t.Fatalf("got  %v\nwant %s", err, c.fails)
				}
				return
			}
			do(t, err)
			same(t, listing(t, image), c.want)
		})
	}
}

// TestOwnersStay: files of an image or a stage keep theirs, and capabilities and what stands in user.*; of a context's
// there is nothing in Docker's images either.
func TestOwnersStay(t *testing.T) {
	from, image := files(t, "d/f=f 4755 3:4", "d/l->f 5:6", "d/ 700 7:8"), t.TempDir()
	capability := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	do(t, unix.Setxattr(from+"/d/f", "security.capability", []byte(capability), 0), unix.Setxattr(from+"/d/f", "user.note", []byte("n"), 0))
	stage := tree(t, from)
	stage.Owners = true
	do(t, carry(t, Order{From: stage, Paths: []string{"d"}, Dest: "/stage/"}, image), carry(t, Order{From: tree(t, from), Paths: []string{"d"}, Dest: "/context/"}, image))
	same(t, listing(t, image), []string{"context/ 755 now", "context/f=f 4755", "context/l->f", "stage/ 755 now", "stage/f=f 4755 3:4", "stage/l->f 5:6"})
	b := make([]byte, 64)
	for file, noted := range map[string]bool{"context/f": false, "stage/f": true} {
		if n, err := unix.Getxattr(image+"/"+file, "security.capability", b); (err == nil) != noted || noted && string(b[:n]) != capability {
			t.Errorf("capabilities of %s: %q, %v", file, b[:max(n, 0)], err)
		}
		if _, err := unix.Getxattr(image+"/"+file, "user.note", b); (err == nil) != noted {
			t.Errorf("user.note of %s: %v", file, err)
		}
	}
}

// TestKinds: hard links, pipes and holes stay what they are, sockets have no place in an image.
func TestKinds(t *testing.T) {
	from, image := files(t, "d/a=content", "d/sub/"), t.TempDir()
	do(t, os.Link(from+"/d/a", from+"/d/sub/b"), unix.Mknod(from+"/d/pipe", unix.S_IFIFO|0o640, 0), unix.Mknod(from+"/d/sock", unix.S_IFSOCK|0o600, 0),
		os.WriteFile(from+"/d/hole", nil, 0o600), os.Truncate(from+"/d/hole", 8<<20))
	do(t, carry(t, Order{From: tree(t, from), Paths: []string{"d"}, Dest: "/x/"}, image))
	var st unix.Stat_t
	do(t, unix.Stat(image+"/x/hole", &st))
	if st.Size != 8<<20 || st.Blocks > 64 {
		t.Errorf("a hole of 8 MiB became %d bytes in %d blocks", st.Size, st.Blocks)
	}
	do(t, os.Remove(image+"/x/hole"))
	same(t, listing(t, image), []string{"x/ 755 now", "x/a=content 644", "x/pipe| 640 now", "x/sub/ 755 now", "x/sub/b==x/a 644"})
	if err := carry(t, Order{From: tree(t, from), Paths: []string{"d/sock"}, Dest: "/s"}, image); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("a socket: %v", err)
	}
}

// TestManyNames: a file of many names is hashed and written once, and links to it cost nothing.
func TestManyNames(t *testing.T) {
	from, image := files(t, "d/a="+strings.Repeat("x", 1<<20)), t.TempDir()
	for i := range 400 {
		do(t, os.Link(from+"/d/a", from+"/d/h"+strconv.Itoa(i)), os.Symlink("a", from+"/d/l"+strconv.Itoa(i)))
	}
	read := func() (n int64) { // by this process, proc_pid_io(5)
		text, err := os.ReadFile("/proc/self/io")
		do(t, err)
		_, err = fmt.Sscanf(string(text), "rchar: %d", &n)
		do(t, err)
		return n
	}
	before := read()
	do(t, carry(t, Order{From: tree(t, from), Paths: []string{"d"}, Dest: "/x/"}, image))
	if n := read() - before; n > 16<<20 {
		t.Errorf("%d MiB were read for a file of one", n>>20)
	}
	var st unix.Stat_t
	if do(t, unix.Stat(image+"/x/a", &st)); st.Nlink != 401 {
		t.Errorf("%d names", st.Nlink)
	}
}

// TestEpoch: with one, nothing is later, and nothing says when it was made.
func TestEpoch(t *testing.T) {
	from, image := files(t, "d/old=1"), t.TempDir()
	do(t, os.WriteFile(from+"/d/new", nil, 0o600))
	epoch := then.Add(time.Hour)
	do(t, carry(t, Order{From: tree(t, from), Paths: []string{"d"}, Dest: "/p/q/", Epoch: epoch, Inline: []File{{"doc", nil}}}, image))
	for file, want := range map[string]time.Time{"p": epoch, "p/q": epoch, "p/q/old": then, "p/q/new": epoch, "p/q/doc": epoch} {
		info, err := os.Lstat(filepath.Join(image, file))
		do(t, err)
		if !info.ModTime().Equal(want.Truncate(time.Second)) {
			t.Errorf("%s is of %v, want %v", file, info.ModTime(), want)
		}
	}
}

// TestChangedMeanwhile: what Find has not seen is not written as if it had.
func TestChangedMeanwhile(t *testing.T) {
	changes := map[string]func(dir string) error{
		"content": func(dir string) error { return os.WriteFile(dir+"/d/f", []byte("2"), 0o644) },
		"longer":  func(dir string) error { return os.WriteFile(dir+"/d/f", []byte("12"), 0o644) },
		"mode":    func(dir string) error { return os.Chmod(dir+"/d/f", 0o600) },
		"more":    func(dir string) error { return os.WriteFile(dir+"/d/g", nil, 0o644) },
		"less":    func(dir string) error { return os.Remove(dir + "/d/f") },
		"a link": func(dir string) error {
			return errors.Join(os.Remove(dir+"/d/f"), os.Symlink("/etc/passwd", dir+"/d/f"))
		},
		"a directory": func(dir string) error { return os.Rename(dir+"/d", dir+"/e") },
		"an archive":  func(dir string) error { return os.WriteFile(dir+"/t.tar", make([]byte, 1024), 0o644) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			from, image := files(t, "d/f=1", "d/h=3"), t.TempDir()
			pack(t, from+"/t.tar", from+"/d")
			o := Order{From: tree(t, from), Paths: []string{"d", "t.tar"}, Dest: "/x/", Add: true}
			p, err := o.Find(context.Background())
			do(t, err)
			defer p.Close()
			do(t, change(from))
			if err := p.Write(context.Background(), open(t, image)); !errors.Is(err, ErrChanged) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestFullDisk: whoever copies, unpacks or downloads onto a full disk is told so.
func TestFullDisk(t *testing.T) {
	from, full := t.TempDir(), t.TempDir()
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	do(t, os.WriteFile(from+"/big", noise, 0o600))
	pack(t, from+"/big.tar", from)
	if err := unix.Mount("tmpfs", full, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mounting a tmpfs: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(full, unix.MNT_DETACH) })
	server := httptest.NewServer(http.FileServer(http.Dir(from)))
	defer server.Close()
	for name, o := range map[string]Order{
		"a file": {Paths: []string{"big"}}, "an archive": {Add: true, Paths: []string{"big.tar"}}, "a download": {Add: true, Paths: []string{server.URL + "/big"}, Temp: full},
	} {
		o.From, o.Dest = tree(t, from), "/x/"
		if err := carry(t, o, full); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: %v", name, err)
		}
		do(t, os.RemoveAll(full+"/x"))
		if left, _ := os.ReadDir(full); len(left) > 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
	if _, err := Open(context.Background(), "-", Options{In: open(t, from+"/big.tar"), Temp: full}); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a context: %v", err)
	}
	if left, _ := os.ReadDir(full); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestInterrupted: nothing goes on once the user has had enough.
func TestInterrupted(t *testing.T) {
	from := sample(t)
	ctx, cancel := context.WithCancel(context.Background())
	o := Order{From: tree(t, from), Paths: []string{"d"}, Dest: "/x/"}
	p, err := o.Find(ctx)
	do(t, err)
	defer p.Close()
	cancel()
	if err := p.Write(ctx, open(t, t.TempDir())); !errors.Is(err, context.Canceled) {
		t.Errorf("writing: %v", err)
	}
	if _, err := o.Find(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("finding: %v", err)
	}
}

// TestDirectoriesOfAGroup: what is made below a set-group-id directory is one too.
func TestDirectoriesOfAGroup(t *testing.T) {
	image := files(t, "srv/ 2775 0:8", "a=")
	_, err := MakeDir(open(t, image), "/srv/w", 0, 0)
	do(t, err, carry(t, Order{From: tree(t, image), Paths: []string{"a"}, Dest: "/srv/c/"}, image))
	same(t, listing(t, image), []string{"a= 644", "srv/ 2775 0:8 now", "srv/c/ 2755 now", "srv/c/a= 644", "srv/w/ 2755 now"})
}

func TestMakeDir(t *testing.T) {
	image := files(t, "there/ 700 1:1", "file=", "l->/there")
	for _, c := range []struct {
		dir   string
		made  bool
		fails string
	}{{"/there", false, ""}, {"/a/b", true, ""}, {"/l/c", true, ""}, {"/", false, ""}, {"/file", false, "Cannot mkdir: /file is not a directory"}} {
		made, err := MakeDir(open(t, image), c.dir, 0, 0)
		if made != c.made || (err == nil) != (c.fails == "") || err != nil && err.Error() != c.fails {
			t.Errorf("%s: %t, %v", c.dir, made, err)
		}
	}
	same(t, listing(t, image), []string{"a/ 755 now", "a/b/ 755 now", "file= 644", "l->/there", "there/ 700 1:1 now", "there/c/ 755 now"})
}
