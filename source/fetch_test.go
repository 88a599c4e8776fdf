package source

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// remote serves files, archives, and a git repository; "cut" is broken off in the middle.
func remote(t testing.TB) (url string) {
	t.Helper()
	dir := files(t, "Dockerfile=FROM\u00a0scratch\n", "script=#!x\n")
	pack(t, dir+"/t.tar.gz", files(t, "Dockerfile=FROM\u00a0packed\n", "f=f 4755", "sub/Other=FROM\u00a0other\n"))
	do(t, os.Mkdir(dir+"/git", 0o755))
	gitRepository(t, dir+"/git/repo.git")
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(dir)))
	mux.HandleFunc("/named", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Disposition", `attachment; filename="../called"`)
		io.WriteString(w, "x")
	})
	mux.HandleFunc("/named/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Disposition", `attachment; filename="../called"`)
		io.WriteString(w, "x")
	})
	mux.HandleFunc("/bare/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
	})
	backend, err := exec.Command("git", "--exec-path").Output()
	do(t, err)
	mux.Handle("/git/", &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(backend)), "git-http-backend"), Root: "/git",
		Env: []string{"GIT_PROJECT_ROOT=" + dir + "/git", "GIT_HTTP_EXPORT_ALL=1"}})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// gitRepository has two commits on main, of which the first is tagged v1, and a branch.
func gitRepository(t testing.TB, bare string) {
	t.Helper()
	work := t.TempDir()
	script := fmt.Sprintf(`set -e
export GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=e@x GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=e@x GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git init -q -b main . && mkdir sub
echo 'FROM one' >Dockerfile; echo 'FROM sub' >sub/Dockerfile; ln -s ../../../../etc sub/out; git add . && git commit -qm 1 && git tag v1
echo 'FROM two' >Dockerfile; git commit -qam 2
git checkout -qb side && echo 'FROM side' >Dockerfile && git commit -qam 3 && git checkout -q main
git clone -q --bare . %s && git -C %s config uploadpack.allowAnySHA1InWant true`, bare, bare)
	c := exec.Command("sh", "-c", script)
	c.Dir = work
	c.Env = append(os.Environ(), "HOME="+work)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("git: %v: %s", err, out)
	}
}

