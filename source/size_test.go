package source

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// TestUnreadable: what a user without rights cannot read is refused before anything is built, unless it is ignored.
func TestUnreadable(t *testing.T) {
	if dir := os.Getenv("GLASSBOX_UNREADABLE"); dir != "" {
		got, err := Open(context.Background(), dir, Options{})
		if err == nil {
			err = got.Close()
		}
		fmt.Println("said:", err)
		return
	}
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{[]string{"f=x 600"}, "checking context: no permission to read from 'DIR/f'"}, {[]string{"d/", "d/ 700"}, "checking context: can't stat 'DIR/d'"},
		{[]string{"f=x 600", "d/ 700", ".dockerignore=[df]"}, "<nil>"},
	} {
		dir := files(t, append(c.lines, "Dockerfile=FROM")...)
		for up := dir; up != "/tmp" && up != "/"; up = filepath.Dir(up) {
			do(t, os.Chmod(up, 0o755))
		}
		program, err := os.ReadFile(os.Args[0])
		do(t, err, os.WriteFile(dir+".test", program, 0o755))
		cmd := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", dir+".test", "-test.run=^TestUnreadable$")
		cmd.Env = append(os.Environ(), "GLASSBOX_UNREADABLE="+dir)
		out, err := cmd.CombinedOutput()
		if want := "said: " + strings.Replace(c.want, "DIR", dir, 1); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %s, want %s", err, out, want)
		}
	}
}
