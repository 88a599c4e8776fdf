package source

import (
	"context"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSize: these are the sizes that Docker 28.5.2 says it sends.
func TestSize(t *testing.T) {
	long := func(letter string, n int) string { return strings.Repeat(letter, n) }
	const dockerfile = "Dockerfile=FROM\u00a0scratch!COPY\u00a0./" // 24 bytes, one block as Docker's 22
	for _, c := range []struct {
		name  string
		lines []string
		stdin bool
		want  int64
	}{
		{name: "a Dockerfile", want: 2048},
		{name: "a name in two parts", lines: []string{long("d", 60) + "/" + long("d", 60) + "=x", long("d", 60) + "/"}, want: 3584},
		{name: "a name in one", lines: []string{long("e", 120) + "=x"}, want: 4096},
		{name: "a link", lines: []string{"l->" + long("e", 120)}, want: 3584},
		{name: "other letters", lines: []string{"é=x"}, want: 4096},
		{name: "ignored", lines: []string{"a/b=x", "a/c=x", ".dockerignore=a"}, want: 3072},
		{name: "ignored themselves", lines: []string{"a/b=x", ".dockerignore=*"}, want: 3072},
		{name: "the Dockerfile from elsewhere", lines: []string{long("d", 60) + "/" + long("d", 60) + "=x", long("d", 60) + "/"}, stdin: true, want: 4143},
		{name: "the same with .dockerignore", lines: []string{long("d", 60) + "/" + long("d", 60) + "=x", long("d", 60) + "/", ".dockerignore=foo"}, stdin: true, want: 4118},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{Temp: t.TempDir()}
			if c.stdin {
				o.Dockerfile, o.In = "-", strings.NewReader("FROM scratch\nCOPY . /\n")
			}
			got, err := Open(context.Background(), files(t, append(c.lines, dockerfile)...), o)
			do(t, err)
			defer got.Close()
			size, err := got.Size()
			do(t, err)
			if size != c.want {
				t.Errorf("%d, want %d", size, c.want)
			}
		})
	}
	dir := files(t, dockerfile, "cap=x 755", "hard=x")
	do(t, unix.Setxattr(dir+"/cap", capabilities, []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0), os.Link(dir+"/hard", dir+"/link"))
	got, err := Open(context.Background(), dir, Options{})
	do(t, err)
	defer got.Close()
	if size, err := got.Size(); err != nil || size != 2048+2048+1024+512 {
		t.Errorf("with a capability and a hard link: %d, %v", size, err)
	}
}
