package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"glassbox/test/registry"

	"github.com/distribution/reference"
	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// madeHere makes an image here, of layers with one file each.
func madeHere(t testing.TB, s *Store, name string, bodies ...string) *Image {
	t.Helper()
	var base *Image
	var err error
	for i, body := range bodies {
		d := Draft{Base: base}
		d.Document.History = make([]ocispec.History, i+1)
		if i == len(bodies)-1 {
			d.Ref = reference.TagNameOnly(mustRef(t, name))
		}
		if base, err = s.Add(context.Background(), bytes.NewReader(registry.Tar(t, file(fmt.Sprintf("f%d", i), body))), d); err != nil {
			t.Fatal(err)
		}
	}
	return base
}

func pushText(s *Store, t testing.TB, name string, o PushOptions) ([]Pushed, string, error) {
	t.Helper()
	var out bytes.Buffer
	o.Out = &out
	pushed, err := s.Push(context.Background(), mustRef(t, name), o)
	return pushed, out.String(), err
}

// TestPush sends an image made here, which another store then pulls; again; to another repository; and a pulled one elsewhere.
func TestPush(t *testing.T) {
	needRoot(t)
	address := registry.Start(t, false)
	s := newStore(t)
	name := address + "/some/thing"
	img := madeHere(t, s, name, "one", noise(1<<20))
	pushed, out, err := pushText(s, t, name+":latest", PushOptions{})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"The push refers to repository [" + name + "]\n", ": Preparing\n", ": Pushed\n",
		fmt.Sprintf("latest: digest: %s size: %d\n", pushed[0].Digest, pushed[0].Size)} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	img, err = s.Resolve(img.ID.String())
	if err != nil || len(img.Digests) != 1 || img.Digests[0] != name+"@"+pushed[0].Digest.String() {
		t.Errorf("digests %v, %v", img.Digests, err)
	}
	if byDigest, err := s.Resolve(img.Digests[0]); err != nil || byDigest.ID != img.ID {
		t.Errorf("by the digest: %v", err)
	}

	other := newStore(t)
	got, _, err := pullText(other, t, name, PullOptions{})
	if err != nil || got.ID != img.ID || got.Manifest.Digest != pushed[0].Digest {
		t.Fatalf("pulled %+v, %v", got, err)
	}
	lower, err := other.Layers(got)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := os.ReadFile(lower.Lower[0] + "/f1"); string(body) != noise(1<<20) {
		t.Error("what was pulled is not what was pushed")
	}

	again, out, err := pushText(s, t, name+":latest", PushOptions{})
	if err != nil || again[0].Digest != pushed[0].Digest || strings.Count(out, "Layer already exists") != 2 || strings.Contains(out, "Pushed") {
		t.Errorf("again: %v %v\n%s", again, err, out)
	}
	if err := s.Tag(name, address+"/else:v2"); err != nil {
		t.Fatal(err)
	}
	mounted, out, err := pushText(s, t, address+"/else:v2", PushOptions{})
	if err != nil || mounted[0].Digest != pushed[0].Digest || strings.Count(out, ": Mounted from some/thing\n") != 2 {
		t.Errorf("to another repository: %v %v\n%s", mounted, err, out)
	}

	// To another registry, and what was pulled: the very same bytes.
	second := registry.Start(t, false)
	if err := other.Tag(name, second+"/copy"); err != nil {
		t.Fatal(err)
	}
	copied, out, err := pushText(other, t, second+"/copy:latest", PushOptions{})
	if err != nil || copied[0].Digest != pushed[0].Digest {
		t.Errorf("pulled and pushed: %v %v\n%s", copied, err, out)
	}
	if _, out, err = pushText(other, t, second+"/copy:latest", PushOptions{Quiet: true}); err != nil || out != second+"/copy:latest\n" {
		t.Errorf("quietly: %v %q", err, out)
	}
}

// TestPushSame has two stores make and push the same: what lies in the registry then is one blob, whoever packed it.
func TestPushSame(t *testing.T) {
	needRoot(t)
	address := registry.Start(t, false)
	var last Pushed
	for i := range 2 {
		s := newStore(t)
		madeHere(t, s, address+"/same", strings.Repeat("well packed ", 200_000))
		pushed, _, err := pushText(s, t, address+"/same:latest", PushOptions{})
		if err != nil || i > 0 && pushed[0] != last {
			t.Errorf("%v and %v, %v", pushed, last, err)
		}
		last = pushed[0]
	}
}

