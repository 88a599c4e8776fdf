package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"glassbox/test/registry"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// BenchmarkPull pulls and unpacks an image of 200 MB in four layers, made of this machine's own programs and libraries,
// from a docker-registry on loopback. GLASSBOX_BENCH_REGISTRY names a reference to pull instead, so that
// other programs can be measured on the same image.
func BenchmarkPull(b *testing.B) {
	name := os.Getenv("GLASSBOX_BENCH_REGISTRY")
	if name == "" {
		name = pushLarge(b) + "/large:latest"
	}
	for b.Loop() {
		b.StopTimer()
		dir, err := os.MkdirTemp("", "glassbox-bench-")
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		img, err := Open(dir+"/images").Pull(context.Background(), mustRef(b, name), PullOptions{})
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(img.Size)
		os.RemoveAll(dir)
		b.StartTimer()
	}
}

// BenchmarkUnpack is the part of it that needs no registry: decompression, digests and files.
func BenchmarkUnpack(b *testing.B) {
	layer := registry.Gzip(b, filesOf(b, "/usr", 0, 60<<20))
	for b.Loop() {
		dir := b.TempDir()
		root, err := os.Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		u := &unpacking{root: root, want: layer.Diff}
		if err := u.run(context.Background(), bytes.NewReader(layer.Blob)); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(u.size)
		b.StopTimer()
		root.Close()
		os.RemoveAll(dir)
		b.StartTimer()
	}
}

// pushLarge starts a registry and pushes the image there.
func pushLarge(b testing.TB) string {
	address := registry.Start(b, false)
	var layers []registry.Layer
	for i, size := range []int64{90 << 20, 60 << 20, 35 << 20, 15 << 20} {
		layers = append(layers, registry.Gzip(b, filesOf(b, "/usr", int64(i)*90<<20, size)))
	}
	registry.Target{URL: "http://" + address, Repository: "large"}.Push(b, "latest",
		ocispec.Image{Platform: thisPlatform()}, layers...)
	return address
}

// filesOf archives regular files below dir: of those in its listing, after the first `skip` bytes, as many as make `size` bytes.
func filesOf(t testing.TB, dir string, skip, size int64) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	var at int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil || info.Size() > 30<<20 {
			return nil
		}
		at += info.Size()
		if at <= skip {
			return nil
		}
		if int64(b.Len()) > size {
			return fs.SkipAll
		}
		f, err := os.Open(path)
		if err != nil {
			return nil
		}
		defer f.Close()
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime()}); err != nil {
			return err
		}
		_, err = io.Copy(w, f)
		return err
	})
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestServeLarge keeps a registry with the benchmark's image running for as long as the file named by
// GLASSBOX_BENCH_SERVE exists, into which it writes the image's name: for measuring other programs on it.
func TestServeLarge(t *testing.T) {
	path := os.Getenv("GLASSBOX_BENCH_SERVE")
	if path == "" {
		t.Skip("GLASSBOX_BENCH_SERVE names no file")
	}
	if err := os.WriteFile(path, []byte(pushLarge(t)+"/large:latest\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(path); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// BenchmarkResolve is the part of every `run` that finds its image, among fifty.
func BenchmarkResolve(b *testing.B) {
	s := newStore(b)
	for i := range 50 {
		imports(b, s, fmt.Sprint("image", i), fmt.Sprint(i))
	}
	for b.Loop() {
		img, err := s.Resolve("image7")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Layers(img); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTiny makes the built-in image of this test's program.
func BenchmarkTiny(b *testing.B) {
	needRoot(b)
	info, err := os.Stat(self)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	for b.Loop() {
		s := Open(b.TempDir() + "/images")
		s.Applets = func() []string { return []string{"sh", "ls"} }
		if _, _, err := s.Builtin("tiny"); err != nil {
			b.Fatal(err)
		}
	}
}