// TestContexts opens what `build` can be given.
func TestContexts(t *testing.T) {
	url := remote(t)
	dir := files(t, "Dockerfile=FROM\u00a0dir\n", "other/X=FROM\u00a0x\n", "link->other/X", "f=f")
	outside := files(t, "D=FROM\u00a0outside\n")
	archived := t.TempDir() + "/t.tar"
	pack(t, archived, dir)
	for _, c := range []struct {
		where, file, in string
		name, text      string
		fails           string
	}{
		{where: dir, name: "Dockerfile", text: "FROM\u00a0dir\n"},
		{where: dir, file: dir + "/other/X", name: "other/X", text: "FROM\u00a0x\n"},
		{where: dir, file: dir + "/link", name: "other/X", text: "FROM\u00a0x\n"},
		{where: dir, file: outside + "/D", name: outside + "/D", text: "FROM\u00a0outside\n"},
		{where: dir, file: "-", in: "FROM in", name: "Dockerfile", text: "FROM in"},
		{where: dir, file: dir + "/nosuch", fails: "unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat " + dir + "/nosuch: no such file or directory"},
		{where: dir + "/nosuch", fails: `unable to prepare context: path "` + dir + `/nosuch" not found`},
		{where: dir + "/f", fails: "unable to prepare context: context must be a directory: " + dir + "/f"},
		{where: "-", in: "FROM in\n", name: "Dockerfile", text: "FROM in\n"},
		{where: "-", file: "X", in: "FROM in\n", fails: "unable to prepare context from STDIN: ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles"},
		{where: "-", file: "-", fails: "invalid argument: can't use stdin for both build context and dockerfile"},
		{where: "-", in: archived, name: "Dockerfile", text: "FROM\u00a0dir\n"},
		{where: "-", file: "other/X", in: archived, name: "other/X", text: "FROM\u00a0x\n"},
		{where: url + "/Dockerfile", name: "Dockerfile", text: "FROM\u00a0scratch\n"},
		{where: url + "/t.tar.gz", name: "Dockerfile", text: "FROM\u00a0packed\n"},
		{where: url + "/t.tar.gz", file: "sub/Other", name: "sub/Other", text: "FROM\u00a0other\n"},
		{where: url + "/nosuch", fails: "unable to download remote context " + url + "/nosuch: failed to GET " + url + "/nosuch with status 404 Not Found: 404 page not found"},
		{where: url + "/cut", fails: "unable to prepare context from " + url + "/cut: failed to peek context header from STDIN: unexpected EOF"},
		{where: url + "/git/repo.git", name: "Dockerfile", text: "FROM two\n"},
		{where: url + "/git/repo.git#v1", name: "Dockerfile", text: "FROM one\n"},
		{where: url + "/git/repo.git#side", name: "Dockerfile", text: "FROM side\n"},
		{where: url + "/git/repo.git#:sub", name: "Dockerfile", text: "FROM sub\n"},
		{where: url + "/git/repo.git?branch=side&subdir=sub", name: "Dockerfile", text: "FROM sub\n"},
		{where: url + "/git/repo.git#v1", file: "sub/Dockerfile", name: "sub/Dockerfile", text: "FROM sub\n"},
		{where: url + "/git/repo.git#v1", file: "../x", fails: "unable to prepare context: the Dockerfile (../x) must be within the build context"},
		{where: url + "/git/repo.git#:nosuch", fails: "unable to prepare context: unable to 'git clone' to temporary context directory: stat nosuch: no such file or directory"},
		{where: url + "/git/repo.git#:sub/out", fails: "unable to prepare context: unable to 'git clone' to temporary context directory: stat sub/out: no such file or directory"},
		{where: url + "/git/repo.git#--upload-pack=x", fails: "unable to prepare context: invalid refspec: --upload-pack=x"},
	} {
		t.Run(strings.TrimPrefix(c.where, url)+" "+c.file, func(t *testing.T) {
			var in io.Reader = strings.NewReader(c.in)
			if c.in == archived {
				in = open(t, archived)
			}
			temp := t.TempDir()
			got, err := Open(context.Background(), c.where, Options{Dockerfile: c.file, In: in, Temp: temp})
			if c.fails != "" {
				if err == nil || err.Error() != c.fails {
					t.Fatalf("got  %v\nwant %s", err, c.fails)
				}
			} else {
				do(t, err)
				if got.Name != c.name || string(got.Dockerfile) != c.text || got.Wrong != nil {
					t.Errorf("%q: %q (%v), want %q: %q", got.Name, got.Dockerfile, got.Wrong, c.name, c.text)
				}
				do(t, got.Close())
			}
			if left, _ := os.ReadDir(temp); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestNoDockerfile is said once the context is there.
func TestNoDockerfile(t *testing.T) {
	empty, other := t.TempDir()+"/t.tar", files(t, "Dockerfile=")
	pack(t, empty, t.TempDir())
	for _, c := range []struct{ where, in, want string }{
		{"-", empty, "Cannot locate specified Dockerfile: Dockerfile"}, {"-", "/dev/null", "the Dockerfile (Dockerfile) cannot be empty"},
		{other, "/dev/null", "the Dockerfile (Dockerfile) cannot be empty"},
	} {
		got, err := Open(context.Background(), c.where, Options{In: open(t, c.in), Temp: t.TempDir()})
		do(t, err)
		if got.Wrong == nil || got.Wrong.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.in, got.Wrong, c.want)
		}
		do(t, got.Close())
	}
}

// TestAdded is what ADD fetches.
func TestAdded(t *testing.T) {
	url := remote(t)
	script := digest.FromString("#!x\n")
	yes := true
	for _, c := range []struct {
		name  string
		order Order
		want  []string
		fails string
	}{
		{name: "a file", order: Order{Paths: []string{url + "/script"}, Dest: "/x"}, want: []string{"x=#!x\n 600"}},
		{name: "into a directory", order: Order{Paths: []string{url + "/script"}, Dest: "/x/", Chown: "5:6", Chmod: "755"}, want: []string{"x/ 755 5:6 now", "x/script=#!x\n 755 5:6"}},
		{name: "a right checksum", order: Order{Paths: []string{url + "/script"}, Dest: "/x", Checksum: script}, want: []string{"x=#!x\n 600"}},
		{name: "a wrong checksum", order: Order{Paths: []string{url + "/script"}, Dest: "/x", Checksum: digest.FromString("y")}, fails: "ADD failed: digest mismatch " + script.String() + ": " + digest.FromString("y").String()},
		{name: "a checksum of nothing", order: Order{Paths: []string{url + "/script"}, Dest: "/x", Checksum: "sha256:0"}, fails: "invalid checksum digest length"},
		{name: "a name from the server", order: Order{Paths: []string{url + "/named/"}, Dest: "/x/"}, want: []string{"x/ 755 now", "x/called=x 600"}},
		{name: "no name at all", order: Order{Paths: []string{url + "/bare/"}, Dest: "/x/"}, fails: "ADD failed: cannot determine filename for source " + url + "/bare/"},
		{name: "no name but a place", order: Order{Paths: []string{url + "/bare/"}, Dest: "/x"}, want: []string{"x=x 600"}},
		{name: "nothing there", order: Order{Paths: []string{url + "/nosuch"}, Dest: "/x"}, fails: "ADD failed: failed to GET " + url + "/nosuch with status 404 Not Found: 404 page not found"},
		{name: "broken off", order: Order{Paths: []string{url + "/cut"}, Dest: "/x"}, fails: "ADD failed: downloading " + url + "/cut: unexpected EOF"},
		{name: "an archive is a file", order: Order{Paths: []string{url + "/t.tar.gz"}, Dest: "/x/", Exclude: []string{"*"}}, want: nil},
		{name: "unless it is to be unpacked", order: Order{Paths: []string{url + "/t.tar.gz"}, Dest: "/x/", Unpack: &yes},
			want: []string{"x/ 755 now", "x/Dockerfile=FROM\u00a0packed\n 644", "x/f=f 4755", "x/sub/ 755 now", "x/sub/Other=FROM\u00a0other\n 644"}},
		{name: "a repository", order: Order{Paths: []string{url + "/git/repo.git#v1:sub"}, Dest: "/x/", Chmod: "700"}, want: []string{"x/ 700 now", "x/Dockerfile=FROM sub\n 700 now", "x/out->../../../../etc now"}},
		{name: "a repository with another commit", order: Order{Paths: []string{url + "/git/repo.git#v1"}, Dest: "/x", Checksum: "0123456789"}, fails: "ADD failed: expected checksum to match 0123456789, got "},
	} {
		t.Run(c.name, func(t *testing.T) {
			image, temp := t.TempDir(), t.TempDir()
			c.order.Add, c.order.Temp = true, temp
			err := carry(t, c.order, image)
			if left, _ := os.ReadDir(temp); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if c.fails != "" {
				if err == nil || !strings.HasPrefix(err.Error(), c.fails) {
					t.Fatalf("got  %v\nwant %s", err, c.fails)
				}
				return
			}
			do(t, err)
			if c.want != nil {
				same(t, listing(t, image), c.want)
			}
		})
	}
	image := t.TempDir()
	do(t, carry(t, Order{Add: true, KeepGit: true, Paths: []string{url + "/git/repo.git"}, Dest: "/x"}, image))
	if !exists(image + "/x/.git/HEAD") {
		t.Error("--keep-git-dir has kept none")
	}
}

// TestKeyOfContent: the sum is that of names, kinds, modes and content, and of nothing else.
func TestKeyOfContent(t *testing.T) {
	sum := func(dir string, o Order) digest.Digest {
		o.From, o.Dest = tree(t, dir), "/x/"
		p, err := o.Find(context.Background())
		do(t, err, p.Close())
		return p.Digest
	}
	lines := []string{"d/f=f 640 3:4", "d/l->f", "d/sub/"}
	first := sum(files(t, lines...), Order{Paths: []string{"d"}})
	again := files(t, lines...)
	do(t, os.Chown(again+"/d/f", 9, 9), os.WriteFile(again+"/d/f", []byte("f"), 0), os.WriteFile(again+"/beside", nil, 0o600))
	if sum(again, Order{Paths: []string{"d"}}) != first {
		t.Error("owners, times or what lies beside count")
	}
	for _, other := range [][]string{
		{"d/f=g 640", "d/l->f", "d/sub/"}, {"d/f=f 600", "d/l->f", "d/sub/"}, {"d/f=f 640", "d/l->g", "d/sub/"}, {"d/f=f 640", "d/l->f", "d/sub/", "d/sub/x="},
		{"d/f=f 640", "d/l->f"}, {"d/f=f 640", "d/l=f", "d/sub/"}, {"d/f=f 640", "d/l->f", "d/sub/ 700"}, {"d/g=f 640", "d/l->f", "d/sub/"},
	} {
		if sum(files(t, other...), Order{Paths: []string{"d"}}) == first {
			t.Errorf("%q gives the same sum", other)
		}
	}
	if sum(files(t, "d/a=1", "d/b=1"), Order{Paths: []string{"d/a"}}) == sum(files(t, "d/a=1", "d/b=1"), Order{Paths: []string{"d/b"}}) {
		t.Error("the name of a file in a directory does not count")
	}
}

// TestLedger: of very many files it is remembered what their directories hold, and which of these has changed.
func TestLedger(t *testing.T) {
	record := func(changed int) *ledger {
		l := &ledger{}
		for i := range mostEntries * 2 {
			content := i
			if i == changed {
				content = -1
			}
			l.add(fmt.Sprintf("a/b%d/f%d", i/1000, i), fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, content))))
		}
		return l
	}
	one, two := record(0).entries(), record(70_500).entries()
	if len(one) != mostEntries*2/1000 || len(two) != len(one) {
		t.Fatalf("%d and %d entries", len(one), len(two))
	}
	var differ []string
	for i := range one {
		if one[i] != two[i] {
			differ = append(differ, one[i].Name)
		}
	}
	same(t, differ, []string{"a/b0/", "a/b70/"})
	wide := &ledger{}
	for i := range mostEntries * 2 {
		wide.add(fmt.Sprintf("a%d/b/c/f", i), fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i))))
	}
	if n := len(wide.entries()); n > mostEntries {
		t.Errorf("%d entries of very many directories", n)
	}
}