func TestPushAllTags(t *testing.T) {
	needRoot(t)
	address := registry.Start(t, false)
	name := address + "/many"
	s := newStore(t)
	madeHere(t, s, name+":b", "b")
	madeHere(t, s, name+":a", "a")
	if err := s.Tag(name+":b", name+":c"); err != nil {
		t.Fatal(err)
	}
	pushed, out, err := pushText(s, t, name, PushOptions{All: true})
	if err != nil || len(pushed) != 3 || pushed[0].Tag != "a" || pushed[1].Digest != pushed[2].Digest || strings.Count(out, "Pushed") != 2 {
		t.Fatalf("%v %v\n%s", pushed, err, out)
	}
	other := newStore(t)
	img, out, err := pullText(other, t, name, PullOptions{All: true})
	if err != nil || img == nil {
		t.Fatalf("%v\n%s", err, out)
	}
	end := fmt.Sprintf("Status: Downloaded newer image for %s\n%s\n", name, name)
	for _, want := range []string{"a: Pulling from many", "b: Pulling from many", "c: Pulling from many", end} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if all, err := other.List(); err != nil || len(all) != 2 || len(all[0].Tags)+len(all[1].Tags) != 3 {
		t.Errorf("pulled %+v, %v", all, err)
	}
	if _, out, err = pullText(other, t, name, PullOptions{All: true}); err != nil || !strings.Contains(out, "Status: Image is up to date for "+name+"\n") {
		t.Errorf("again: %v\n%s", err, out)
	}
}

// TestPushRefused says what Docker says.
func TestPushRefused(t *testing.T) {
	needRoot(t)
	open, closed := registry.Start(t, false), registry.Start(t, true)
	s := newStore(t)
	madeHere(t, s, open+"/one:here", "x")
	madeHere(t, s, closed+"/one:here", "x")
	for _, c := range []struct {
		name, password string
		all            bool
		want           string
	}{
		{open + "/nosuch:latest", "", false, "An image does not exist locally with the tag: " + open + "/nosuch"},
		{open + "/one:nosuch", "", false, "tag does not exist: " + open + "/one:nosuch"},
		{open + "/nosuch", "", true, "An image does not exist locally with the tag: " + open + "/nosuch"},
		{closed + "/one:here", "", false, "no basic auth credentials"},
		{closed + "/one:here", "wrong", false, "unauthorized: authentication required"},
		{closed + "/one:here", registry.Password, false, ""},
	} {
		useConfig(t, dockerConfig(t, closed, c.password))
		_, out, err := pushText(s, t, c.name, PushOptions{All: c.all})
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s: %v, want %q\n%s", c.name, err, c.want, out)
		}
	}
	if err := s.Tag(open+"/one:here", "127.0.0.1:1/x:y"); err != nil {
		t.Fatal(err)
	}
	_, _, err := pushText(s, t, "127.0.0.1:1/x:y", PushOptions{})
	var away *Unreachable
	if !errors.As(err, &away) {
		t.Errorf("nobody there: %v", err)
	}
}

