package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glassbox/test/need"
	"glassbox/test/registry"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// family is a store with two images, the second made of the first, under three names.
func family(t *testing.T) (*Store, *Image) {
	t.Helper()
	s := newStore(t)
	base := imports(t, s, "base", "1")
	img := child(t, s, base, "example.org:5000/some/thing:v1", registry.Tar(t, file("g", "two")))
	must(t, s.Tag("example.org:5000/some/thing:v1", "other:v2"))
	return s, img
}

func save(t *testing.T, s *Store, o SaveOptions, names ...string) []byte {
	t.Helper()
	chosen, err := s.Chosen(names)
	must(t, err)
	var b bytes.Buffer
	must(t, s.Save(bg, &b, chosen, o))
	return b.Bytes()
}

func load(t *testing.T, s *Store, archive []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := s.Load(bg, bytes.NewReader(archive), LoadOptions{Out: &out}); err != nil {
		t.Fatalf("loading: %v, having said %s", err, out.String())
	}
	return out.String()
}

// inside are an archive's files.
func contents(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		must(t, err)
		all[h.Name], err = io.ReadAll(r)
		must(t, err)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(need.Program(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestSaveAndLoad(t *testing.T) {
	from, img := family(t)
	for _, o := range []SaveOptions{{}, {OCI: true}} {
		archive := save(t, from, o, "example.org:5000/some/thing", "other:v2", "base")
		if again := save(t, from, o, "example.org:5000/some/thing", "other:v2", "base"); !bytes.Equal(archive, again) {
			t.Error("saved twice, the same images are two archives")
		}
		to := newStore(t)
		out := load(t, to, archive)
		if want := "Loaded image: example.org:5000/some/thing:v1\nLoaded image: other:v2\nLoaded image: base:latest\n"; out != want {
			t.Errorf("%+v: loading said %q, want %q", o, out, want)
		}
		got, err := to.Resolve("other:v2")
		must(t, err)
		if got.ID != img.ID || got.Size != img.Size || len(got.Tags) != 2 || len(got.Digests) != 0 {
			t.Errorf("%+v: loaded %+v, want %+v", o, got, img)
		}
		if !o.OCI && got.Parent != img.Parent {
			t.Errorf("its parent is %q, want %q", got.Parent, img.Parent)
		}
		layers, err := to.Layers(got)
		must(t, err)
		if body, err := os.ReadFile(layers.Lower[0] + "/g"); err != nil || string(body) != "two" {
			t.Errorf("%+v: its file holds %q, %v", o, body, err)
		}
		for _, ref := range []string{"other:v2", "base", "example.org:5000/some/thing:v1"} {
			if _, _, err := to.Remove(ref, false, nil); err != nil {
				t.Error(err)
			}
		}
		checkEmpty(t, to)
	}
}

// TestSaveByID: no name is given to what was asked for by its id.
func TestSaveByID(t *testing.T) {
	from, img := family(t)
	for _, ref := range []string{img.ID.String(), img.ID.Encoded(), img.ID.Encoded()[:9], "sha256:" + img.ID.Encoded()[:9]} {
		archive := save(t, from, SaveOptions{}, ref)
		if _, ok := contents(t, archive)["repositories"]; ok {
			t.Errorf("%s: there is a file repositories", ref)
		}
		if out := load(t, newStore(t), archive); out != "Loaded image ID: "+img.ID.String()+"\n" {
			t.Errorf("%s: loading said %q", ref, out)
		}
	}
	var missing *NotFound
	if _, err := from.Chosen([]string{"nope"}); !errors.As(err, &missing) || err.Error() != "No such image: nope" {
		t.Errorf("a name that is not there: %v", err)
	}
	var unknown *NoReference
	if _, err := from.Chosen([]string{"other:nope"}); !errors.As(err, &unknown) {
		t.Errorf("a tag that is not there: %v", err)
	}
	nothing, err := from.AddConfig(bg, Draft{})
	must(t, err)
	if err := from.Save(bg, io.Discard, []Saved{{Image: nothing}}, SaveOptions{}); err == nil || err.Error() != "empty export - not implemented" {
		t.Errorf("saving an image without layers: %v", err)
	}
}

// TestSaveDamaged: what has changed on the disk is noticed before anybody takes it for an image.
func TestSaveDamaged(t *testing.T) {
	s, img := family(t)
	path := s.blob(img.layers[1].Digest)
	raw, err := os.ReadFile(path)
	must(t, err)
	raw[600] ^= 1
	must(t, os.WriteFile(path, raw, 0o644))
	err = s.Save(bg, io.Discard, []Saved{{Image: img}}, SaveOptions{})
	if err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("saving a flipped bit: %v", err)
	}
	must(t, os.Truncate(path, 512))
	if err := s.Save(bg, io.Discard, []Saved{{Image: img}}, SaveOptions{}); err == nil {
		t.Error("half a layer is saved")
	}
}

// TestLoadPacked: archives come packed, and so do layers in them.
func TestLoadPacked(t *testing.T) {
	from, img := family(t)
	archive := save(t, from, SaveOptions{}, "other:v2")
	for _, packer := range []string{"gzip", "bzip2", "xz", "zstd"} {
		c := exec.Command(need.Program(t, packer), "-c")
		c.Stdin = bytes.NewReader(archive)
		packed, err := c.Output()
		must(t, err)
		to := newStore(t)
		if out := load(t, to, packed); out != "Loaded image: other:v2\n" {
			t.Errorf("%s: loading said %q", packer, out)
		}
		if got, err := to.Resolve("other:v2"); err != nil || got.ID != img.ID {
			t.Errorf("%s: loaded %+v, %v", packer, got, err)
		}
	}
}

// TestTools: what glassbox writes, skopeo and umoci read, and what skopeo, buildah and umoci write, glassbox reads. The image stays the
// same all the way round.
func TestTools(t *testing.T) {
	from, img := family(t)
	dir := t.TempDir()
	policy := dir + "/policy.json"
	must(t, os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o600))
	skopeo := func(source, target string) { run(t, "skopeo", "--policy", policy, "copy", source, target) }
	must(t, os.WriteFile(dir+"/saved.tar", save(t, from, SaveOptions{}, "other:v2"), 0o600))
	must(t, os.WriteFile(dir+"/layout.tar", save(t, from, SaveOptions{OCI: true}, "other:v2"), 0o600))
	sources := map[string]string{
		"as Docker's": "docker-archive:" + dir + "/saved.tar", "as a layout": "oci-archive:" + dir + "/saved.tar",
		"a layout": "oci-archive:" + dir + "/layout.tar", "the store": "oci:" + from.dir + ":other:v2",
	}
	i := 0
	for name, source := range sources {
		for _, target := range []string{"docker-archive:FILE:other:v2", "oci-archive:FILE:other:v2"} {
			i++
			file := fmt.Sprintf("%s/%d.tar", dir, i)
			skopeo(source, strings.Replace(target, "FILE", file, 1))
			raw, err := os.ReadFile(file)
			must(t, err)
			to := newStore(t)
			if out := load(t, to, raw); out != "Loaded image: other:v2\n" {
				t.Errorf("%s by skopeo as %s: loading said %q", name, target, out)
			}
			if got, err := to.Resolve("other:v2"); err != nil || !slices.Equal(got.Config.RootFS.DiffIDs, img.Config.RootFS.DiffIDs) {
				t.Errorf("%s by skopeo as %s: %+v, %v", name, target, got, err)
			}
		}
	}
	t.Run("umoci", func(t *testing.T) { umoci(t, from) })
	t.Run("buildah", func(t *testing.T) { buildah(t, dir) })
}

// umoci unpacks what we have saved, adds a layer, and we load that.
func umoci(t *testing.T, from *Store) {
	dir := t.TempDir()
	layout := filepath.Join(dir, "layout")
	must(t, os.Mkdir(layout, 0o755))
	must(t, os.WriteFile(dir+"/l.tar", save(t, from, SaveOptions{OCI: true}, "other:v2"), 0o600))
	run(t, "tar", "-C", layout, "-xf", dir+"/l.tar")
	run(t, "umoci", "unpack", "--image", layout+":v2", dir+"/bundle")
	if body, err := os.ReadFile(dir + "/bundle/rootfs/g"); err != nil || string(body) != "two" {
		t.Errorf("umoci unpacked %q, %v", body, err)
	}
	must(t, os.Remove(dir+"/bundle/rootfs/f"))
	must(t, os.WriteFile(dir+"/bundle/rootfs/h", []byte("umoci's"), 0o644))
	run(t, "umoci", "repack", "--image", layout+":v3", dir+"/bundle")
	run(t, "umoci", "rm", "--image", layout+":v2")
	run(t, "tar", "-C", layout, "-cf", dir+"/again.tar", ".")
	raw, err := os.ReadFile(dir + "/again.tar")
	must(t, err)
	to := newStore(t)
	if out := load(t, to, raw); out != "Loaded image: other:v2\n" { // umoci keeps the annotation that says so
		t.Fatalf("loading umoci's said %q", out)
	}
	got, err := to.Resolve("other:v2")
	must(t, err)
	layers, err := to.Layers(got)
	must(t, err)
	if st := stat(t, layers.Lower[0]+"/f"); len(layers.Lower) != 3 || st.Mode != unix.S_IFCHR {
		t.Errorf("umoci's layer is %v; what it deleted has mode %o", layers.Lower, st.Mode)
	}
}

func buildah(t *testing.T, dir string) {
	root := t.TempDir()
	must(t, os.WriteFile(dir+"/Dockerfile", []byte("FROM scratch\nCOPY Dockerfile /\nENV A=b\n"), 0o600))
	must(t, os.WriteFile(dir+"/auth.json", []byte("{}"), 0o600))
	storage := []string{"--root", root + "/root", "--runroot", root + "/run", "--storage-driver", "vfs"}
	run(t, "buildah", append(storage, "bud", "--isolation", "chroot", "-t", "built:v1", dir)...)
	for kind, want := range map[string]string{
		"docker-archive": "Loaded image: built:v1\nLoaded image: localhost/built:v1\n", "oci-archive": "Loaded image: built:v1\n",
	} {
		file := fmt.Sprintf("%s/%s.tar", root, kind)
		run(t, "buildah", append(storage, "push", "--authfile", dir+"/auth.json", "built:v1", kind+":"+file+":built:v1")...)
		raw, err := os.ReadFile(file)
		must(t, err)
		to := newStore(t)
		if out := load(t, to, raw); out != want {
			t.Errorf("loading buildah's %s said %q", kind, out)
		}
		if got, err := to.Resolve("built:v1"); err != nil || len(got.layers) != 1 || !slices.Contains(got.Config.Config.Env, "A=b") {
			t.Errorf("loaded %+v, %v", got, err)
		}
	}
}

// ociArchive is an OCI archive of our making.
type ociArchive struct {
	t     *testing.T
	files map[string][]byte
	index ocispec.Index
}

func newLayout(t *testing.T) *ociArchive {
	return &ociArchive{t: t, files: map[string][]byte{"oci-layout": []byte(layoutFile)},
		index: ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}}}
}

