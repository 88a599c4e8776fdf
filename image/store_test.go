package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"glassbox/test/registry"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// imports puts an image of one file into the store.
func imports(t testing.TB, s *Store, tag, body string) *Image {
	t.Helper()
	needRoot(t)
	img, err := s.ImportTar(bytes.NewReader(registry.Tar(t, file("f", body))), tag, ocispec.Image{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestResolve(t *testing.T) {
	s := newStore(t)
	one, two := imports(t, s, "one", "1"), imports(t, s, "example.org/two:v2", "2")
	for ref, want := range map[string]digest.Digest{
		"one": one.ID, "one:latest": one.ID, "docker.io/library/one": one.ID, "example.org/two:v2": two.ID,
		one.ID.String(): one.ID, one.ID.Encoded(): one.ID, two.ID.Encoded()[:12]: two.ID, "sha256:" + two.ID.Encoded()[:9]: two.ID,
	} {
		if img, err := s.Resolve(ref); err != nil || img.ID != want {
			t.Errorf("%s: %v, %v", ref, img, err)
		}
	}
	none := strings.Repeat("0", 64)
	for ref, want := range map[string]string{
		"nope": "No such image: nope:latest", "example.org/two": "No such image: example.org/two:latest",
		none: "No such image: sha256:" + none, "one@sha256:" + none: "No such image: one@sha256:" + none,
		"": "invalid reference format", "a b": "invalid reference format", "one:": "invalid reference format",
		"Upper": "invalid reference format: repository name (library/Upper) must be lowercase",
	} {
		if _, err := s.Resolve(ref); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %q", ref, err, want)
		}
	}
}

func TestImageHoldsDockersConfig(t *testing.T) {
	img, err := parseConfig([]byte(`{"architecture":"amd64","os":"linux","docker_version":"28.5.2","comment":"c","parent":"sha256:x",
		"config":{"Cmd":["a"],"Healthcheck":{"Test":["CMD","true"],"Interval":5000000000},"OnBuild":["RUN x"],"Shell":["/bin/bash","-c"],"ArgsEscaped":true,"Hostname":"h"},
		"rootfs":{"type":"layers","diff_ids":[]}}`))
	if err != nil {
		t.Fatal(err)
	}
	d := img.Docker
	if d.Healthcheck == nil || d.Healthcheck.Interval.Seconds() != 5 || d.OnBuild[0] != "RUN x" || d.Shell[0] != "/bin/bash" ||
		!d.ArgsEscaped || d.DockerVersion != "28.5.2" || d.Hostname != "h" || img.Config.Config.Cmd[0] != "a" {
		t.Errorf("read %+v", img)
	}
}

func TestTagAndList(t *testing.T) {
	s := newStore(t)
	img := imports(t, s, "one", "1")
	for source, target := range map[string]string{"one": "other/name:v1", img.ID.Encoded()[:12]: "third"} {
		if err := s.Tag(source, target); err != nil {
			t.Fatal(err)
		}
	}
	for target, want := range map[string]string{
		"Bad": "is not a valid repository/tag", "x@" + img.ID.String(): "refusing to create a tag with a digest reference",
	} {
		if err := s.Tag("one", target); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("tag %s: %v", target, err)
		}
	}
	if err := s.Tag("nope", "x"); err == nil || err.Error() != "No such image: nope:latest" {
		t.Errorf("tag of nothing: %v", err)
	}
	all, err := s.List()
	if err != nil || len(all) != 1 || len(all[0].Tags) != 3 || all[0].Size != 1 {
		t.Fatalf("list is %+v, %v", all, err)
	}
	// The name moves on, and leaves the old image nameless.
	imports(t, s, "third", "3")
	if err := s.Tag("third", "one"); err != nil {
		t.Fatal(err)
	}
	if err := s.Tag("third", "other/name:v1"); err != nil {
		t.Fatal(err)
	}
	old, err := s.Resolve(img.ID.String())
	if err != nil || len(old.Tags) != 0 {
		t.Errorf("the old image is %+v, %v", old, err)
	}
}

func TestRemove(t *testing.T) {
	free := func(digest.Digest) (string, bool) { return "", false }
	stopped := func(digest.Digest) (string, bool) { return "387c2e0c3e5c" + strings.Repeat("0", 52), false }
	running := func(digest.Digest) (string, bool) { return "387c2e0c3e5c" + strings.Repeat("0", 52), true }
	for name, c := range map[string]struct {
		ref       string // "ID": the image's id; a name that no id can begin with
		tags      []string
		force     bool
		use       func(digest.Digest) (string, bool)
		untagged  string
		deleted   bool
		err       string // with SHORT for the short id
		stillHere bool
	}{
		"only name":        {"at", nil, false, free, "at:latest", true, "", false},
		"one of two":       {"at", []string{"b"}, false, free, "at:latest", false, "", true},
		"one of two used":  {"at", []string{"b"}, false, running, "at:latest", false, "", true},
		"id":               {"ID", nil, false, free, "at:latest", true, "", false},
		"id of two":        {"ID", []string{"b"}, false, free, "", false, "conflict: unable to delete SHORT (must be forced) - image is referenced in multiple repositories", true},
		"id of two forced": {"ID", []string{"b"}, true, free, "at:latest b:latest", true, "", false},
		"used":             {"at", nil, false, stopped, "", false, `conflict: unable to remove repository reference "at" (must force) - container 387c2e0c3e5c is using its referenced image SHORT`, true},
		"running forced":   {"at", nil, true, running, "at:latest", false, "", true},
		"id used":          {"ID", nil, false, stopped, "", false, "conflict: unable to delete SHORT (must be forced) - image is being used by stopped container 387c2e0c3e5c", true},
		"id running":       {"ID", nil, true, running, "", false, "conflict: unable to delete SHORT (cannot be forced) - image is being used by running container 387c2e0c3e5c", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			img := imports(t, s, "at", "1")
			for _, tag := range c.tags {
				if err := s.Tag("at", tag); err != nil {
					t.Fatal(err)
				}
			}
			ref := strings.ReplaceAll(c.ref, "ID", img.ID.Encoded()[:12])
			untagged, deleted, err := s.Remove(ref, c.force, c.use)
			if want := strings.ReplaceAll(c.err, "SHORT", short(img.ID)); (err == nil) != (want == "") || err != nil && err.Error() != want {
				t.Fatalf("error is %v, want %s", err, want)
			}
			if got := strings.Join(untagged, " "); got != c.untagged {
				t.Errorf("untagged %q, want %q", got, c.untagged)
			}
			if c.deleted && (len(deleted) != 2 || deleted[0] != img.ID.String() || deleted[1] != img.ChainIDs()[0].String()) || !c.deleted && len(deleted) > 0 {
				t.Errorf("deleted %q", deleted)
			}
			if _, err := s.Resolve(img.ID.String()); (err == nil) != c.stillHere {
				t.Errorf("afterwards: %v", err)
			}
			if !c.stillHere {
				checkEmpty(t, s)
			}
		})
	}
}

