package image

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glassbox/test/registry"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// target starts a registry for one repository.
func target(t testing.TB, repository string) (registry.Target, string) {
	t.Helper()
	needRoot(t)
	address := registry.Start(t, false)
	return registry.Target{URL: "http://" + address, Repository: repository}, address + "/" + repository
}

func config(arch string) ocispec.Image {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return ocispec.Image{Created: &created, Platform: ocispec.Platform{OS: "linux", Architecture: arch}}
}

// busybox is a layer with a program that runs, where the machine has one.
func busybox(t testing.TB) registry.Layer {
	t.Helper()
	body, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skip("busybox is missing (apt-get install busybox-static)")
	}
	f := file("bin/busybox", string(body))
	f.Mode = 0o755
	return registry.Gzip(t, registry.Tar(t, f))
}

func small(t testing.TB, body string) registry.Layer {
	return registry.Gzip(t, registry.Tar(t, file("f", body)))
}

func pullText(s *Store, t testing.TB, name string, o PullOptions) (*Image, string, error) {
	t.Helper()
	var out bytes.Buffer
	o.Out = &out
	img, err := s.Pull(context.Background(), mustRef(t, name), o)
	return img, out.String(), err
}

func TestPull(t *testing.T) {
	to, name := target(t, "some/bb")
	layers := []registry.Layer{busybox(t), small(t, "second")}
	d := to.Push(t, "latest", config(thisPlatform().Architecture), layers...)
	s := newStore(t)
	img, out, err := pullText(s, t, name, PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if img.Tags[0] != name+":latest" || img.Digests[0] != name+"@"+d.Digest.String() || img.Manifest.Digest != d.Digest {
		t.Errorf("pulled %+v", img)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) < 12 || lines[0] != "Using default tag: latest" || lines[1] != "latest: Pulling from some/bb" {
		t.Fatalf("printed %s", out)
	}
	end := strings.Join(lines[len(lines)-3:], "\n")
	if want := fmt.Sprintf("Digest: %s\nStatus: Downloaded newer image for %s:latest\n%s:latest", d.Digest, name, name); end != want {
		t.Errorf("ends with\n%s\nwant\n%s", end, want)
	}
	for _, l := range img.layers {
		for _, status := range []string{"Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"} {
			if n := strings.Count(out, short(l.Digest)+": "+status+" \n") + strings.Count(out, short(l.Digest)+": "+status+"\n"); n != 1 {
				t.Errorf("%d times %q for %s in\n%s", n, status, short(l.Digest), out)
			}
		}
	}
	lower, err := s.Layers(img)
	if err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command(lower.Lower[1]+"/bin/busybox", "echo", "runs").Output(); err != nil || string(said) != "runs\n" {
		t.Errorf("busybox says %q, %v", said, err)
	}
	if body, _ := os.ReadFile(lower.Lower[0] + "/f"); string(body) != "second" {
		t.Errorf("the upper layer holds %q", body)
	}
	_, out, err = pullText(s, t, name, PullOptions{})
	if want := fmt.Sprintf("Using default tag: latest\nlatest: Pulling from some/bb\nDigest: %s\nStatus: Image is up to date for %s:latest\n%s:latest\n", d.Digest, name, name); out != want || err != nil {
		t.Errorf("again: %v\n%s", err, out)
	}
	if _, out, err = pullText(s, t, name, PullOptions{Quiet: true}); out != name+":latest\n" || err != nil {
		t.Errorf("quietly: %v\n%s", err, out)
	}
	if _, out, err = pullText(s, t, name, PullOptions{Implicit: true}); !strings.HasPrefix(out, "latest: Pulling") || !strings.HasSuffix(out, "up to date for "+name+":latest\n") || err != nil {
		t.Errorf("for run: %v\n%s", err, out)
	}
}

func TestPullByDigestAndSharing(t *testing.T) {
	to, name := target(t, "bb")
	base := small(t, "base")
	one := to.Push(t, "one", config(thisPlatform().Architecture), base, small(t, "1"))
	two := to.Push(t, "two", config(thisPlatform().Architecture), base, small(t, "2"))
	s := newStore(t)
	img, out, err := pullText(s, t, name+"@"+one.Digest.String(), PullOptions{})
	if err != nil || len(img.Tags) != 0 || len(img.Digests) != 1 || !strings.HasPrefix(out, one.Digest.String()+": Pulling from bb\n") {
		t.Fatalf("%+v, %v\n%s", img, err, out)
	}
	_, out, err = pullText(s, t, name+":two", PullOptions{})
	if err != nil || !strings.Contains(out, "Already exists") || len(layerNumbers(t, s)) != 3 {
		t.Errorf("%v, layers %v\n%s", err, layerNumbers(t, s), out)
	}
	untagged, deleted, err := s.Remove(name+":two", false, nil)
	want := fmt.Sprint([]string{name + ":two", name + "@" + two.Digest.String()})
	if err != nil || fmt.Sprint(untagged) != want || len(deleted) != 2 {
		t.Errorf("removed %v %v, %v", untagged, deleted, err)
	}
	if _, err := s.Layers(img); err != nil {
		t.Error(err)
	}
	untagged, deleted, err = s.Remove(name+"@"+one.Digest.String(), false, nil)
	if err != nil || len(untagged) != 1 || len(deleted) != 3 {
		t.Errorf("removed %v %v, %v", untagged, deleted, err)
	}
	checkEmpty(t, s)
}

func TestPullNewVersionOfTag(t *testing.T) {
	to, name := target(t, "bb")
	s := newStore(t)
	to.Push(t, "v", config(thisPlatform().Architecture), small(t, "1"))
	old, _, err := pullText(s, t, name+":v", PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	to.Push(t, "v", config(thisPlatform().Architecture), small(t, "2"))
	now, out, err := pullText(s, t, name+":v", PullOptions{})
	if err != nil || now.ID == old.ID || !strings.Contains(out, "Downloaded newer image") {
		t.Fatalf("%v\n%s", err, out)
	}
	if was, err := s.Resolve(old.ID.String()); err != nil || len(was.Tags) != 0 || len(was.Digests) != 1 {
		t.Errorf("the old one is %+v, %v", was, err)
	}
}

func TestPullPlatforms(t *testing.T) {
	to, name := target(t, "multi")
	var list []ocispec.Descriptor
	for _, p := range []ocispec.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64", Variant: "v8"},
		{OS: "linux", Architecture: "arm", Variant: "v6"}, {OS: "linux", Architecture: "arm", Variant: "v7"}} {
		c := config(p.Architecture)
		c.Variant = p.Variant
		d := to.Push(t, "", c, small(t, formatPlatform(p)))
		d.Platform = &p
		list = append(list, d)
	}
	top := to.Manifest(t, "latest", ocispec.MediaTypeImageIndex, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex, Manifests: list})
	here := thisPlatform().Architecture
	for ask, want := range map[string]string{"": here, "linux/arm64": "arm64", "linux/arm64/v8": "arm64", "aarch64": "arm64", "linux/arm/v6": "arm", "linux/arm": "arm"} {
		s := newStore(t)
		img, _, err := pullText(s, t, name, PullOptions{Platform: ask})
		if err != nil || img.Config.Architecture != want || img.Digests[0] != name+"@"+top.Digest.String() {
			t.Errorf("%s: %+v, %v", ask, img, err)
		}
	}
	for ask, want := range map[string]string{
		"linux/s390x":   "no matching manifest for linux/s390x in the manifest list entries",
		"linux/arm/v5":  "no matching manifest for linux/arm/v5 in the manifest list entries",
		"windows/amd64": "no matching manifest for windows/amd64 in the manifest list entries",
		"bogus":         `"bogus": unknown operating system or architecture: invalid argument`,
		"a/b/c/d":       `"a/b/c/d": cannot parse platform specifier: invalid argument`,
	} {
		s := newStore(t)
		if _, _, err := pullText(s, t, name, PullOptions{Platform: ask}); err == nil || err.Error() != want {
			t.Errorf("%s: %v", ask, err)
		}
		checkEmpty(t, s)
	}
	to.Push(t, "alone", config("s390x"), small(t, "z"))
	if _, _, err := pullText(newStore(t), t, name+":alone", PullOptions{Platform: "linux/amd64"}); err == nil ||
		!strings.Contains(err.Error(), "does not match the specified platform (linux/amd64)") {
		t.Errorf("alone: %v", err)
	}
}

