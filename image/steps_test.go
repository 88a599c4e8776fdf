package image

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// BenchmarkSteps is what a build's steps cost the store: one that writes a file, and one that says something, in a store of so many images.
func BenchmarkSteps(b *testing.B) {
	for _, images := range []int{0, 500} {
		s := newStore(b)
		needRoot(b)
		img := imports(b, s, "base", "1")
		for i := range images {
			d := Draft{Base: img}
			d.Document.Author = fmt.Sprint(i)
			_, err := s.AddConfig(bg, d)
			must(b, err)
		}
		hold, err := s.Hold(bg)
		must(b, err)
		n := 0
		b.Run(fmt.Sprintf("config-%d", images), func(b *testing.B) {
			for b.Loop() {
				n++
				d := Draft{Base: img, Hold: hold}
				d.Document.History = []ocispec.History{{CreatedBy: fmt.Sprint(n)}}
				_, err := s.AddConfig(bg, d)
				must(b, err)
			}
		})
		b.Run(fmt.Sprintf("tree-%d", images), func(b *testing.B) {
			dir := b.TempDir()
			for b.Loop() {
				n++
				upper := filepath.Join(dir, fmt.Sprint(n))
				must(b, os.Mkdir(upper, 0o755))
				must(b, os.WriteFile(upper+"/f", []byte(upper), 0o644))
				_, err := s.AddTree(bg, upper, Draft{Base: img, Hold: hold})
				must(b, err)
			}
		})
		must(b, hold.Release())
	}
}
