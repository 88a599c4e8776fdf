package image

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// idNote notes in an index entry the id of its image, so that finding an image's names reads no manifests.
const idNote = "glassbox.id"

// idOf tells which image an index entry is of. Only one written by another tool must be looked into.
func (s *Store) idOf(entry ocispec.Descriptor) (digest.Digest, error) {
	if id := entry.Annotations[idNote]; id != "" {
		return digest.Digest(id), nil
	}
	m, err := s.manifest(entry.Digest)
	if err != nil || m.Config.Digest != "" {
		return m.Config.Digest, err
	}
	img, err := s.load(entry)
	if err != nil {
		return "", err
	}
	return img.ID, nil
}

func (s *Store) manifest(d digest.Digest) (m ocispec.Manifest, err error) {
	raw, err := s.document(d)
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	return m, err
}

func (s *Store) hasBlob(d digest.Digest) bool {
	_, err := os.Stat(s.blob(d))
	return err == nil
}

// putBlob stores a small blob of known digest.
func (s *Store) putBlob(ctx context.Context, d digest.Digest, raw []byte) error {
	if s.hasBlob(d) {
		return nil
	}
	c, _, err := claimFile(ctx, s.dir+"/temp/"+d.Encoded())
	if err != nil {
		return err
	}
	if s.hasBlob(d) {
		return c.discard()
	}
	err = c.file.Truncate(0)
	if err == nil {
		_, err = c.file.Write(raw)
	}
	return s.keepBlob(c, d, err)
}

// keepBlob ends the writing of a blob: without an error it gets its name, with one nothing of it stays.
func (s *Store) keepBlob(c *claim, d digest.Digest, err error) error {
	if err == nil {
		err = c.file.Chmod(0o644)
	}
	if err == nil {
		err = os.Rename(c.path, s.blob(d))
	}
	if err != nil {
		return errors.Join(err, c.discard())
	}
	return c.moved()
}

// openBlob opens a blob, or what may become one.
func openBlob(path string) (*blobFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &blobFile{f, info.Size()}, nil
}

type blobFile struct {
	*os.File
	size int64
}

// drain reads what follows an archive's end, which the layer's digests cover too. More than a generous padding is an
// attack: a few bytes of zstd can stand for terabytes.
func drain(r io.Reader) error {
	n, err := io.CopyN(io.Discard, r, maxPadding+1)
	if err == io.EOF {
		return nil
	}
	if err == nil && n > maxPadding {
		err = errors.New("the layer goes on long after its archive has ended")
	}
	return err
}

const maxPadding = 64 << 20
