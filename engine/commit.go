package engine

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"glassbox/archive"
	"glassbox/image"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Commit makes an image of a container: its image's layers and, as one more, what it has written. It returns the image's id. A
// running container stands still meanwhile, if that is wanted.
func (c *Containers) Commit(ctx context.Context, ref string, o container.CommitOptions) (string, error) {
	r, err := c.load(ref)
	if err != nil {
		return "", err
	}
	d, err := c.sketch(r, o)
	if err != nil {
		return "", err
	}
	resume, err := c.hold(r, o.Pause)
	if err != nil {
		return "", err
	}
	img, err := c.addLayer(ctx, r, d)
	if err == nil {
		c.tell(r, "commit", "comment", o.Comment, "imageID", img.ID.String(), "imageRef", o.Reference)
	}
	if err := errors.Join(err, resume()); err != nil {
		return "", err
	}
	return img.ID.String(), nil
}

// sketch says what the image will be, but for its layer.
func (c *Containers) sketch(r *record, o container.CommitOptions) (image.Draft, error) {
	d := image.Draft{Sparse: true, Event: "create"}
	config, err := changed(r.Config, o.Changes)
	if err != nil {
		return d, err
	}
	if o.Reference != "" {
		if d.Ref, err = reference.ParseNormalizedNamed(o.Reference); err != nil {
			return d, invalid("%w", err)
		}
		d.Ref = reference.TagNameOnly(d.Ref)
	}
	was := imageConfig(r.Config)
	merge(config, was.ImageConfig, image.DockerConfig{DockerOCIImageConfigExt: was.DockerOCIImageConfigExt})
	now := time.Now().UTC()
	if r.Rootfs == "" {
		if d.Base, err = c.images.Resolve(string(r.Image)); err != nil {
			return d, err
		}
		base := d.Base.Config
		d.Document.Platform, d.Document.History = base.Platform, base.History
	}
	d.Document.Created, d.Document.Author, d.Document.Config = &now, o.Author, imageConfig(config)
	d.Document.History = append(d.Document.History, ocispec.History{
		Created: &now, Author: o.Author, CreatedBy: strings.Join(r.Config.Cmd, " "), Comment: o.Comment,
	})
	return d, nil
}

// hold stops a container's processes where they stand, and returns what lets them go on. One that has ended by itself needs neither.
func (c *Containers) hold(r *record, wanted bool) (resume func() error, err error) {
	nothing := func() error { return nil }
	s, err := c.state(r)
	if err != nil || !wanted || !s.Running || s.Paused || s.Pid == 0 {
		return nothing, err
	}
	if err := c.Pause(r.ID); err != nil {
		if Is(err, Conflict) {
			err = nil
		}
		return nothing, err
	}
	return func() error { return c.Unpause(r.ID) }, nil
}

// addLayer writes the container's layer as an archive and has the image store read it.
func (c *Containers) addLayer(ctx context.Context, r *record, d image.Draft) (*image.Image, error) {
	from, to := io.Pipe()
	go func() {
		b := bufio.NewWriterSize(to, 256<<10)
		err := r.writeLayer(b)
		if err == nil {
			err = c.stillThere(r)
		}
		to.CloseWithError(errors.Join(err, b.Flush()))
	}()
	img, err := c.images.Add(ctx, from, d)
	from.CloseWithError(io.ErrClosedPipe) // lets the writer go when the reading has failed
	return img, err
}

// writeLayer writes what the container has written; of a plain directory, all there is.
func (r *record) writeLayer(w io.Writer) error {
	o := archive.Options{Owners: archive.Owners(r.IDMap)}
	if r.Rootfs == "" {
		return archive.Layer(w, r.place.Upper(), o)
	}
	dir, err := os.Open(r.Rootfs)
	if err != nil {
		return err
	}
	defer dir.Close()
	return archive.Write(w, dir, o)
}

// stillThere tells that the container was not removed, with half of its files, while they were read.
func (c *Containers) stillThere(r *record) error {
	if _, err := os.Lstat(r.place.Document()); err != nil {
		return notFound(r.ID)
	}
	return nil
}
