package image

import (
	"context"
	"errors"
	"io"

	"glassbox/rootfs"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var errStub = errors.New("stub")

// Store is the images below one directory: an OCI image layout (blobs/, index.json, oci-layout) that skopeo reads, and
// the unpacked layers beside it, shared by chain id under short numeric names.
type Store struct{ dir string }

// Open returns the store in dir (DATA/images; layers in DATA/layers), which is made at first use.
func Open(dir string) *Store { return &Store{dir} }

// Image is one image of the store.
type Image struct {
	ID       digest.Digest      // digest of the config blob: Docker's image id
	Manifest ocispec.Descriptor // of the manifest for this platform
	Config   ocispec.Image      // what to run, and the diff ids
	Docker   DockerConfig       // what Docker adds to the OCI config: Healthcheck, Shell, OnBuild
	Tags     []string           // familiar references: "alpine:latest"
	Digests  []string           // "alpine@sha256:..."
	Size     int64              // of the unpacked layers, in bytes
}

// DockerConfig is what Docker images hold beyond the OCI config.
type DockerConfig struct {
	// Healthcheck, Shell, OnBuild as in github.com/docker/docker/api/types/container.Config: to be completed by the owner
}

// PullOptions says how to pull.
type PullOptions struct {
	Platform string    // "linux/arm64"; empty: this machine's
	Quiet    bool      // print only what `docker pull -q` prints
	Out      io.Writer // Docker's progress lines; redrawn in place when Terminal
	Terminal bool
}

// NotFound is the error for a name, digest or id that the store does not have.
type NotFound struct{ Ref string }

func (e *NotFound) Error() string { return "No such image: " + e.Ref }

// Resolve finds an image by what a user types: name, name:tag, name@digest, id or unique prefix of an id.
func (s *Store) Resolve(ref string) (*Image, error) { return nil, errStub }

// Pull fetches what ref names from its registry, verifies, unpacks and tags it.
func (s *Store) Pull(ctx context.Context, ref reference.Named, o PullOptions) (*Image, error) {
	return nil, errStub
}

// Builtin makes the built-in image of that name (hello-world, tiny), tagged as name:latest. ok is false when there is none.
func (s *Store) Builtin(name string) (img *Image, ok bool, err error) { return nil, false, errStub }

// List returns all images, newest first, the untagged ones included.
func (s *Store) List() ([]*Image, error) { return nil, errStub }

// Layers describes img's unpacked layers as the lower part of an overlay; Upper, Work and Mount are the caller's.
func (s *Store) Layers(img *Image) (rootfs.Layers, error) { return rootfs.Layers{}, errStub }

// Tag makes target name what source names.
func (s *Store) Tag(source, target string) error { return errStub }

// Remove untags ref and deletes what nothing names any longer. inUse reports which container, if any, uses an image id.
func (s *Store) Remove(ref string, force bool, inUse func(digest.Digest) string) (untagged, deleted []string, err error) {
	return nil, nil, errStub
}