func TestPullZstd(t *testing.T) {
	to, name := target(t, "zstd")
	archive := registry.Tar(t, file("f", strings.Repeat("well packed ", 100000)))
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	l := registry.Gzip(t, archive)
	l.Blob, l.MediaType = w.EncodeAll(archive, nil), ocispec.MediaTypeImageLayerZstd
	plainLayer := registry.Layer{Blob: registry.Tar(t, file("g", "plain")), MediaType: ocispec.MediaTypeImageLayer}
	plainLayer.Diff = registry.Gzip(t, plainLayer.Blob).Diff
	to.Push(t, "latest", config(thisPlatform().Architecture), l, plainLayer)
	img, _, err := pullText(newStore(t), t, name, PullOptions{})
	if err != nil || img.Size != 1200000+5 {
		t.Errorf("%+v, %v", img, err)
	}
}

func TestPullWithPassword(t *testing.T) {
	needRoot(t)
	address := registry.Start(t, true)
	to := registry.Target{URL: "http://" + address, Repository: "secret", User: registry.User, Password: registry.Password}
	to.Push(t, "latest", config(thisPlatform().Architecture), small(t, "1"))
	name := address + "/secret"
	for password, want := range map[string]string{
		"":                fmt.Sprintf("Head %q: no basic auth credentials", "http://"+name+"/manifests/latest"),
		"wrong":           "unauthorized: authentication required",
		registry.Password: "",
	} {
		want = strings.Replace(want, "http://"+address, "http://"+address+"/v2", 1)
		useConfig(t, dockerConfig(t, address, password))
		s := newStore(t)
		_, _, err := pullText(s, t, name, PullOptions{})
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("password %q: %v, want %q", password, err, want)
		}
	}
}

