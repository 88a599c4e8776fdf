package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"glassbox/archive"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// want is a layer that an image needs: as a blob and unpacked.
type want struct {
	blob  ocispec.Descriptor
	diff  digest.Digest // of the uncompressed archive
	chain digest.Digest
}

// wants lists the layers of an image, lowest first.
func wants(img *Image, layers []ocispec.Descriptor) ([]want, error) {
	diffs := img.Config.RootFS.DiffIDs
	if len(diffs) != len(layers) {
		return nil, fmt.Errorf("layers from manifest don't match image configuration: %d and %d", len(layers), len(diffs))
	}
	all := make([]want, len(layers))
	for i, chain := range img.ChainIDs() {
		all[i] = want{layers[i], diffs[i], chain}
	}
	return all, nil
}

// source opens a blob's bytes at their origin.
type source func(context.Context) io.ReadCloser

// watcher is told how far a layer is.
type watcher interface {
	downloading(n int64)
	status(text string)
}

// obtain makes sure that a layer is here, as a blob and unpacked, once: whoever comes second waits for the first.
func (s *Store) obtain(ctx context.Context, w want, from source, watch watcher) error {
	c, waited, err := claimDir(ctx, s.layers+"/temp/"+w.chain.Encoded())
	if err != nil {
		return err
	}
	if s.hasLayer(w.chain) {
		if err := c.discard(); err != nil {
			return err
		}
		if s.hasBlob(w.blob.Digest) {
			if !waited {
				watch.status("Already exists")
			} else {
				watch.status("Pull complete")
			}
			return nil
		}
		return s.fetch(ctx, w, from, watch, nil)
	}
	if err := empty(c.path); err != nil {
		return errors.Join(err, c.discard())
	}
	u := &unpacking{root: c.file, want: w.diff}
	if err := s.fetch(ctx, w, from, watch, u); err != nil {
		return errors.Join(err, c.discard())
	}
	err = s.commit(ctx, c, w.chain, layer{Diff: w.diff, Blob: w.blob.Digest, Size: u.size, Plain: u.plain})
	if err == nil {
		watch.status("Pull complete")
	}
	return err
}

// empty removes what a killed process left in the directory that it had claimed.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// fetch gets the blob, from its origin or from this disk, and unpacks it on the way when u is given.
func (s *Store) fetch(ctx context.Context, w want, from source, watch watcher, u *unpacking) error {
	var c *claim
	if !s.hasBlob(w.blob.Digest) {
		var err error
		if c, _, err = claimFile(ctx, s.dir+"/temp/"+w.blob.Digest.Encoded()); err != nil {
			return err
		}
		if s.hasBlob(w.blob.Digest) {
			if err := c.discard(); err != nil {
				return err
			}
			c = nil
		}
	}
	if c == nil {
		return s.unpackLocal(ctx, w, watch, u)
	}
	err := c.file.Truncate(0)
	if err == nil {
		err = s.stream(ctx, w, from, watch, u, c.file)
	}
	return s.keepBlob(c, w.blob.Digest, err)
}

func (s *Store) unpackLocal(ctx context.Context, w want, watch watcher, u *unpacking) error {
	if u == nil {
		return nil
	}
	watch.status("Extracting")
	f, err := os.Open(s.blob(w.blob.Digest))
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	packed := io.TeeReader(f, sum)
	err = u.run(ctx, packed)
	if _, rest := io.Copy(io.Discard, packed); rest != nil {
		return rest
	}
	if got := digestOf(sum); got != w.blob.Digest {
		return fmt.Errorf("the stored blob %s is damaged: its digest is %s", w.blob.Digest, got)
	}
	return err
}