func (l *ociArchive) blob(mediaType string, raw []byte) ocispec.Descriptor {
	d := digest.FromBytes(raw)
	l.files["blobs/sha256/"+d.Encoded()] = raw
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(raw))}
}

func (l *ociArchive) json(mediaType string, v any) ocispec.Descriptor {
	raw, err := json.Marshal(v)
	must(l.t, err)
	return l.blob(mediaType, raw)
}

// image puts an image into the layout, whose layers come packed with the same names of their kinds.
func (l *ociArchive) image(layers []ocispec.Descriptor, diffs ...digest.Digest) ocispec.Descriptor {
	var config ocispec.Image
	config.OS, config.Architecture, config.RootFS = "linux", thisPlatform().Architecture, ocispec.RootFS{Type: "layers", DiffIDs: diffs}
	return l.json(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: l.json(ocispec.MediaTypeImageConfig, config), Layers: layers,
	})
}

func (l *ociArchive) name(d ocispec.Descriptor, name string) {
	d.Annotations = map[string]string{ocispec.AnnotationRefName: name}
	l.index.Manifests = append(l.index.Manifests, d)
}

func (l *ociArchive) archive() []byte {
	raw, err := json.Marshal(l.index)
	must(l.t, err)
	l.files["index.json"] = raw
	return archiveOf(l.t, l.files)
}