// TestPushPlatforms sends a list of images, one of which lies here unpacked, and then one that is not complete.
func TestPushPlatforms(t *testing.T) {
	needRoot(t)
	address := registry.Start(t, false)
	s := newStore(t)
	var list ocispec.Index
	list.SchemaVersion, list.MediaType = 2, ocispec.MediaTypeImageIndex
	for _, arch := range []string{thisPlatform().Architecture, "s390x"} {
		d := Draft{}
		d.Document.OS, d.Document.Architecture = "linux", arch
		d.Document.History = make([]ocispec.History, 1)
		img, err := s.Add(context.Background(), bytes.NewReader(registry.Tar(t, file("f", arch))), d)
		if err != nil {
			t.Fatal(err)
		}
		one := img.Manifest
		one.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		list.Manifests = append(list.Manifests, one)
	}
	enter := func(name string, l ocispec.Index) ocispec.Descriptor {
		raw, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		d := describe(ocispec.MediaTypeImageIndex, raw)
		err = errors.Join(s.putBlob(context.Background(), d.Digest, raw), s.changeIndex(context.Background(), func(x *index) error {
			x.set(mustRef(t, name), d)
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	name := address + "/multi"
	enter(name+":both", list)
	pushed, out, err := pushText(s, t, name+":both", PushOptions{})
	if err != nil || pushed[0].Instead != "" {
		t.Fatalf("%v %v\n%s", pushed, err, out)
	}
	for _, arch := range []string{"amd64", "s390x"} {
		if img, _, err := pullText(newStore(t), t, name+":both", PullOptions{Platform: "linux/" + arch}); err != nil || img.Config.Architecture != arch {
			t.Errorf("%s: %v", arch, err)
		}
	}
	if _, out, err := pushText(s, t, name+":both", PushOptions{Platform: "linux/s390x"}); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if _, _, err := pullText(newStore(t), t, name+":both", PullOptions{Platform: "linux/amd64"}); err == nil {
		t.Error("--platform has pushed more than the one")
	}
	if _, _, err := pushText(s, t, name+":both", PushOptions{Platform: "linux/riscv64"}); err == nil || !strings.Contains(err.Error(), "no matching manifest for linux/riscv64") {
		t.Error(err)
	}
	lacking := list
	lacking.Manifests = append([]ocispec.Descriptor{}, list.Manifests...)
	lacking.Manifests[1].Digest = describe("", []byte("nowhere")).Digest
	d := enter(name+":lacking", lacking)
	if pushed, out, err = pushText(s, t, name+":lacking", PushOptions{}); err != nil || pushed[0].Instead != d.Digest {
		t.Errorf("%v %v\n%s", pushed, err, out)
	}
}

// TestPushOnZstd puts a layer on an image whose layers are packed by zstd, of which Docker's manifests know nothing: the new one is OCI's.
func TestPushOnZstd(t *testing.T) {
	to, name := target(t, "zstd")
	archive := registry.Tar(t, file("f", "below"))
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	to.Push(t, "latest", config(thisPlatform().Architecture),
		registry.Layer{Blob: z.EncodeAll(archive, nil), Diff: describe("", archive).Digest, MediaType: ocispec.MediaTypeImageLayerZstd})
	s := newStore(t)
	base, _, err := pullText(s, t, name, PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d := Draft{Base: base, Ref: reference.TagNameOnly(mustRef(t, name+"-more"))}
	d.Document.History = make([]ocispec.History, 2)
	img, err := s.Add(context.Background(), bytes.NewReader(registry.Tar(t, file("g", "above"))), d)
	if err != nil {
		t.Fatal(err)
	}
	pushed, out, err := pushText(s, t, name+"-more:latest", PushOptions{})
	if err != nil || strings.Count(out, "Mounted from zstd") != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	other := newStore(t)
	got, _, err := pullText(other, t, name+"-more", PullOptions{})
	if err != nil || got.ID != img.ID || got.Manifest.Digest != pushed[0].Digest || got.Manifest.MediaType != ocispec.MediaTypeImageManifest ||
		got.layers[0].MediaType != ocispec.MediaTypeImageLayerZstd || got.layers[1].MediaType != ocispec.MediaTypeImageLayerGzip {
		t.Errorf("%+v %+v, %v", got.Manifest, got.layers, err)
	}
}

// TestPushFaults breaks, slows and spoils what goes through a proxy to the registry.
func TestPushFaults(t *testing.T) {
	p, name := faulty(t)
	for i, c := range []struct {
		title string
		times int
		spoil func(w http.ResponseWriter, r *http.Request, next http.Handler)
		want  string // the error; empty: none after so many tries
	}{
		{"cut before the upload", 2, hangUp, ""},
		{"429", 2, busyWith(429), ""},
		{"503", 2, busyWith(503), ""},
		{"429 for ever", 1000, busyWith(429), "toomanyrequests: "},
		{"500 for ever", 1000, busyWith(500), "received unexpected HTTP status: 500 Internal Server Error"},
		{"flipped", 1, flipped, ""},
		{"flipped for ever", 1000, flipped, "digest invalid"},
		{"denied", 1000, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			refuse(403, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`)(w)
		}, "denied: requested access to the resource is denied"},
		{"too large", 1000, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(413) }, "received unexpected HTTP status: 413"},
		{"no place", 1000, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(202) }, "does not say where to send"},
	} {
		for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodPut} {
			if c.title == "no place" && method != http.MethodPost || strings.HasPrefix(c.title, "flipped") && method != http.MethodPatch {
				continue // it means nothing there
			}
			t.Run(c.title+" "+method, func(t *testing.T) {
				var left atomic.Int32
				left.Store(int32(c.times))
				p.spoil = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					if r.Method == method && strings.Contains(r.URL.Path, "/blobs/uploads/") && left.Add(-1) >= 0 {
						c.spoil(w, r, next)
						return
					}
					next.ServeHTTP(w, r)
				}
				s := newStore(t)
				to := fmt.Sprintf("%s%s%d", strings.TrimSuffix(name, "some/thing"), strings.ToLower(method), i)
				madeHere(t, s, to, noise(200<<10))
				_, out, err := pushText(s, t, to+":latest", PushOptions{})
				if c.want != "" {
					if err == nil || !strings.Contains(err.Error(), c.want) {
						t.Errorf("%v, want %q\n%s", err, c.want, out)
					}
					return
				}
				if err != nil || !strings.Contains(out, "Retrying in") {
					t.Fatalf("%v\n%s", err, out)
				}
				p.spoil = func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }
				if _, out, err := pullText(newStore(t), t, to, PullOptions{}); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

func hangUp(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

func busyWith(status int) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.WriteHeader(status)
	}
}

// flipped changes a byte on the way.
func flipped(w http.ResponseWriter, r *http.Request, next http.Handler) {
	var b bytes.Buffer
	b.ReadFrom(r.Body)
	b.Bytes()[b.Len()/2] ^= 0x10
	r.Body = noClose{&b}
	next.ServeHTTP(w, r)
}

type noClose struct{ *bytes.Buffer }

func (noClose) Close() error { return nil }
