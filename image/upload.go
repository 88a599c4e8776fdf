package image

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// upload brings a blob into a repository:
//
//	POST  blobs/uploads/     the registry says where to; or it takes the blob from another repository of its own (mount)
//	PATCH there              the bytes, one stream whose length need not be known
//	GET   there              after a break: how many have come?
//	PUT   there?digest=...   ends it
//
// After a break it goes on where it was, if the registry remembers, else from the beginning.
type upload struct {
	r     *repository
	open  func() (io.ReadCloser, error) // the blob from its beginning, the same bytes each time
	want  ocispec.Descriptor            // empty: digest and size are known only when everything was read
	told  teller
	place string // where to, as the registry said last
	at    int64  // how many bytes it has
}

// has tells whether the repository holds a blob, and how long that is.
func (r *repository) has(ctx context.Context, d digest.Digest) (int64, bool) {
	resp, err := r.send(ctx, http.MethodHead, r.base+"/blobs/"+d.String(), nil, nil)
	if err != nil {
		return 0, false // whatever keeps us from knowing will keep us from sending it, and be told then
	}
	resp.Body.Close()
	return resp.ContentLength, true
}

// mount asks the registry to take the blob from another of its repositories.
func (u *upload) mount(ctx context.Context, from string, d digest.Digest) (mounted bool, err error) {
	return u.begin(ctx, "?"+url.Values{"mount": {d.String()}, "from": {from}}.Encode())
}