// TestRemoveUnderContainer removes an image by force: the container's layers stay until it goes.
func TestRemoveUnderContainer(t *testing.T) {
	s := newStore(t)
	img := imports(t, s, "a", "1")
	user := "387c2e0c3e5c"
	s.InUse = func(id digest.Digest) (string, bool) {
		if id != img.ID {
			return "", false
		}
		return user, false
	}
	layers, err := s.Layers(img)
	if err != nil {
		t.Fatal(err)
	}
	_, deleted, err := s.Remove("a", true, nil)
	if err != nil || len(deleted) != 1 || deleted[0] != img.ID.String() {
		t.Errorf("deleted %v, %v", deleted, err)
	}
	if all, err := s.List(); err != nil || len(all) != 0 {
		t.Errorf("images are %v, %v", all, err)
	}
	if err := s.Collect(context.Background()); err != nil {
		t.Error(err)
	}
	if body, err := os.ReadFile(layers.Lower[0] + "/f"); err != nil || string(body) != "1" {
		t.Errorf("the container's layer: %q, %v", body, err)
	}
	user = ""
	if err := s.Collect(context.Background()); err != nil {
		t.Error(err)
	}
	checkEmpty(t, s)
}

func TestRemoveKeepsSharedLayers(t *testing.T) {
	s := newStore(t)
	imports(t, s, "a", "same")
	b, err := s.ImportTar(bytes.NewReader(registry.Tar(t, file("f", "same"))), "b", ocispec.Image{Author: "another config"})
	if err != nil {
		t.Fatal(err)
	}
	if n := layerNumbers(t, s); len(n) != 1 {
		t.Errorf("layers are %v", n)
	}
	if _, deleted, err := s.Remove("a", false, nil); err != nil || len(deleted) != 1 {
		t.Fatalf("deleted %v, %v", deleted, err)
	}
	layers, err := s.Layers(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(layers.Lower[0] + "/f"); string(got) != "same" {
		t.Errorf("the shared layer holds %q", got)
	}
}

// TestLayersFromBlobs takes away what was unpacked: it is made again.
func TestLayersFromBlobs(t *testing.T) {
	s := newStore(t)
	img := imports(t, s, "a", "body")
	if err := os.RemoveAll(s.layers); err != nil {
		t.Fatal(err)
	}
	layers, err := s.Layers(img)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(layers.Lower[0] + "/f"); string(got) != "body" {
		t.Errorf("the layer holds %q", got)
	}
	if err := os.RemoveAll(s.layers); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.blob(img.layers[0].Digest), registry.Tar(t, file("f", "ydob")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Layers(img); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged blob: %v", err)
	}
}

func TestSkopeoReadsTheStore(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is missing (apt-get install skopeo)")
	}
	s := newStore(t)
	img := imports(t, s, "example.org/some/thing:v1", "body")
	out, err := exec.Command(skopeo, "inspect", "oci:"+s.dir+":example.org/some/thing:v1").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var seen struct {
		Digest digest.Digest
		Layers []digest.Digest
	}
	if err := json.Unmarshal(out, &seen); err != nil || seen.Digest != img.Manifest.Digest || len(seen.Layers) != 1 {
		t.Errorf("skopeo says %s", out)
	}
	// And the other way: an image that skopeo puts here is one of ours.
	from := newStore(t)
	other := imports(t, from, "guest", "guest")
	if out, err := exec.Command(skopeo, "copy", "oci:"+from.dir+":guest:latest", "oci:"+s.dir+":guest:v2").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got, err := s.Resolve("guest:v2")
	if err != nil || got.ID != other.ID {
		t.Fatalf("%v, %v", got, err)
	}
	layers, err := s.Layers(got)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := os.ReadFile(layers.Lower[0] + "/f"); string(body) != "guest" {
		t.Errorf("the guest's layer holds %q", body)
	}
}

