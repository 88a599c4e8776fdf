package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"glassbox/test/world"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/sys/unix"
)

// images: 500 MB in five layers, of files as compressible as programs are, on every way that an image takes. Beside Docker stands what nobody
// can do without: unpacking the bytes and writing them.
func images(r *rig, t *table) error {
	for _, tool := range []string{"pigz", "zstd"} {
		if err := installed(tool); err != nil {
			return err
		}
	}
	big := r.address + "/big"
	blobs, err := pushBig(big)
	if err != nil {
		return err
	}
	ways := []func(*rig, *table, string, string) error{pull, save, load, push}
	for _, way := range ways {
		if err := way(r, t, big, blobs); err != nil {
			return err
		}
	}
	return shared(r, t)
}

// few is how often what takes seconds is measured.
func few() int { return max(1, *rounds/10) }

func pull(r *rig, t *table, big, blobs string) error {
	unpack := unpacked("pigz -d", "for b in "+blobs+"/*.gz; do pigz -dc $b; done")
	ours := &runner{name: "glassbox pull", argv: always(glassbox("pull", "-q", big)...), watch: true, before: gone(glassbox("rmi", big))}
	dockers := &runner{name: "docker pull", argv: always(r.docker.CLI, "pull", "-q", big), before: gone([]string{r.docker.CLI, "rmi", big})}
	if err := race([]*runner{dockers, ours, unpack}, few()); err != nil {
		return err
	}
	t.compare("pull and unpack 500 MB", ours, dockers, 0.5, "≤ 1/2")
	t.compare("the same", ours, unpack, 1.3, "≤ 1.3")
	t.memory("pulling that", ours)
	return nil
}

func save(r *rig, t *table, big, blobs string) error {
	unpack := unpacked("pigz -d", "for b in "+blobs+"/*.gz; do pigz -dc $b; done")
	ours := &runner{name: "glassbox save", argv: always(glassbox("save", "-o", world.Dir()+"/ours.tar", big)...), watch: true}
	dockers := &runner{name: "docker save", argv: always(r.docker.CLI, "save", "-o", world.Dir()+"/dockers.tar", big)}
	if err := race([]*runner{dockers, ours, unpack}, few()); err != nil {
		return err
	}
	t.compare("save of 500 MB", ours, dockers, 0.5, "≤ 1/2")
	t.compare("the same", ours, unpack, 1.3, "≤ 1.3")
	t.memory("saving that", ours)
	return nil
}

// load of what Docker saved, plain and packed.
func load(r *rig, t *table, big, _ string) error {
	plain := world.Dir() + "/dockers.tar"
	if _, err := world.Output("sh", "-c", "pigz -1 <"+plain+" >"+plain+".gz && zstd -q -1 -f "+plain+" -o "+plain+".zst"); err != nil {
		return err
	}
	for _, pack := range []struct{ name, file, unpack string }{
		{"a plain archive", plain, "cat"}, {"a gzip archive", plain + ".gz", "pigz -dc"}, {"a zstd archive", plain + ".zst", "zstd -dcq"},
	} {
		unpack := unpacked(pack.unpack, pack.unpack+" "+pack.file)
		ours := &runner{name: "glassbox load", argv: always(glassbox("load", "-q", "-i", pack.file)...), watch: true, before: gone(glassbox("rmi", big))}
		dockers := &runner{name: "docker load", argv: always(r.docker.CLI, "load", "-q", "-i", pack.file), before: gone([]string{r.docker.CLI, "rmi", big})}
		if err := race([]*runner{dockers, ours, unpack}, few()); err != nil {
			return err
		}
		t.compare("load of 500 MB, "+pack.name, ours, dockers, 0.5, "≤ 1/2")
		t.compare("the same", ours, unpack, 1.3, "≤ 1.3")
		t.memory("loading that", ours)
	}
	return nil
}

// push of what was pulled, and of what was loaded and has no packed layers yet, to a registry that has nothing.
func push(r *rig, t *table, big, blobs string) error {
	pack := unpacked("pigz -1", "pigz -1c "+world.Dir()+"/dockers.tar")
	ours := &runner{name: "glassbox push", argv: always(glassbox("push", "-q", big)...), watch: true, before: func(int) error { return r.forget() }}
	dockers := &runner{name: "docker push", argv: always(r.docker.CLI, "push", "-q", big), before: func(int) error { return r.forget() }}
	if err := race([]*runner{dockers, ours, pack}, few()); err != nil {
		return err
	}
	t.compare("push of 500 MB that were loaded", ours, dockers, 0.5, "≤ 1/2")
	t.compare("the same", ours, pack, 0, "")
	t.memory("pushing that", ours)
	return nil
}