// archiveOf puts files into an archive, sorted by name.
func archiveOf(t *testing.T, files map[string][]byte) []byte {
	var all []registry.File
	for name, body := range files {
		all = append(all, file(name, string(body)))
	}
	slices.SortFunc(all, func(a, b registry.File) int { return strings.Compare(a.Name, b.Name) })
	return registry.Tar(t, all...)
}

// packedLayer is a layer in all of its packings.
func packedLayer(t *testing.T, l *ociArchive, kind string, files ...registry.File) (ocispec.Descriptor, digest.Digest) {
	plain := registry.Tar(t, files...)
	switch kind {
	case "+gzip":
		return l.blob(ocispec.MediaTypeImageLayerGzip, registry.Gzip(t, plain).Blob), digest.FromBytes(plain)
	case "+zstd":
		z, err := zstd.NewWriter(nil)
		must(t, err)
		return l.blob(ocispec.MediaTypeImageLayerZstd, z.EncodeAll(plain, nil)), digest.FromBytes(plain)
	}
	return l.blob(ocispec.MediaTypeImageLayer, plain), digest.FromBytes(plain)
}

// TestLoadLayout: layers packed as the specification allows, one of them twice, the manifest kept as it came.
func TestLoadLayout(t *testing.T) {
	for _, kind := range []string{"", "+gzip", "+zstd"} {
		s := newStore(t)
		needRoot(t)
		l := newLayout(t)
		one, diffOne := packedLayer(t, l, kind, file("f", "1"))
		two, diffTwo := packedLayer(t, l, kind, file("g", "2"))
		m := l.image([]ocispec.Descriptor{one, two, one}, diffOne, diffTwo, diffOne)
		l.name(m, "a:1")
		archive := l.archive()
		if out := load(t, s, archive); out != "Loaded image: a:1\n" {
			t.Errorf("%s: loading said %q", kind, out)
		}
		img, err := s.Resolve("a:1")
		must(t, err)
		if img.Manifest.Digest != m.Digest || len(img.ChainIDs()) != 3 || img.Size != 3 {
			t.Errorf("%s: loaded %+v", kind, img)
		}
		layers, err := s.Layers(img)
		if err != nil || len(layers.Lower) != 3 || layers.Lower[0] == layers.Lower[2] {
			t.Errorf("%s: its layers are %+v, %v", kind, layers, err)
		}
		// Again, and with another image that has the layers in another order.
		l.name(l.image([]ocispec.Descriptor{two, one}, diffTwo, diffOne), "b:1")
		if out := load(t, s, l.archive()); out != "Loaded image: a:1\nLoaded image: b:1\n" {
			t.Errorf("%s: loading more said %q", kind, out)
		}
		must(t, s.check(t))
		for _, ref := range []string{"a:1", "b:1"} {
			if _, _, err := s.Remove(ref, false, nil); err != nil {
				t.Error(err)
			}
		}
		checkEmpty(t, s)
	}
}

