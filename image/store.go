package image

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"glassbox/event"
	"glassbox/store"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Store is the images below one directory: an OCI image layout (blobs/, index.json, oci-layout) that skopeo reads, and
// the unpacked layers beside it, shared by chain id under short numeric names.
type Store struct {
	// Applets lists the commands of the built-in image tiny (tiny.Names); nil: there is no such image.
	Applets func() []string
	// Glassrun finds the program that starts containers, which tiny holds too; nil: it does not.
	Glassrun func() (string, error)
	// InUse reports a container that uses an image id, a running one if there is any; empty: none. Nil: nobody looks.
	// A remade built-in's predecessor is deleted only where InUse says that nobody needs it.
	InUse func(digest.Digest) (container string, running bool)
	// Tell is told of what happens to images; may be nil.
	Tell func(...event.Event)

	dir    string
	layers string
	index  indexFile
	patience
}

// Open returns the store in dir (DATA/images; layers in DATA/layers), which is made at first use.
func Open(dir string) *Store {
	return &Store{dir: dir, layers: filepath.Join(filepath.Dir(dir), "layers"), patience: patience{stall: 30 * time.Second, pause: 500 * time.Millisecond}}
}

const layoutFile = `{"imageLayoutVersion":"1.0.0"}`

// prepare makes the directories and removes what dead processes left.
func (s *Store) prepare() error {
	for _, d := range []string{s.blobs(), s.dir + "/temp", s.dir + "/leases", s.dir + "/kept", s.layers + "/chain", s.layers + "/temp"} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return err
		}
	}
	marker := filepath.Join(s.dir, ocispec.ImageLayoutFile)
	if _, err := os.Stat(marker); errors.Is(err, fs.ErrNotExist) {
		if err := store.Replace(marker, []byte(layoutFile), 0o644); err != nil {
			return err
		}
	}
	return s.sweep()
}

// sweep removes temporary things whose makers died.
func (s *Store) sweep() error {
	for _, dir := range []string{s.dir + "/temp", s.layers + "/temp", s.dir + "/leases"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := removeOrphan(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// change runs f while no other process changes index.json, numbers layers or deletes.
func (s *Store) change(ctx context.Context, f func() error) error {
	lock, err := store.Exclusive(ctx, s.dir)
	if err != nil {
		return err
	}
	return errors.Join(f(), lock.Release())
}

func (s *Store) blobs() string { return s.dir + "/blobs/sha256" }

func (s *Store) blob(d digest.Digest) string { return s.blobs() + "/" + d.Encoded() }

func (s *Store) chain(id digest.Digest) string { return s.layers + "/chain/" + id.Encoded() }

// short is a digest as Docker shows it in progress lines and messages: twelve digits.
func short(d digest.Digest) string {
	hex := strings.TrimPrefix(string(d), "sha256:")
	return hex[:min(12, len(hex))]
}
