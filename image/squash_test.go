package image

import (
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// overlay mounts an image, and if upper is not empty what is written goes there.
func overlay(t *testing.T, s *Store, img *Image, upper string) string {
	t.Helper()
	layers, err := s.Layers(img)
	must(t, err)
	at := t.TempDir()
	options := "lowerdir=" + strings.Join(append(layers.Lower, t.TempDir()), ":")
	if upper != "" {
		work := filepath.Join(filepath.Dir(upper), "work")
		must(t, os.MkdirAll(upper, 0o755))
		must(t, os.MkdirAll(work, 0o755))
		options += ",redirect_dir=off,volatile,upperdir=" + upper + ",workdir=" + work
	}
	must(t, unix.Mount("overlay", at, "overlay", 0, options))
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	return at
}

// havoc changes a tree at random: files, directories and links come, go and take one another's places.
func havoc(t *testing.T, r *rand.Rand, root string) {
	var script strings.Builder
	name := func() string {
		parts := make([]string, 1+r.Intn(3))
		for i := range parts {
			parts[i] = string(rune('a' + r.Intn(3)))
		}
		return strings.Join(parts, "/")
	}
	for i := range 30 {
		n := name()
		switch r.Intn(6) {
		case 0:
			fmt.Fprintf(&script, "rm -rf %s\n", n)
		case 1:
			fmt.Fprintf(&script, "mkdir -p %s\n", n)
		case 2:
			fmt.Fprintf(&script, "rm -rf %s; mkdir -p %s; echo %d >%s/new\n", n, n, i, n)
		case 3:
			fmt.Fprintf(&script, "rm -rf %s; mkdir -p $(dirname %s); echo %d >%s\n", n, n, i, n)
		case 4:
			fmt.Fprintf(&script, "chmod %o %s\n", 0o700+r.Intn(64), n)
		case 5:
			fmt.Fprintf(&script, "rm -rf %s; ln -s x%d %s\n", n, i, n)
		}
	}
	c := exec.Command("sh", "-c", script.String())
	c.Dir = root
	_ = c.Run() // some of it cannot be done
}

// TestSquash: what is seen of an image stays when its layers become one, and no mark stays that hides nothing.
func TestSquash(t *testing.T) {
	needRoot(t)
	if os.Getenv("GLASSBOX_OWN_MOUNTS") == "" {
		runIsolated(t, "TestSquash")
		return
	}
	for seed := range int64(12) {
		r := rand.New(rand.NewSource(seed))
		s := newStore(t)
		var img, base *Image
		for n := range 4 {
			upper := filepath.Join(t.TempDir(), "upper")
			must(t, os.MkdirAll(upper, 0o755))
			if img == nil {
				havoc(t, r, upper)
			} else {
				at := overlay(t, s, img, upper)
				havoc(t, r, at)
				must(t, unix.Unmount(at, 0))
			}
			d := Draft{Base: img}
			d.Document.History = []ocispec.History{{CreatedBy: fmt.Sprint(seed, n)}}
			var err error
			img, err = s.AddTree(bg, upper, d)
			must(t, err)
			if n == 1 {
				base = img
			}
		}
		for _, base := range []*Image{nil, base} {
			d := Draft{}
			d.Document.Author = "squashed"
			one, err := s.Squash(bg, img, base, d)
			must(t, err)
			layers := 1
			if base != nil {
				layers += len(base.layers)
			}
			if len(one.layers) != layers || one.Parent != "" || one.Config.Author != "squashed" {
				t.Errorf("%d: squashed to %+v", seed, one)
			}
			was, is := layout(t, overlay(t, s, img, "")), layout(t, overlay(t, s, one, ""))
			if !slices.Equal(was, is) {
				t.Fatalf("%d: it was\n%s\nand is\n%s", seed, strings.Join(was, "\n"), strings.Join(is, "\n"))
			}
			if base == nil {
				for _, line := range layout(t, s.layerDir(lastLayer(t, s, one))) {
					if strings.Contains(line, " 20000 ") || strings.Contains(line, "trusted.overlay") {
						t.Errorf("%d: a mark that hides nothing: %s", seed, line)
					}
				}
			}
		}
	}
}

func lastLayer(t *testing.T, s *Store, img *Image) int {
	chains := img.ChainIDs()
	l, err := s.layer(chains[len(chains)-1])
	must(t, err)
	return l.Number
}