// TestFullDisk imports into a file system that is too small.
func TestFullDisk(t *testing.T) {
	needRoot(t)
	if os.Getenv("GLASSBOX_OWN_MOUNTS") == "" {
		runIsolated(t, t.Name())
		return
	}
	at := t.TempDir()
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no tmpfs can be mounted here: %v", err)
	}
	defer unix.Unmount(at, unix.MNT_DETACH)
	s := Open(at + "/images")
	defer checkEmpty(t, s)
	defer checkTidy(t, s)
	// Together they are too large, each alone is not: the claimed sizes do not tell.
	var files []registry.File
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		files = append(files, registry.File{Header: tar.Header{Name: name, Typeflag: tar.TypeReg}, Body: strings.Repeat(name, 150<<10)})
	}
	_, err := s.ImportTar(bytes.NewReader(registry.Tar(t, files...)), "full", ocispec.Image{})
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("error is %v", err)
	}
	if _, err := s.Resolve("full"); err == nil {
		t.Error("the image is there")
	}
	small := registry.Gzip(t, registry.Tar(t, file("small", "fits")))
	if _, err := s.ImportTar(bytes.NewReader(small.Blob), "small", ocispec.Image{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if _, _, err := s.Remove("small", false, nil); err != nil {
		t.Error(err)
	}
	if err := s.prepare(); err != nil {
		t.Error(err)
	}
}

func TestBuiltins(t *testing.T) {
	needRoot(t)
	s := newStore(t)
	if _, ok, err := s.Builtin("tiny"); ok || err != nil {
		t.Errorf("without applets: %v, %v", ok, err)
	}
	s.Applets = func() []string { return []string{"sh", "ls", "tiny"} }
	if _, ok, err := s.Builtin("alpine"); ok || err != nil {
		t.Errorf("alpine: %v, %v", ok, err)
	}
	hello, ok, err := s.Builtin("hello-world")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	layers, err := s.Layers(hello)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(layers.Lower[0] + "/hello").CombinedOutput()
	if err != nil || string(out) != helloText {
		t.Errorf("hello: %v, %q", err, out)
	}
	tiny, ok, err := s.Builtin("docker.io/library/tiny:latest")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	checkTiny(t, s, tiny)
	again, _, err := s.Builtin("tiny")
	if err != nil || again.ID != tiny.ID {
		t.Errorf("again: %v, %v", again, err)
	}
	elsewhere := newStore(t)
	elsewhere.Applets = s.Applets
	if same, _, err := elsewhere.Builtin("tiny"); err != nil || same.ID != tiny.ID || same.Manifest.Digest != tiny.Manifest.Digest {
		t.Errorf("elsewhere: %v, %v", same, err)
	}
}

func checkTiny(t *testing.T, s *Store, tiny *Image) {
	t.Helper()
	layers, err := s.Layers(tiny)
	if err != nil {
		t.Fatal(err)
	}
	dir := layers.Lower[0]
	mine, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if copied, err := os.ReadFile(dir + "/bin/tiny"); err != nil || !bytes.Equal(mine, copied) {
		t.Errorf("/bin/tiny is not this program: %v", err)
	}
	for _, name := range []string{"sh", "ls"} {
		if to, err := os.Readlink(dir + "/bin/" + name); to != "tiny" {
			t.Errorf("%s leads to %q, %v", name, to, err)
		}
	}
	if st := stat(t, dir+"/tmp"); st.Mode&0o7777 != 0o1777 {
		t.Errorf("/tmp has mode %o", st.Mode)
	}
	if st := stat(t, dir+"/home/app"); st.Uid != 1000 {
		t.Errorf("/home/app belongs to %d", st.Uid)
	}
}

// TestBuiltinIsRemade pretends that another program made the image.
func TestBuiltinIsRemade(t *testing.T) {
	needRoot(t)
	s := newStore(t)
	s.InUse = func(digest.Digest) (string, bool) { return "", false }
	old, err := s.importTar(context.Background(), bytes.NewReader(registry.Tar(t, file("hello", "old"))), "hello-world", ocispec.Image{},
		map[string]string{madeFrom: "another"})
	if err != nil {
		t.Fatal(err)
	}
	now, err := s.Resolve("hello-world")
	if err != nil || now.ID == old.ID {
		t.Fatalf("%v, %v", now, err)
	}
	if all, err := s.List(); err != nil || len(all) != 1 {
		t.Errorf("the old one stays: %v, %v", all, err)
	}
	// One that somebody pulled or tagged under that name is left alone.
	imports(t, s, "hello-world", "mine")
	if img, err := s.Resolve("hello-world"); err != nil || img.ID == now.ID {
		t.Errorf("%v, %v", img, err)
	}
	if img, ok, err := s.Builtin("hello-world"); !ok || err != nil || img.ID == now.ID {
		t.Errorf("%v, %v", img, err)
	}
}

// TestHelloOfBoth runs the two machines' programs, one of them by emulation where that is installed.
func TestHelloOfBoth(t *testing.T) {
	for arch, how := range map[string][]string{"amd64": {"qemu-x86_64-static"}, "arm64": {"qemu-aarch64-static"}} {
		t.Run(arch, func(t *testing.T) {
			if arch == runtime.GOARCH {
				how = nil
			} else if _, err := exec.LookPath(how[0]); err != nil {
				t.Skip(how[0] + " is missing (apt-get install qemu-user-static)")
			}
			path := filepath.Join(t.TempDir(), "hello")
			if err := os.WriteFile(path, helloProgram(arch, helloText), 0o755); err != nil {
				t.Fatal(err)
			}
			argv := append(how, path)
			if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil || string(out) != helloText {
				t.Errorf("%v, %q", err, out)
			}
		})
	}
}

// FuzzDocuments reads anything as a manifest and as a config.
func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"mediaType":"","digest":"sha256:x","size":-1},"layers":[{}]}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"platform":{"os":"linux","architecture":"arm","variant":"v99999999999999999999"}}]}`))
	f.Add([]byte(`{"os":"linux","rootfs":{"diff_ids":["sha256:` + strings.Repeat("0", 64) + `"]},"config":{"Healthcheck":{"Interval":1e9}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := document{raw: raw}
		if m.parse("") == nil {
			for _, d := range append([]ocispec.Descriptor{m.config}, m.layers...) {
				if !m.isList && (d.Size < 0 || checkDigest(d.Digest) != nil) {
					t.Errorf("passed: %+v", d)
				}
			}
			choose(m.manifests, thisPlatform())
		}
		if img, err := parseConfig(raw); err == nil {
			img.ChainIDs()
		}
	})
}
