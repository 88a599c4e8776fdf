package load

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/test/traces"
	"glassbox/test/world"

	"golang.org/x/sys/unix"
)

// A build with a step of each kind: two stages at once, files that are copied, containers that run, what is configuration alone.
const dockerfile = `FROM tiny AS first
RUN mkdir /made && echo first >/made/first && ln /made/first /made/hard
FROM tiny
WORKDIR /work
COPY files files
RUN echo second >second && rm files/gone
ENV A=1
COPY --from=first /made made
`

// What is in it afterwards.
const (
	look  = "cat /work/files/* /work/second /work/made/*; ls /work/files /work/made"
	built = "copied\nsecond\nfirst\nfirst\n/work/files:\nfile\n\n/work/made:\nfirst\nhard\n"
)

// contextOf makes a build context.
func contextOf(t *testing.T, dockerfile string) string {
	t.Helper()
	dir := filepath.Join(world.Dir(), "context")
	if err := os.MkdirAll(dir+"/files", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for name, text := range map[string]string{"Dockerfile": dockerfile, "files/file": "copied\n", "files/gone": "gone\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// build makes the image and returns its id.
func build(t *testing.T, dir string) string {
	t.Helper()
	return strings.Join(lines(t, "build", "-q", "-t", "made", dir), " ")
}

// forget removes what builds have made, as a user does.
func forget(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{{"rmi", "-f", "made"}, {"image", "prune", "-f"}, {"builder", "prune", "-a", "-f"}} {
		if out, code := traces.Glassbox(args...); code != 0 && !strings.Contains(out, "No such image") {
			t.Errorf("%v: exit %d: %s", args, code, out)
		}
	}
}

// stored are the blobs, layers and documents of images and builds.
func stored(t *testing.T) (all []string) {
	t.Helper()
	root := os.Getenv("GLASSBOX_ROOT")
	for _, top := range []string{"images", "layers", "build"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return nil // it was never made
			}
			name, _ := filepath.Rel(root, path)
			all = append(all, name)
			if deep := strings.Count(name, "/"); top == "layers" && deep >= 2 && e.IsDir() {
				return fs.SkipDir
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// unchanged fails the test when there is something else in the store than before.
func unchanged(t *testing.T, before []string, what string) {
	t.Helper()
	after := stored(t)
	for _, name := range after {
		if !slices.Contains(before, name) {
			t.Errorf("%s: the store has %s", what, name)
		}
	}
	for _, name := range before {
		if !slices.Contains(after, name) {
			t.Errorf("%s: the store has no %s", what, name)
		}
	}
}

// whole: the next build gives the image that an undisturbed one gives, and it is as it should be.
func whole(t *testing.T, dir, want, what string) {
	t.Helper()
	out, code := traces.Glassbox("build", "-q", "-t", "made", dir)
	if have := strings.TrimSpace(out); code != 0 || have != want {
		t.Errorf("%s: the next build: exit %d, %s instead of %s", what, code, have, want)
		return
	}
	if out, code := traces.Glassbox("run", "--rm", "--network", "none", "made", "sh", "-c", look); code != 0 || out != built {
		t.Errorf("%s: in the image, exit %d: %q", what, code, out)
	}
}

// A build's command line, one of its monitors or containers is killed at one system call or another: the cache that it leaves is right, and what is
// half done goes by the next command.
func TestBuildKilled(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1000000000")
	dir := contextOf(t, dockerfile)
	want := build(t, dir)
	whole(t, dir, want, "undisturbed")
	forget(t)
	settled, before := account(t), stored(t)
	t.Cleanup(func() { tidyUp(t); forget(t) })
	v := verb{"build", nil, []string{"build", "-q", "-t", "made", dir}, []string{"command", "monitor", "child"}}
	var cells []cell
	for _, target := range v.targets {
		o, err := v.run(target, 0)
		if err != nil || o.Code != 0 || o.Calls == 0 {
			t.Fatalf("not killed: exit %d, %d system calls of the %s: %v", o.Code, o.Calls, target, err)
		}
		t.Logf("the %s makes %d system calls", target, o.Calls)
		for at := 1; at <= o.Calls; at++ {
			cells = append(cells, cell{v, target, at})
		}
		forget(t)
	}
	if one := os.Getenv("LOAD_CELL"); one != "" {
		cells = slices.DeleteFunc(cells, func(c cell) bool { return c.String() != one })
	}
	random := rand.New(rand.NewPCG(seed(t), 3))
	random.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
	began, done := time.Now(), 0
	for _, c := range cells {
		if soak() == 0 && time.Since(began) > sampling/2 || t.Failed() {
			break
		}
		o, err := c.verb.run(c.target, c.at)
		if err != nil {
			t.Fatal(err)
		}
		done++
		// The next command is another build, or the check: each has to cope.
		if c.at%2 == 0 {
			whole(t, dir, want, c.String())
		}
		aftermath(t, c.String())
		whole(t, dir, want, c.String())
		forget(t)
		settled()
		unchanged(t, before, c.String())
		if t.Failed() {
			t.Logf("LOAD_CELL=%s: %+v", c, o)
		}
	}
	t.Logf("%d of %d kills in %v", done, len(cells), time.Since(began).Round(time.Second))
	report(t)
}

// The disk fills while a step copies, while one runs, while what it wrote becomes a layer, and while an archive is loaded. Each is told, and
// leaves the store as it was.
func TestDiskFullWhileImagesAreMade(t *testing.T) {
	dir := contextOf(t, dockerfile)
	if err := os.WriteFile(dir+"/big", bytes.Repeat([]byte{1}, 100<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	archive, saved := filepath.Join(world.Dir(), "big.tar"), filepath.Join(world.Dir(), "saved.tar")
	t.Cleanup(func() { os.Remove(archive); os.Remove(saved) })
	bigArchive(t, dir, archive)
	for _, args := range [][]string{{"import", archive, "made"}, {"save", "-o", saved, "made"}, {"rmi", "made"}} {
		if err := traces.Want(0, args...); err != nil {
			t.Fatal(err)
		}
	}
	small(t, "128m")
	t.Setenv("SOURCE_DATE_EPOCH", "1000000000")
	want := build(t, dir)
	forget(t)
	before := stored(t)
	for _, c := range []struct {
		name, dockerfile string
		code             int
		command          []string
	}{
		{"copying", "FROM tiny\nRUN true\nCOPY big /big\n", 1, nil},
		{"running", "FROM tiny\nRUN true\nRUN cat /dev/zero >/big\n", 1, nil},
		{"making a layer", "FROM tiny\nRUN true\nRUN head -c 40000000 /dev/zero >/big\n", 1, nil},
		{"importing", "", 1, []string{"import", archive, "made"}},
		{"loading", "", 1, []string{"load", "-q", "-i", saved}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := c.command
			if args == nil {
				if err := os.WriteFile(dir+"/Dockerfile", []byte(c.dockerfile), 0o644); err != nil {
					t.Fatal(err)
				}
				args = []string{"build", "--force-rm", "-t", "made", dir}
			}
			out, code := traces.Glassbox(args...)
			t.Log(out)
			if code != c.code || !strings.Contains(strings.ToLower(out), "no space left on device") {
				t.Errorf("%v: exit %d: %s", args, code, out)
			}
			clean(t, c.name)
			forget(t)
			unchanged(t, before, c.name)
		})
	}
	if err := os.WriteFile(dir+"/Dockerfile", []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	os.Remove(dir + "/big")
	whole(t, dir, want, "there is room again")
	forget(t)
	able(t)
}

// bigArchive packs the context's big file.
func bigArchive(t *testing.T, dir, path string) {
	t.Helper()
	c := exec.Command("tar", "--create", "--directory", dir, "--file", path, "big")
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Run(); err != nil {
		t.Fatal(err, said.String())
	}
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil || s.Size < 100<<20 {
		t.Fatal("the archive is no larger than the disk", err)
	}
}