// stream copies the blob from its origin to file, checks it, and feeds it to the unpacking, all at once.
func (s *Store) stream(ctx context.Context, w want, from source, watch watcher, u *unpacking, file *os.File) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if from == nil {
		return &fs.PathError{Op: "open", Path: s.blob(w.blob.Digest), Err: fs.ErrNotExist}
	}
	body := from(ctx)
	defer body.Close()
	r := newRing()
	fetched := make(chan error, 1)
	go func() {
		err := receive(r, body, file, w.blob, watch)
		r.finish(err)
		fetched <- err
	}()
	unpacked := u.run(ctx, r)
	var damaged *archive.Unreadable
	if unpacked != nil && !errors.As(unpacked, &damaged) {
		cancel() // nothing more is wanted of the body
	}
	err := <-fetched
	// A broken stream makes both fail, and what broke it is the cause.
	if err == nil || unpacked != nil && damaged == nil {
		return unpacked
	}
	return err
}

// receive reads the body to its end. The ring sees the end only when size and digest are right.
func receive(r *ring, body io.Reader, file *os.File, blob ocispec.Descriptor, watch watcher) error {
	sum := sha256.New()
	var got int64
	for {
		b := r.buffer()
		n, err := readSome(body, b)
		if got += int64(n); got > blob.Size {
			return fmt.Errorf("blob %s is longer than the %d bytes that the manifest says", blob.Digest, blob.Size)
		}
		if n > 0 {
			if _, err := file.Write(b[:n]); err != nil {
				return err
			}
			sum.Write(b[:n])
			watch.downloading(got)
			r.send(b[:n]) // refused after the unpacking has failed: then the digest tells whose fault that is
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	watch.status("Verifying Checksum")
	if d := digestOf(sum); d != blob.Digest || got != blob.Size {
		return fmt.Errorf("filesystem layer verification failed for digest %s: got %s, %d of %d bytes", blob.Digest, d, got, blob.Size)
	}
	watch.status("Download complete")
	return nil
}

func digestOf(h hash.Hash) digest.Digest {
	return digest.NewDigestFromEncoded(digest.SHA256, hex.EncodeToString(h.Sum(nil)))
}

// unpacking is one blob becoming a directory.
type unpacking struct {
	root  *os.File
	want  digest.Digest // of the uncompressed archive; empty: not known beforehand
	diff  digest.Digest
	size  int64 // of the files
	plain int64 // of the uncompressed archive
	kind  compression
	// summed: who passes the layer in takes the digest of that, which is diff if it is not packed.
	summed bool
}

// run reads a packed layer to its end and unpacks it. On a nil receiver it only reads.
func (u *unpacking) run(ctx context.Context, packed io.Reader) error {
	if u == nil {
		_, err := io.Copy(io.Discard, packed)
		return err
	}
	z, kind, err := decompress(packed)
	u.kind = kind
	if err != nil {
		return &archive.Unreadable{Cause: err}
	}
	defer z.Close()
	sum := sha256.New()
	r := newRing()
	r.seen = func(b []byte) {
		if !u.summed || kind != plain {
			sum.Write(b)
		}
		u.plain += int64(len(b))
	}
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		r.fill(z)
		// What comes after the compressed stream belongs to the blob, whose digest covers it.
		if r.err == io.EOF {
			io.Copy(io.Discard, packed)
		}
	}()
	u.size, err = archive.Unpack(ctx, r, u.root)
	if err == nil {
		if err = drain(r); err != nil {
			err = &archive.Unreadable{Cause: err}
		}
	}
	if err != nil {
		r.close()
		if p, ok := packed.(*ring); ok {
			p.close()
		}
	}
	<-filled
	u.diff = digestOf(sum)
	if err == nil && u.want != "" && u.diff != u.want {
		err = fmt.Errorf("layers from manifest don't match image configuration: the layer unpacks to %s, not %s", u.diff, u.want)
	}
	return err
}

// unpackBlob unpacks the n-th layer of an image whose blobs are here.
func (s *Store) unpackBlob(img *Image, n int) error {
	all, err := wants(img, img.layers)
	if err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	return s.obtain(context.Background(), all[n], nil, silent{})
}

// silent watches nothing.
type silent struct{}

func (silent) downloading(int64) {}
func (silent) status(string)     {}