// forget empties the registry.
func (r *rig) forget() error { return os.RemoveAll(world.Dir() + "/registry/docker") }

// gone removes an image before the next round; in the first it is not there.
func gone(argv []string) func(int) error {
	return func(round int) error {
		if err := run(argv); round > 0 && err != nil {
			return err
		}
		return nil
	}
}

// unpacked writes what a command of the shell prints to a file.
func unpacked(name, command string) *runner {
	return &runner{name: "`" + name + "` to a file", argv: always("sh", "-c", "{ "+command+"; } >"+world.Dir()+"/unpacked")}
}

// pushBig pushes the image and keeps its packed layers in a directory.
func pushBig(reference string) (blobs string, err error) {
	const layers, files, size = 5, 400, 250_000
	blobs = world.Dir() + "/blobs"
	random := rand.New(rand.NewPCG(1, 2))
	image, err := world.Image([]world.File{{Name: "big/", Mode: 0o755}}, v1.Config{Cmd: []string{"/none"}})
	if err != nil {
		return "", err
	}
	for l := range layers {
		var content []world.File
		for f := range files {
			content = append(content, world.File{Name: fmt.Sprintf("big/%d-%d", l, f), Mode: 0o644, Body: words(random, size)})
		}
		layer, err := world.Layer(content)
		if err != nil {
			return "", err
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			return "", err
		}
		if err := keep(layer, fmt.Sprintf("%s/%d.gz", blobs, l)); err != nil {
			return "", err
		}
	}
	return blobs, world.Push(image, reference)
}

func keep(layer v1.Layer, path string) error {
	from, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer from.Close()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	to, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = to.ReadFrom(from)
	return errors.Join(err, to.Close())
}

// words repeats some sequences often and others never, as machine code does: it compresses to about 40 %.
func words(random *rand.Rand, size int) []byte {
	b := make([]byte, 0, size)
	for len(b) < size {
		if random.IntN(10) < 3 {
			b = append(b, byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()))
			continue
		}
		b = append(b, byte(random.IntN(16)), 0x48, byte(random.IntN(4)), 0x8b)
	}
	return b[:size]
}

// shared: ten images on one base cost what is their own.
func shared(r *rig, t *table) error {
	const many, own = 10, 4_000_000
	random := rand.New(rand.NewPCG(3, 4))
	dir := world.Dir() + "/shared"
	builds := func(command ...string) (int64, error) {
		store := r.docker.Data
		if command[0] != r.docker.CLI {
			store = os.Getenv("GLASSBOX_ROOT")
		}
		before, err := disk(store)
		if err != nil {
			return 0, err
		}
		for i := range many {
			name := fmt.Sprintf("shared%d", i)
			err := errors.Join(put(dir+"/Dockerfile", "FROM "+r.address+"/big\nCOPY own /own\n"), put(dir+"/own", string(words(random, own))),
				run(append(command, "-t", name, dir)))
			if err != nil {
				return 0, err
			}
		}
		after, err := disk(store)
		return after - before, err
	}
	dockers, err := builds(r.docker.CLI, "build")
	if err != nil {
		return err
	}
	ours, err := builds(glassbox("build")...)
	if err != nil {
		return err
	}
	// A layer is kept as a directory and as an archive.
	t.add(fmt.Sprintf("disk of %d images with %d MB each on a base of 500 MB", many, own/1_000_000), megabytes(ours), megabytes(dockers),
		fmt.Sprintf("%.2f", float64(ours)/float64(dockers)), "their own layers only", ours < 2.1*many*own)
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// disk is what the files of a directory take, each once, whatever number of names it has.
func disk(dir string) (total int64, err error) {
	seen := map[uint64]bool{}
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && strings.HasSuffix(path, "/merged") { // an overlay that is mounted
			return filepath.SkipDir
		}
		var s unix.Stat_t
		if err := unix.Lstat(path, &s); err != nil || seen[s.Ino] {
			return err
		}
		seen[s.Ino] = true
		total += s.Blocks * 512
		return nil
	})
	return total, err
}