// dockerConfig writes what `docker login` would have written.
func dockerConfig(t *testing.T, address, password string) string {
	dir := t.TempDir()
	content := "{}"
	if password != "" {
		content = fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, address, base64.StdEncoding.EncodeToString([]byte(registry.User+":"+password)))
	}
	if err := os.WriteFile(dir+"/config.json", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPullFromMirror(t *testing.T) {
	to, name := target(t, "library/mirrored")
	to.Push(t, "latest", config(thisPlatform().Architecture), small(t, "1"))
	address := strings.TrimSuffix(name, "/library/mirrored")
	settings := filepath.Join(t.TempDir(), "config.json")
	// The first mirror is not there: the second is asked.
	content := fmt.Sprintf(`{"registry-mirrors": ["http://127.0.0.1:1", "http://%s/"]}`, address)
	if err := os.WriteFile(settings, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GLASSBOX_CONFIG", settings)
	img, out, err := pullText(newStore(t), t, "mirrored", PullOptions{})
	if err != nil || img.Tags[0] != "mirrored:latest" || !strings.HasSuffix(out, "\ndocker.io/library/mirrored:latest\n") {
		t.Errorf("%+v, %v\n%s", img, err, out)
	}
	for content, want := range map[string]string{`{"registry-mirrors": ["ftp://x"]}`: "invalid mirror", `{`: "reading " + settings} {
		if err := os.WriteFile(settings, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := pullText(newStore(t), t, "mirrored", PullOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", content, err)
		}
	}
}

func TestInsecure(t *testing.T) {
	s := settings{Insecure: []string{"plain.example:5000", "10.0.0.0/8"}}
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.9.9.9:5000": true, "[::1]:5000": true, "10.1.2.3:80": true,
		"plain.example:5000": true, "plain.example": false, "192.168.1.1:5000": false, "registry-1.docker.io": false,
		"localhost.example": false, "127.0.0.1.example": false,
	} {
		if got := s.insecure(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}

// TestUnreachable asks registries that are not there.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for _, name := range []string{address + "/x", "no-such-host.invalid/x"} {
		before := time.Now()
		_, err := newStore(t).Pull(context.Background(), mustRef(t, name), PullOptions{})
		var away *Unreachable
		if !errors.As(err, &away) || !strings.HasPrefix(err.Error(), `Get "http`) || !strings.Contains(err.Error(), `/v2/": dial tcp`) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(before); took > contact+5*time.Second {
			t.Errorf("%s: %v", name, took)
		}
	}
}

// TestTwoPullsAtOnce races processes for the same image.
func TestTwoPullsAtOnce(t *testing.T) {
	to, name := target(t, "raced")
	layers := []registry.Layer{busybox(t)}
	for i := range 6 {
		layers = append(layers, small(t, strings.Repeat(fmt.Sprint(i), 100<<10)))
	}
	to.Push(t, "latest", config(thisPlatform().Architecture), layers...)
	s := newStore(t)
	var all []*exec.Cmd
	var outs []*bytes.Buffer
	for range 4 {
		c, out := other(t, s.dir, name), &bytes.Buffer{}
		c.Stdout, c.Stderr = out, out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all, outs = append(all, c), append(outs, out)
	}
	for i, c := range all {
		if err := c.Wait(); err != nil {
			t.Errorf("%v\n%s", err, outs[i])
		}
	}
	if n := layerNumbers(t, s); len(n) != len(layers) {
		t.Errorf("layers are %v", n)
	}
	img, err := s.Resolve(name)
	if err != nil || len(img.Tags) != 1 || len(img.Digests) != 1 {
		t.Errorf("%+v, %v", img, err)
	}
}

// TestKilledPull kills a pull in the middle, again and again at other moments, and then pulls for good.
func TestKilledPull(t *testing.T) {
	to, name := target(t, "killed")
	random := make([]byte, 4<<20)
	for i := range random {
		random[i] = byte(i * i >> 7)
	}
	layers := []registry.Layer{busybox(t), small(t, string(random)), small(t, "last")}
	to.Push(t, "latest", config(thisPlatform().Architecture), layers...)
	s := newStore(t)
	killed := 0
	for i := range 12 {
		c := other(t, s.dir, name)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(5+i*6) * time.Millisecond)
		c.Process.Kill()
		if c.Wait() != nil {
			killed++
		}
		if img, err := s.Resolve(name); err == nil {
			if _, err := s.Layers(img); err != nil {
				t.Errorf("the image has a name and is not complete: %v", err)
			}
			s.Remove(name, true, nil)
		}
	}
	if killed == 0 {
		t.Error("every pull was quicker than its end")
	}
	img, _, err := pullText(s, t, name, PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lower, err := s.Layers(img)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := os.ReadFile(lower.Lower[1] + "/f"); !bytes.Equal(body, random) {
		t.Error("the layer's file is not what was pushed")
	}
	if n := layerNumbers(t, s); len(n) != len(layers) {
		// A number without a record belongs to nobody: deletion finds it.
		if err := s.collect(context.Background()); err != nil || len(layerNumbers(t, s)) != len(layers) {
			t.Errorf("layers are %v, %v", layerNumbers(t, s), err)
		}
	}
}

// TestRemoveDuringPull deletes images that share layers with one being pulled.
func TestRemoveDuringPull(t *testing.T) {
	to, name := target(t, "busy")
	base := small(t, strings.Repeat("base", 1000))
	to.Push(t, "stays", config(thisPlatform().Architecture), base, busybox(t))
	to.Push(t, "goes", config(thisPlatform().Architecture), base)
	s := newStore(t)
	for range 6 {
		if _, _, err := pullText(s, t, name+":goes", PullOptions{}); err != nil {
			t.Fatal(err)
		}
		c, out := other(t, s.dir, name+":stays"), &bytes.Buffer{}
		c.Stdout, c.Stderr = out, out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * time.Millisecond)
		if _, _, err := s.Remove(name+":goes", false, nil); err != nil {
			t.Error(err)
		}
		if err := c.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		img, err := s.Resolve(name + ":stays")
		if err != nil {
			t.Fatal(err)
		}
		lower, err := s.Layers(img)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(lower.Lower[1] + "/f"); err != nil {
			t.Error(err)
		}
		if _, _, err := s.Remove(name+":stays", false, nil); err != nil {
			t.Error(err)
		}
		checkEmpty(t, s)
	}
}

// TestListFromSkopeo has skopeo put a whole list of images into the store.
func TestListFromSkopeo(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is missing (apt-get install skopeo)")
	}
	to, name := target(t, "multi")
	var list []ocispec.Descriptor
	for _, arch := range []string{"amd64", "arm64", "s390x"} {
		d := to.Push(t, "", config(arch), small(t, arch))
		d.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		list = append(list, d)
	}
	to.Manifest(t, "latest", ocispec.MediaTypeImageIndex, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex, Manifests: list})
	s := newStore(t)
	imports(t, s, "first", "first") // so that there is a layout
	out, err := exec.Command(skopeo, "copy", "--all", "--src-tls-verify=false", "docker://"+name+":latest", "oci:"+s.dir+":multi:all").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	img, err := s.Resolve("multi:all")
	if err != nil || img.Config.Architecture != thisPlatform().Architecture {
		t.Fatalf("%+v, %v", img, err)
	}
	lower, err := s.Layers(img)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := os.ReadFile(lower.Lower[0] + "/f"); string(body) != thisPlatform().Architecture {
		t.Errorf("the layer holds %q", body)
	}
	// A deletion elsewhere touches none of the list's images.
	if _, _, err := s.Remove("first", false, nil); err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if !s.hasBlob(d.Digest) {
			t.Errorf("the manifest for %s is gone", formatPlatform(*d.Platform))
		}
	}
	if all, err := s.List(); err != nil || len(all) != 1 {
		t.Errorf("images are %v, %v", all, err)
	}
	if err := s.Tag("multi:all", "mine"); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"multi:all", "mine"} {
		if _, _, err := s.Remove(ref, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	checkEmpty(t, s)
}
