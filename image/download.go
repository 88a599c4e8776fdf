package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// download reads a blob, and goes on where it was cut off. It never delivers more than the manifest says.
type download struct {
	r    *repository
	ctx  context.Context
	blob ocispec.Descriptor
	told func(message string) // of a pause before another try; may be nil

	body    io.ReadCloser
	end     context.CancelFunc
	watch   *time.Timer
	at      int64
	failed  int // tries in a row that brought nothing
	retries int // all further tries: a registry that cuts after each byte is given up as well
}

const (
	maxFailed  = 3
	maxRetries = 12
)

// blob opens a blob for reading; the first request is made by the first Read.
func (r *repository) blob(ctx context.Context, d ocispec.Descriptor, told func(string)) *download {
	return &download{r: r, ctx: ctx, blob: d, told: told}
}

func (d *download) Read(p []byte) (int, error) {
	for {
		n, err := d.once(p)
		if n > 0 {
			d.failed = 0
			return n, nil
		}
		if err == nil || err == io.EOF {
			return 0, err
		}
		d.Close()
		if err := d.again(err); err != nil {
			return 0, err
		}
	}
}

// once reads from the connection that stands, or makes one.
func (d *download) once(p []byte) (int, error) {
	if d.at == d.blob.Size && d.body == nil {
		return 0, io.EOF
	}
	if d.body == nil {
		if err := d.open(); err != nil {
			return 0, err
		}
	}
	d.watch.Reset(d.r.stall)
	n, err := d.body.Read(p[:min(int64(len(p)), d.blob.Size-d.at+1)])
	d.watch.Stop()
	d.at += int64(n)
	switch {
	case d.at > d.blob.Size:
		return 0, &fatal{fmt.Errorf("blob %s is longer than the %d bytes that the manifest says", d.blob.Digest, d.blob.Size)}
	case n > 0:
		return n, nil
	case err == io.EOF && d.at == d.blob.Size:
		return 0, io.EOF
	case err == io.EOF:
		return 0, io.ErrUnexpectedEOF
	}
	return 0, err
}

// fatal is an error that another try would not cure.
type fatal struct{ error }

func (f *fatal) Unwrap() error { return f.error }

// open asks for the blob from where we are.
func (d *download) open() error {
	ctx, cancel := context.WithCancel(d.ctx)
	header := http.Header{}
	if d.at > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.at))
	}
	resp, err := d.r.ask(telling(ctx, d.told), "/blobs/"+d.blob.Digest.String(), header)
	if err != nil {
		cancel()
		var a *answer
		if errors.As(err, &a) { // the transport has asked again where that could help
			return &fatal{fmt.Errorf("fetching blob %s: %w", d.blob.Digest, err)}
		}
		return err
	}
	d.body, d.end = resp.Body, cancel
	d.watch = time.AfterFunc(d.r.stall, cancel)
	return d.begin(resp)
}

// begin checks that the answer starts where we are and is as long as it must be.
func (d *download) begin(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		if n := resp.ContentLength; n >= 0 && n != d.blob.Size {
			return &fatal{fmt.Errorf("blob %s has %d bytes at the registry, and %d in the manifest", d.blob.Digest, n, d.blob.Size)}
		}
		// The registry knows no ranges: what we have is read again and dropped.
		_, err := io.CopyN(io.Discard, resp.Body, d.at)
		return err
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", d.at)) {
		return &fatal{fmt.Errorf("blob %s: asked for bytes from %d, the registry sends %q", d.blob.Digest, d.at, resp.Header.Get("Content-Range"))}
	}
	return nil
}

// again decides whether to try once more after err, and waits before it.
func (d *download) again(err error) error {
	var f *fatal
	switch {
	case d.ctx.Err() != nil:
		return d.ctx.Err()
	case errors.As(err, &f):
		return f.error
	case errors.Is(err, context.Canceled):
		err = fmt.Errorf("the registry sent nothing for %v", d.r.stall)
	}
	d.failed++
	d.retries++
	if d.failed > maxFailed || d.retries > maxRetries {
		return fmt.Errorf("fetching blob %s: cut off after %d of %d bytes: %w", d.blob.Digest, d.at, d.blob.Size, err)
	}
	pause := 100 * time.Millisecond << (2 * (d.failed - 1))
	if d.told != nil {
		d.told(fmt.Sprintf("Retrying in %v", pause))
	}
	select {
	case <-d.ctx.Done():
		return d.ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

func (d *download) Close() error {
	if d.body == nil {
		return nil
	}
	d.watch.Stop()
	d.end()
	err := d.body.Close()
	d.body = nil
	return err
}
