package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/distribution/registry/client/auth/challenge"
)

// Unreachable is the error for a registry that could not be asked: no network, no such host, nobody listening.
// A caller may then fall back to a built-in image.
type Unreachable struct {
	Host string
	Err  error
}

func (e *Unreachable) Error() string { return e.Err.Error() }
func (e *Unreachable) Unwrap() error { return e.Err }

// answer is a registry's refusal: its status, and the first error that it names.
type answer struct {
	status  int
	code    string // "MANIFEST_UNKNOWN"
	message string
}

// Error is Docker's way of writing such errors: the code in words, then the registry's message.
func (a *answer) Error() string {
	if a.code == "" {
		return fmt.Sprintf("received unexpected HTTP status: %d %s", a.status, http.StatusText(a.status))
	}
	words := strings.ReplaceAll(strings.ToLower(a.code), "_", " ")
	if a.message == "" {
		return words
	}
	return words + ": " + a.message
}

// IsUnauthorized tells that whoever gives a registry's tokens does not take a name and password, or an identity token.
func IsUnauthorized(err error) bool {
	var asked *url.Error
	var a *answer
	return errors.As(err, &asked) && errors.As(err, &a) && a.code == "UNAUTHORIZED"
}

// statusError reads a refusal. A body that is not the protocol's JSON leaves what the status says.
func statusError(resp *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // without a body the status must do
	a := &answer{status: resp.StatusCode}
	var body struct {
		Errors  []struct{ Code, Message string }
		Details string
	}
	if json.Unmarshal(raw, &body) == nil && len(body.Errors) > 0 && body.Errors[0].Code != "" {
		a.code, a.message = body.Errors[0].Code, body.Errors[0].Message
	}
	if a.status == http.StatusUnauthorized {
		for _, c := range challenge.ResponseChallenges(resp) {
			// RFC 6750: the token was good, but not for this. Docker Hub says so of what does not exist.
			if c.Parameters["error"] == "insufficient_scope" {
				a.code, a.message = "DENIED", "requested access to the resource is denied"
			}
		}
	}
	a.fill(body.Details)
	return a
}

// fill completes a refusal from the status alone.
func (a *answer) fill(details string) {
	if a.code != "" {
		return
	}
	switch a.status {
	case http.StatusUnauthorized:
		a.code, a.message = "UNAUTHORIZED", "authentication required"
	case http.StatusForbidden:
		a.code, a.message = "DENIED", "requested access to the resource is denied"
	case http.StatusTooManyRequests:
		a.code, a.message = "TOOMANYREQUESTS", "too many requests"
	}
	if a.code != "" && details != "" {
		a.message = details
	}
}

// translate gives an error of a pull Docker's words.
func (r *repository) translate(err error) error {
	var a *answer
	var onTheWay *url.Error // then it is the answer of the server that gives tokens
	if !errors.As(err, &a) || errors.As(err, &onTheWay) {
		return err
	}
	switch {
	case a.code == "DENIED":
		return fmt.Errorf("pull access denied for %s, repository does not exist or may require 'docker login': %w", reference.FamiliarName(r.ref), err)
	case a.code == "NAME_UNKNOWN":
		return fmt.Errorf("repository %s not found: %w", reference.FamiliarName(r.ref), err)
	}
	return err
}

// manifestError adds to a refusal what was asked for.
func (r *repository) manifestError(err error) error {
	var a *answer
	if !errors.As(err, &a) || a.status != http.StatusNotFound || a.code == "NAME_UNKNOWN" {
		return err
	}
	if a.code == "" {
		a.code, a.message = "MANIFEST_UNKNOWN", "manifest unknown"
	}
	if a.code != "MANIFEST_UNKNOWN" {
		return err
	}
	return fmt.Errorf("manifest for %s not found: %w", reference.FamiliarString(r.ref), err)
}
