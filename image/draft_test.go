package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"glassbox/test/registry"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// child adds a layer to base.
func child(t *testing.T, s *Store, base *Image, name string, layer []byte) *Image {
	t.Helper()
	d := Draft{Base: base, Sparse: true}
	d.Document.Author, d.Document.Comment, d.Document.Config.OnBuild = "me", name, []string{"RUN x"}
	d.Document.History = append(base.Config.History, ocispec.History{CreatedBy: name})
	if name != "" {
		ref, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		d.Ref = ref
	}
	img, err := s.Add(context.Background(), bytes.NewReader(layer), d)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestAddLayer(t *testing.T) {
	s := newStore(t)
	base := imports(t, s, "base", "1")
	img := child(t, s, base, "made", registry.Tar(t, file("g", "two")))
	if len(img.Config.RootFS.DiffIDs) != 2 || img.Config.RootFS.DiffIDs[0] != base.Config.RootFS.DiffIDs[0] || img.Parent != base.ID {
		t.Errorf("made of %s: %+v, parent %s", base.ID, img.Config.RootFS, img.Parent)
	}
	if img.Docker.Comment != "made" || len(img.Docker.OnBuild) != 1 || img.Config.Author != "me" || len(img.Tags) != 1 {
		t.Errorf("%+v", img)
	}
	layers, err := s.Layers(img)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []string{"/g", "/f"} {
		if _, err := os.Stat(layers.Lower[n] + want); err != nil {
			t.Error(err)
		}
	}
	blob, err := os.ReadFile(s.blob(img.layers[1].Digest))
	if err != nil {
		t.Fatal(err)
	}
	if digest.FromBytes(blob) != img.layers[1].Digest || img.layers[1].Size != int64(len(blob)) || img.layers[1].MediaType != ocispec.MediaTypeImageLayer {
		t.Errorf("the blob is not what %+v says", img.layers[1])
	}
	found, err := s.Resolve("made")
	if err != nil || found.Parent != base.ID {
		t.Errorf("found by name: %+v, %v", found, err)
	}
	if err := s.Tag("made", "again"); err != nil {
		t.Fatal(err)
	}
	if found, err = s.Resolve("again"); err != nil || found.Parent != base.ID {
		t.Errorf("by another name: %+v, %v", found, err)
	}
}

func TestAddNothing(t *testing.T) {
	s := newStore(t)
	var empty bytes.Buffer
	if err := tar.NewWriter(&empty).Close(); err != nil {
		t.Fatal(err)
	}
	base := imports(t, s, "base", "1")
	img := child(t, s, base, "", empty.Bytes())
	if len(img.Config.RootFS.DiffIDs) != 1 || len(img.layers) != 1 || !img.Config.History[len(img.Config.History)-1].EmptyLayer {
		t.Errorf("%+v", img.Config)
	}
	all, err := s.List()
	if err != nil || len(all) != 2 || len(Heads(all)) != 1 {
		t.Errorf("%d images, %v", len(all), err)
	}
	total, shared, err := s.Usage(all)
	if err != nil || total != 1 || shared[img.ID] != 1 || shared[base.ID] != 1 {
		t.Errorf("%d bytes, shared %v, %v", total, shared, err)
	}
}

// TestRemoveFamily: an image stays as long as others are made of it, and goes with the last one if it has no name.
func TestRemoveFamily(t *testing.T) {
	s := newStore(t)
	base := imports(t, s, "base", "1")
	middle := child(t, s, base, "", registry.Tar(t, file("g", "22")))
	leaf := child(t, s, middle, "leaf", registry.Tar(t, file("h", "333")))
	var conflict *Conflict
	if _, _, err := s.Remove(base.ID.String(), true, nil); !errors.As(err, &conflict) || !strings.HasSuffix(err.Error(), "(cannot be forced) - image has dependent child images") {
		t.Errorf("removing what another is made of: %v", err)
	}
	if untagged, deleted, err := s.Remove("base", false, nil); err != nil || len(untagged) != 1 || len(deleted) != 0 {
		t.Errorf("its name: %v %v %v", untagged, deleted, err)
	}
	_, deleted, err := s.Remove("leaf", false, nil)
	want := []string{string(leaf.ID), string(leaf.ChainIDs()[2]), string(middle.ID), string(leaf.ChainIDs()[1]), string(base.ID), string(leaf.ChainIDs()[0])}
	if err != nil || strings.Join(deleted, " ") != strings.Join(want, " ") {
		t.Errorf("deleted %v, %v, want %v", deleted, err, want)
	}
	checkEmpty(t, s)
}

func TestRemoveAlone(t *testing.T) {
	s := newStore(t)
	base := imports(t, s, "", "1")
	child(t, s, base, "leaf", registry.Tar(t, file("h", "333")))
	if _, deleted, err := s.RemoveAlone("leaf", false); err != nil || len(deleted) != 2 {
		t.Errorf("deleted %v, %v", deleted, err)
	}
	if _, err := s.Resolve(base.ID.String()); err != nil {
		t.Error(err)
	}
}

// TestAddToRemoved: the base goes while the layer is read.
func TestAddToRemoved(t *testing.T) {
	s := newStore(t)
	base := imports(t, s, "base", "1")
	if _, _, err := s.Remove("base", false, nil); err != nil {
		t.Fatal(err)
	}
	_, err := s.Add(context.Background(), bytes.NewReader(registry.Tar(t, file("g", "two"))), Draft{Base: base})
	var missing *NotFound
	if !errors.As(err, &missing) {
		t.Errorf("error is %v", err)
	}
	checkEmpty(t, s)
}