// TestFetchedLinksLeadNowhere: a repository's or an archive's Dockerfile and .dockerignore are not this machine's files, and no devices.
func TestFetchedLinksLeadNowhere(t *testing.T) {
	secret := files(t, "f=FROM\u00a0secret") + "/f"
	for name, c := range map[string]struct {
		make  string
		fails string
	}{
		"a Dockerfile":     {"ln -s " + secret + " Dockerfile", "Cannot locate specified Dockerfile: Dockerfile"},
		"a device":         {"mknod Dockerfile c 1 5", "failed to read dockerfile: Dockerfile is no file"},
		"a pipe":           {"mkfifo Dockerfile", "failed to read dockerfile: Dockerfile is no file"},
		"a .dockerignore":  {"echo FROM x >Dockerfile; ln -s " + secret + " .dockerignore", ""},
		"one that is none": {"echo FROM x >Dockerfile; mkfifo .dockerignore", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			run := exec.Command("sh", "-ec", c.make)
			run.Dir = dir
			if out, err := run.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			pack(t, dir+".tar", dir)
			got, err := Open(context.Background(), "-", Options{In: open(t, dir+".tar"), Temp: t.TempDir()})
			if err == nil {
				err = got.Wrong
				do(t, got.Close())
			}
			if (err == nil) != (c.fails == "") || err != nil && !strings.HasSuffix(err.Error(), c.fails) {
				t.Errorf("got %v", err)
			}
		})
	}
	temp := files(t, "Dockerfile=FROM\u00a0x", ".dockerignore->"+secret)
	c := &Context{temp: temp, sent: -1}
	if err := c.directory(context.Background(), temp, Options{}); err == nil || !strings.Contains(err.Error(), "a link in it leads out") {
		t.Errorf("a repository's .dockerignore: %v", err)
	}
}