func (u *upload) begin(ctx context.Context, query string) (mounted bool, err error) {
	resp, err := u.r.send(ctx, http.MethodPost, u.r.base+"/blobs/uploads/"+query, nil, nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusCreated {
		return true, nil
	}
	u.at = 0
	return false, u.moved(resp)
}

// moved notes where the registry wants the next request.
func (u *upload) moved(resp *http.Response) error {
	place, err := resp.Location() // resolves a relative one
	if err != nil {
		return fmt.Errorf("the registry does not say where to send the blob: %w", err)
	}
	u.place = place.String()
	return nil
}

// run sends the blob.
func (u *upload) run(ctx context.Context) (ocispec.Descriptor, error) {
	for try := 1; ; try++ {
		d, err := u.once(ctx)
		if err == nil {
			return d, nil
		}
		if ctx.Err() != nil {
			return d, ctx.Err()
		}
		if try == tries || isFinal(err) {
			return d, err
		}
		wait := u.r.pause << (try - 1)
		var l *later
		if errors.As(err, &l) {
			wait = l.wait
		}
		if err := u.told.rest(ctx, wait); err != nil {
			return d, err
		}
		u.resume(ctx, err)
	}
}

// later is the answer of a registry that was too busy to take the stream, and when to come again.
type later struct {
	error
	wait time.Duration
}

func (l *later) Unwrap() error { return l.error }

// isFinal tells errors that another try would not cure.
func isFinal(err error) bool {
	var l *later
	if errors.As(err, &l) {
		return false
	}
	var f *fatal
	var a *answer
	if errors.As(err, &f) || errors.Is(err, errNoBasic) || errors.Is(err, errNoToken) {
		return true
	}
	if !errors.As(err, &a) {
		return false
	}
	switch a.code {
	case "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "NAME_UNKNOWN", "TOOMANYREQUESTS":
		return true
	}
	switch a.status {
	case http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge:
		return true
	}
	return busy(a.status) // asked again already
}

// resume finds out how much the registry has got. It knows nothing of an upload that it refused, nor of one of which it says 0-0: that
// may be one byte, or none.
func (u *upload) resume(ctx context.Context, cause error) {
	place, at := u.place, int64(0)
	u.place, u.at = "", 0
	var a *answer
	if place == "" || errors.As(cause, &a) {
		return
	}
	resp, err := u.r.send(ctx, http.MethodGet, place, nil, nil)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if n, err := fmt.Sscanf(strings.TrimPrefix(resp.Header.Get("Range"), "bytes="), "0-%d", &at); n != 1 || err != nil || at <= 0 {
		return
	}
	u.place, u.at = place, at+1
	if resp.Header.Get("Location") != "" && u.moved(resp) != nil {
		u.place, u.at = "", 0
	}
}

// once is one try to send all that the registry has not got.
func (u *upload) once(ctx context.Context) (d ocispec.Descriptor, err error) {
	if u.place == "" {
		if mounted, err := u.begin(ctx, ""); err != nil || mounted {
			return d, cmpErr(err, &fatal{errors.New("the registry claims to have mounted a blob that nobody asked it to mount")})
		}
	}
	source, err := u.open()
	if err != nil {
		return d, &fatal{err}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &sending{ReadCloser: source, sum: sha256.New(), stall: u.r.stall, closed: make(chan struct{})}
	s.watch = time.AfterFunc(u.r.stall, func() { cancel(fmt.Errorf("the registry took nothing for %v", u.r.stall)) })
	defer s.watch.Stop()
	if _, err := io.CopyN(io.Discard, s, u.at); err != nil {
		s.Close()
		return d, &fatal{fmt.Errorf("the registry has %d bytes of a blob that is shorter: %w", u.at, err)}
	}
	if err := u.patch(ctx, s); err != nil {
		return d, err
	}
	d = ocispec.Descriptor{Digest: digestOf(s.sum), Size: s.n}
	if u.want.Digest != "" && (d.Digest != u.want.Digest || d.Size != u.want.Size) {
		return d, &fatal{fmt.Errorf("the stored blob %s is damaged: its digest is %s", u.want.Digest, d.Digest)}
	}
	u.at = s.n
	return d, u.end(ctx, d.Digest)
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// patch sends the rest of the stream. It returns only when nobody reads that any longer.
func (u *upload) patch(ctx context.Context, s *sending) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, u.place, s)
	if err != nil {
		return errors.Join(&fatal{err}, s.Close())
	}
	req.ContentLength = -1
	if u.want.Digest != "" {
		if req.ContentLength = u.want.Size - u.at; req.ContentLength == 0 {
			return s.Close()
		}
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := u.r.client.Do(req)
	<-s.closed
	if err != nil {
		if s.err != nil {
			return &fatal{s.err}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		err := statusError(resp)
		if wait, ok := waitFor(resp, u.r.pause); ok && busy(resp.StatusCode) {
			return &later{err, wait}
		}
		return err
	}
	if s.err != nil || !s.ended {
		return cmpErr(s.err, errors.New("the registry answered before it had the whole blob"))
	}
	return u.moved(resp)
}

// end tells the registry what it must have got.
func (u *upload) end(ctx context.Context, d digest.Digest) error {
	place, err := url.Parse(u.place)
	if err != nil {
		return &fatal{err}
	}
	q := place.Query()
	q.Set("digest", d.String())
	place.RawQuery = q.Encode()
	resp, err := u.r.send(ctx, http.MethodPut, place.String(), http.Header{"Content-Type": {"application/octet-stream"}}, nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// sending is a blob being read by the connection: what passes is summed up, and a connection that takes nothing is noticed.
type sending struct {
	io.ReadCloser
	sum    hash.Hash
	n      int64
	watch  *time.Timer
	stall  time.Duration
	ended  bool
	err    error // of the source
	closed chan struct{}
}

func (s *sending) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.sum.Write(p[:n])
	s.n += int64(n)
	s.watch.Reset(s.stall)
	if err == io.EOF {
		s.ended = true
		s.watch.Stop() // the answer has a time of its own
	} else if err != nil {
		s.err = err
	}
	return n, err
}

// Close is called once by whoever sends the request.
func (s *sending) Close() error {
	select {
	case <-s.closed:
		return nil
	default:
	}
	err := s.ReadCloser.Close()
	close(s.closed)
	return err
}