// check opens all layers of all images, and checks all blobs.
func (s *Store) check(t *testing.T) error {
	all, err := s.List()
	if err != nil {
		return err
	}
	for _, img := range all {
		if _, err := s.Layers(img); err != nil {
			return err
		}
		if err := s.Save(bg, io.Discard, []Saved{{Image: img}}, SaveOptions{}); err != nil {
			return err
		}
	}
	left, err := s.Left()
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("left over: %v", left)
	}
	return err
}

// TestLoadList: of a list the image for this machine, or for the one that is asked for; lists of lists to a point.
func TestLoadList(t *testing.T) {
	needRoot(t)
	l := newLayout(t)
	here, hereDiff := packedLayer(t, l, "", file("f", "here"))
	there, thereDiff := packedLayer(t, l, "", file("f", "there"))
	for arch, m := range map[string]ocispec.Descriptor{thisPlatform().Architecture: l.image([]ocispec.Descriptor{here}, hereDiff), "mips64le": l.image([]ocispec.Descriptor{there}, thereDiff)} {
		m.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		l.index.Manifests = append(l.index.Manifests, m)
	}
	list := l.json(ocispec.MediaTypeImageIndex, l.index)
	for depth, want := range map[int]string{1: "", 3: "", 4: "nested too deep", 40: "nested too deep"} {
		d := list
		for range depth - 1 {
			d = l.json(ocispec.MediaTypeImageIndex, ocispec.Index{Manifests: []ocispec.Descriptor{d}})
		}
		l.index.Manifests = nil
		l.name(d, "listed:1")
		s := newStore(t)
		var out bytes.Buffer
		err := s.Load(bg, bytes.NewReader(l.archive()), LoadOptions{Out: &out})
		if want == "" && (err != nil || out.String() != "Loaded image: listed:1\n") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d deep: %v, %q", depth, err, out.String())
		}
		if img, err := s.Resolve("listed:1"); want == "" && (err != nil || img.Config.RootFS.DiffIDs[0] != hereDiff) {
			t.Errorf("%d deep: %+v, %v", depth, img, err)
		}
	}
}

