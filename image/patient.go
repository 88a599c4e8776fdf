package image

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// patience bounds how a registry is waited for.
type patience struct {
	stall time.Duration // one that sends or takes nothing for so long is given up
	pause time.Duration // before the second try of what it was too busy for; each later pause is twice as long
}

const (
	tries       = 4
	longestWait = time.Minute // what a registry may ask for by Retry-After; beyond it the user had better know
)

// patient is a transport that asks again, after a pause, where the registry says that it is too busy or has broken down.
type patient struct {
	base  http.RoundTripper
	pause time.Duration
}

func (p *patient) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.GetBody == nil {
		return p.base.RoundTrip(req) // what was sent cannot be sent again: whoever sends it knows how to go on
	}
	first := true
	return patiently(req.Context(), p.pause, func() (*http.Response, error) {
		if !first && req.Body != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			req = req.Clone(req.Context())
			req.Body = body
		}
		first = false
		return p.base.RoundTrip(req)
	})
}

// CloseIdleConnections lets go of them; http.Client asks for it by this name.
func (p *patient) CloseIdleConnections() { (&http.Client{Transport: p.base}).CloseIdleConnections() }

// patiently asks until the answer is not "later", a few times at most.
func patiently(ctx context.Context, pause time.Duration, ask func() (*http.Response, error)) (*http.Response, error) {
	for try := 1; ; try++ {
		resp, err := ask()
		if err != nil || try == tries || !busy(resp.StatusCode) {
			return resp, err
		}
		wait, ok := waitFor(resp, pause<<(try-1))
		if !ok {
			return resp, nil
		}
		io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can serve again
		resp.Body.Close()
		if err := wayOut(ctx).rest(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// busy tells the answers that may be others next time.
func busy(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500
}

// waitFor is how long to wait: as the registry says, in seconds or until a time, or else as we do.
func waitFor(resp *http.Response, ours time.Duration) (time.Duration, bool) {
	said := resp.Header.Get("Retry-After")
	if n, err := strconv.Atoi(said); err == nil && n >= 0 {
		ours = max(ours, time.Duration(min(n, 1<<20))*time.Second)
	} else if at, err := http.ParseTime(said); err == nil {
		ours = max(ours, time.Until(at))
	}
	return ours, ours <= longestWait
}

// teller tells the user of a pause.
type teller func(message string)

type tellerKey struct{}

// telling has pauses of what is asked with the context told of.
func telling(ctx context.Context, t teller) context.Context {
	return context.WithValue(ctx, tellerKey{}, t)
}

func wayOut(ctx context.Context) teller {
	t, _ := ctx.Value(tellerKey{}).(teller)
	return t
}

// rest waits, and says so.
func (t teller) rest(ctx context.Context, wait time.Duration) error {
	if t != nil {
		t("Retrying in " + wait.Round(time.Millisecond).String())
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting to try again: %w", ctx.Err())
	case <-time.After(wait):
		return nil
	}
}
