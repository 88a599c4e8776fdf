package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"glassbox/archive"
	"glassbox/image"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"
	dockerimage "github.com/docker/docker/api/types/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ImageImport makes an image of one layer from an archive, however packed; from names the source in the image's comment. The reference
// may be empty. It returns the image's id.
func (e *Engine) ImageImport(ctx context.Context, r io.Reader, from, ref string, o dockerimage.ImportOptions) (string, error) {
	d, err := importDraft(from, ref, o)
	if err != nil {
		return "", err
	}
	layer, _, err := image.Plain(r)
	if err != nil {
		return "", err
	}
	img, err := e.Images.Add(ctx, layer, d)
	var damaged *archive.Unreadable
	if errors.As(err, &damaged) {
		err = &Error{Class: InvalidParameter, Text: damaged.Cause.Error(), Cause: err}
	}
	if err := errors.Join(err, layer.Close()); err != nil {
		return "", err
	}
	return img.ID.String(), nil
}

func importDraft(from, ref string, o dockerimage.ImportOptions) (image.Draft, error) {
	d := image.Draft{Event: "import"}
	var err error
	if ref != "" {
		if d.Ref, err = reference.ParseNormalizedNamed(ref); err != nil {
			return d, invalid("%w", err)
		}
		if _, ok := d.Ref.(reference.Digested); ok {
			return d, invalid("cannot import digest reference")
		}
		d.Ref = reference.TagNameOnly(d.Ref)
	}
	if d.Document.Platform, err = importPlatform(o.Platform); err != nil {
		return d, err
	}
	config, err := changed(&container.Config{}, o.Changes)
	if err != nil {
		return d, err
	}
	if o.Message == "" {
		o.Message = "Imported from " + from
	}
	now := time.Now().UTC()
	d.Document.Created, d.Document.Comment, d.Document.Config = &now, o.Message, imageConfig(config)
	d.Document.History = []ocispec.History{{Created: &now, Comment: o.Message}}
	return d, nil
}

// importPlatform is this machine's for an empty one. Another processor's is believed; another system's cannot be unpacked.
func importPlatform(name string) (ocispec.Platform, error) {
	if name == "" {
		return platforms.DefaultSpec(), nil
	}
	p, err := platforms.Parse(name)
	if err != nil {
		return p, invalid("%w", err)
	}
	if p.OS != "linux" {
		return p, invalid("operating system is not supported")
	}
	return p, nil
}

// Download opens an archive on the web for ImageImport.
func Download(ctx context.Context, url string) (io.ReadCloser, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, invalid("%w", err)
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		body = []byte("error reading body")
	}
	return nil, fmt.Errorf("failed to GET %s with status %s: %s", url, resp.Status, strings.TrimSpace(string(body)))
}