// TestLoadBad: what lies is refused, says why, and leaves nothing.
func TestLoadBad(t *testing.T) {
	needRoot(t)
	good := func(l *ociArchive) ([]ocispec.Descriptor, digest.Digest) {
		d, diff := packedLayer(t, l, "+gzip", file("f", "1"))
		return []ocispec.Descriptor{d}, diff
	}
	with := func(change func(l *ociArchive, layers []ocispec.Descriptor, diff digest.Digest)) []byte {
		l := newLayout(t)
		layers, diff := good(l)
		change(l, layers, diff)
		return l.archive()
	}
	docker := func(files map[string]string) []byte {
		all := map[string][]byte{}
		for name, body := range files {
			all[name] = []byte(body)
		}
		return archiveOf(t, all)
	}
	config := `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["` + emptyTar.String() + `"]}}`
	for name, c := range map[string]struct {
		archive []byte
		want    string
	}{
		"nothing":      {nil, "holds no images"},
		"no images":    {archiveOf(t, map[string][]byte{"x": []byte("y")}), "holds no images"},
		"no archive":   {bytes.Repeat([]byte("junk"), 1000), "invalid tar header"},
		"a cut layout": {with(func(l *ociArchive, d []ocispec.Descriptor, diff digest.Digest) { l.name(l.image(d, diff), "a:1") })[:1800], "unexpected EOF"},
		"a wrong diff id": {with(func(l *ociArchive, d []ocispec.Descriptor, diff digest.Digest) {
			l.name(l.image(d, digest.FromString("x")), "a:1")
		}), "invalid diffID for layer 0"},
		"a wrong size": {with(func(l *ociArchive, d []ocispec.Descriptor, diff digest.Digest) {
			d[0].Size++
			l.name(l.image(d, diff), "a:1")
		}), "not what its descriptor says"},
		"a flipped bit": {with(func(l *ociArchive, d []ocispec.Descriptor, diff digest.Digest) {
			l.name(l.image(d, diff), "a:1")
			l.files[blobName(d[0].Digest)][40] ^= 4
		}), ""},
		"another manifest": {with(func(l *ociArchive, d []ocispec.Descriptor, diff digest.Digest) {
			m := l.image(d, diff)
			l.name(m, "a:1")
			l.files[blobName(m.Digest)] = append(l.files[blobName(m.Digest)], ' ')
		}), "not what its descriptor says"},
		"a missing layer": {with(func(l *ociArchive, d []ocispec.Descriptor, diff digest.Digest) {
			l.name(l.image(d, diff), "a:1")
			delete(l.files, blobName(d[0].Digest))
		}), "no such file or directory"},
		"too few layers": {with(func(l *ociArchive, d []ocispec.Descriptor, diff digest.Digest) { l.name(l.image(nil, diff), "a:1") }), "layers length mismatch: expected 0, got 1"},
		"a foreign layer": {with(func(l *ociArchive, d []ocispec.Descriptor, diff digest.Digest) {
			d[0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
			l.name(l.image(d, diff), "a:1")
		}), "is foreign"},
		"an unknown layer": {with(func(l *ociArchive, d []ocispec.Descriptor, diff digest.Digest) {
			d[0].MediaType = "application/x-something"
			l.name(l.image(d, diff), "a:1")
		}), "unsupported media type application/x-something"},
		"something else": {with(func(l *ociArchive, d []ocispec.Descriptor, diff digest.Digest) {
			l.name(l.json(ocispec.MediaTypeImageManifest, ocispec.Manifest{Config: l.json("application/vnd.cncf.helm.config.v1+json", 1)}), "a:1")
		}), "this is no image"},
		"another algorithm": {with(func(l *ociArchive, d []ocispec.Descriptor, diff digest.Digest) {
			d[0].Digest = digest.SHA512.FromString("x")
			l.name(l.image(d, diff), "a:1")
		}), "only sha256"},
		"a path for a digest": {with(func(l *ociArchive, d []ocispec.Descriptor, diff digest.Digest) {
			d[0].Digest = "sha256:../../../etc/passwd"
			l.name(l.image(d, diff), "a:1")
		}), "invalid checksum digest"},
		"a bomb of zeros": {with(func(l *ociArchive, _ []ocispec.Descriptor, _ digest.Digest) {
			bomb := zeros(t, 1<<30)
			l.name(l.image([]ocispec.Descriptor{l.blob(ocispec.MediaTypeImageLayerZstd, bomb)}, emptyTar), "a:1")
		}), "goes on long after its archive has ended"},
		"a claim": {with(func(l *ociArchive, _ []ocispec.Descriptor, _ digest.Digest) {
			var b bytes.Buffer
			must(t, tar.NewWriter(&b).WriteHeader(&tar.Header{Name: "huge", Size: 1 << 50}))
			l.name(l.image([]ocispec.Descriptor{l.blob(ocispec.MediaTypeImageLayer, b.Bytes())}, digest.FromBytes(b.Bytes())), "a:1")
		}), "claims at least"},
		"a document without an end": {archiveOf(t, map[string][]byte{"manifest.json": bytes.Repeat([]byte(" "), maxDocument+1)}), "holds no images"},
		"many documents": {archiveOf(t, map[string][]byte{
			"1": bytes.Repeat([]byte("1"), maxDocument), "2": bytes.Repeat([]byte("1"), maxDocument), "3": bytes.Repeat([]byte("1"), maxDocument),
			"4": bytes.Repeat([]byte("1"), maxDocument), "5": bytes.Repeat([]byte("1"), maxDocument), "6": bytes.Repeat([]byte("1"), maxDocument), "7": []byte("1"),
		}), "MB of documents"},
		"null":            {docker(map[string]string{"manifest.json": "null"}), "invalid manifest, manifest cannot be null (but can be [])"},
		"half a document": {docker(map[string]string{"manifest.json": `[{"Config":`}), "unexpected EOF"},
		"no config":       {docker(map[string]string{"manifest.json": `[{"Config":"c.json"}]`}), "open c.json: no such file or directory"},
		"leading out":     {docker(map[string]string{"manifest.json": `[{"Config":"../../../../etc/passwd"}]`}), "no such file or directory"},
		"another system": {docker(map[string]string{"manifest.json": `[{"Config":"c.json"}]`, "c.json": `{"os":"windows","rootfs":{"diff_ids":[]}}`}),
			"cannot load windows image on linux"},
		"a bad tag": {docker(map[string]string{"manifest.json": `[{"Config":"c.json","RepoTags":["a"],"Layers":[]}]`, "c.json": `{"rootfs":{"diff_ids":[]}}`}), `invalid tag "a"`},
		"text for a layer": {docker(map[string]string{"manifest.json": `[{"Config":"c.json","RepoTags":["a:1"],"Layers":["l"]}]`, "c.json": config, "l": "text"}),
			"is no archive"},
		"a circle": {registry.Tar(t, file("manifest.json", `[{"Config":"c.json","RepoTags":["a:1"],"Layers":["x/y"]}]`), file("c.json", config),
			registry.File{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: "x", Linkname: "z"}}, registry.File{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: "z", Linkname: "x"}}),
			"too many levels of symbolic links"},
	} {
		s := newStore(t)
		err := s.Load(bg, bytes.NewReader(c.archive), LoadOptions{Out: io.Discard})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		checkEmpty(t, s)
		checkTidy(t, s)
	}
}

// zeros is a little zstd for so many zeros: an archive without entries, and what follows it.
func zeros(t *testing.T, n int) []byte {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	must(t, err)
	block := make([]byte, 1<<20)
	for range n / len(block) {
		_, err := w.Write(block)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

// TestLoadTwice: an entry of a name that was there replaces it, and links say that one layer is another, as older versions of Docker wrote it.
func TestLoadTwice(t *testing.T) {
	needRoot(t)
	s := newStore(t)
	layer := registry.Tar(t, file("f", "1"))
	diff := digest.FromBytes(layer)
	config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%q,%q,%q]}}`, diff, diff, diff)
	link := func(kind byte, name, target string) registry.File {
		return registry.File{Header: tar.Header{Typeflag: kind, Name: name, Linkname: target}}
	}
	archive := registry.Tar(t,
		file("a/layer.tar", string(registry.Tar(t, file("f", "another")))), file("a/layer.tar", string(layer)), file("c.json", "{"), file("c.json", config),
		link(tar.TypeSymlink, "b/layer.tar", "../a/layer.tar"), link(tar.TypeLink, "c/layer.tar", "a/layer.tar"),
		file("manifest.json", `[{"Config":"c.json","RepoTags":["old:1"],"Layers":["a/layer.tar","b/layer.tar","./c/layer.tar"]}]`))
	if out := load(t, s, archive); out != "Loaded image: old:1\n" {
		t.Errorf("loading said %q", out)
	}
	must(t, s.check(t))
	img, err := s.Resolve("old:1")
	if err != nil || len(img.layers) != 3 {
		t.Errorf("loaded %+v, %v", img, err)
	}
}

// TestLoadRenames: a name that was another image's is taken from it, and loading says so.
func TestLoadRenames(t *testing.T) {
	from, img := family(t)
	to := newStore(t)
	old := imports(t, to, "other:v2", "old")
	want := fmt.Sprintf("The image other:v2 already exists, renaming the old one with ID %s to empty string\nLoaded image: other:v2\n", old.ID)
	if out := load(t, to, save(t, from, SaveOptions{}, "other:v2")); out != want {
		t.Errorf("loading said %q, want %q", out, want)
	}
	if got, err := to.Resolve("other:v2"); err != nil || got.ID != img.ID {
		t.Errorf("the name leads to %+v, %v", got, err)
	}
	if got, err := to.Resolve(old.ID.String()); err != nil || len(got.Tags) != 0 {
		t.Errorf("the old image is %+v, %v", got, err)
	}
}

// FuzzLoad: whatever an archive holds, the store is whole afterwards: what was loaded is there and can be saved, and nothing else is.
func FuzzLoad(f *testing.F) {
	needRoot(f)
	t := &testing.T{}
	l := newLayout(t)
	one, diff := packedLayer(t, l, "+gzip", file("f", "1"))
	l.name(l.image([]ocispec.Descriptor{one}, diff), "a:1")
	f.Add(l.archive())
	layer := registry.Tar(t, file("g", "2"))
	config := fmt.Sprintf(`{"os":"linux","rootfs":{"diff_ids":[%q]}}`, digest.FromBytes(layer))
	f.Add(registry.Tar(t, file("l.tar", string(layer)), file("c.json", config), file("manifest.json", `[{"Config":"c.json","RepoTags":["a:1"],"Layers":["l.tar"]}]`)))
	f.Add(registry.Gzip(t, registry.Tar(t, registry.File{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: "manifest.json", Linkname: "index.json"}}, file("index.json", "[]"))).Blob)
	f.Fuzz(func(t *testing.T, archive []byte) {
		s := Open(filepath.Join(t.TempDir(), "images"))
		err := s.Load(bg, bytes.NewReader(archive), LoadOptions{Out: io.Discard})
		checkTidy(t, s)
		if e := s.check(t); e != nil && !strings.Contains(e.Error(), "empty export") {
			t.Errorf("after %v: %v", err, e)
		}
	})
}
