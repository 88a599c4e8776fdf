package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/distribution/registry/client/auth/challenge"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// contact bounds the time for finding and connecting to a registry: beyond it there is no network, as far as a user can
// tell. One that is connected gets three times as long to answer, since TLS on a slow line takes several round trips.
const contact = 3 * time.Second

// slowest is how much longer than to send something a registry may take to answer to what it was sent: it writes a large blob to its place.
const slowest = 10

// endpoint is a place that a repository may be pulled from.
type endpoint struct {
	schemes []string // in the order in which they are tried
	host    string
	prefix  string // of paths, such as a mirror's
	mirror  bool
	lax     bool // certificates are not checked
}

// Docker Hub goes by three names: that of its images, its registry's, and its index's, which knows who may log in and what there is.
const (
	hub         = "docker.io"
	hubRegistry = "registry-1.docker.io"
	hubIndex    = "index.docker.io"
)

// endpoints lists where ref can be had: mirrors speak for Docker Hub only.
func endpoints(ref reference.Named, s settings) []endpoint {
	var all []endpoint
	if reference.Domain(ref) == hub {
		for _, m := range s.Mirrors {
			if u, err := url.Parse(m); err == nil {
				all = append(all, endpoint{schemes: []string{u.Scheme}, host: u.Host, prefix: strings.TrimSuffix(u.Path, "/"),
					mirror: true, lax: s.insecure(u.Host)})
			}
		}
	}
	return append(all, direct(reference.Domain(ref), s))
}

// direct is the registry itself.
func direct(domain string, s settings) endpoint {
	if domain == hub || domain == hubIndex {
		return endpoint{schemes: []string{"https"}, host: hubRegistry}
	}
	e := endpoint{schemes: []string{"https"}, host: domain}
	if s.insecure(domain) {
		e.schemes, e.lax = []string{"https", "http"}, true
	}
	return e
}

// repository is a connection to one repository of a registry.
type repository struct {
	client *http.Client
	base   string // URL of the repository: https://host/v2/library/alpine
	ref    reference.Named
	patience
}

// connect asks the registry for its version, as the protocol begins, and answers its question of who we are. The last but one
// argument says what we want to do: "pull" or "pull,push".
func connect(ctx context.Context, e endpoint, ref reference.Named, what string, p patience) (*repository, error) {
	auth, err := credentials(e.host)
	if err != nil {
		return nil, err
	}
	scope := "repository:" + reference.Path(ref) + ":" + what
	a, root, err := e.reach(ctx, p, func() *agent { return &agent{auth: auth, scopes: []string{scope}} })
	if err != nil {
		return nil, err
	}
	return &repository{client: &http.Client{Transport: a}, base: root + reference.Path(ref), ref: ref, patience: p}, nil
}

// reach finds the scheme by which the registry answers, and gives its root (https://host/v2/) and a transport that answers
// its question.
func (e endpoint) reach(ctx context.Context, p patience, who func() *agent) (*agent, string, error) {
	var first error
	for _, scheme := range e.schemes {
		a := who()
		root := scheme + "://" + e.host + e.prefix + "/v2/"
		err := a.reach(ctx, e, root, p)
		var away *Unreachable
		if err == nil || ctx.Err() != nil || !errors.As(err, &away) {
			return a, root, err
		}
		first = err // of two the last is the telling one: plain HTTP is tried where TLS did not work
	}
	return nil, "", first
}

func (a *agent) reach(ctx context.Context, e endpoint, root string, p patience) error {
	base, err := e.transport(p)
	if err != nil {
		return err
	}
	questions, err := ping(ctx, root, base, p)
	if err != nil {
		return err
	}
	a.base, a.host = &patient{base, p.pause}, e.host
	return a.ask(questions)
}

// ping finds out whether and how the registry wants to know who asks.
func ping(ctx context.Context, url string, rt http.RoundTripper, p patience) ([]challenge.Challenge, error) {
	client := &http.Client{Transport: rt, Timeout: min(p.stall, 3*contact)}
	resp, err := patiently(ctx, p.pause, func() (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("User-Agent", "glassbox")
		resp, err := client.Do(req)
		if err != nil && ctx.Err() == nil {
			err = &Unreachable{Host: req.URL.Host, Err: err}
		}
		return resp, err
	})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	defer io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can serve again
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNotFound: // a static mirror may have no /v2/
		return nil, nil
	case http.StatusUnauthorized:
		if all := challenge.ResponseChallenges(resp); len(all) > 0 {
			return all, nil
		}
		return nil, fmt.Errorf("Get %q: the registry asks for credentials in a way that is not known: %q", url, resp.Header.Get("WWW-Authenticate"))
	}
	return nil, statusError(resp)
}

// transport is net/http's with our bounds: nothing is waited for without end.
func (e endpoint) transport(p patience) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: contact, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: p.stall,
		MaxIdleConnsPerHost:   together + 1,
		ReadBufferSize:        64 << 10,
		WriteBufferSize:       64 << 10,
		DisableCompression:    true, // layers come as they are
		ForceAttemptHTTP2:     true,
	}
	var err error
	t.TLSClientConfig, err = trust(certificates, e.host, e.lax)
	return t, err
}

// close lets go of idle connections.
func (r *repository) close() { r.client.CloseIdleConnections() }

func tagOrDigest(ref reference.Named) string {
	switch r := ref.(type) {
	case reference.Digested:
		return r.Digest().String()
	case reference.Tagged:
		return r.Tag()
	}
	return "latest"
}

// manifestTypes is what we can read, said to the registry.
var manifestTypes = []string{
	ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex,
	"application/vnd.docker.distribution.manifest.v2+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
}

// manifest fetches a manifest or a list of them, by tag or digest, and verifies it.
func (r *repository) manifest(ctx context.Context, which string) (document, error) {
	var m document
	ctx, cancel := context.WithTimeout(ctx, 2*r.stall)
	defer cancel()
	resp, err := r.ask(ctx, "/manifests/"+which, http.Header{"Accept": manifestTypes})
	var refused *url.Error
	if errors.As(err, &refused) && refused.Op == "Get" {
		refused.Op = "Head" // which is how Docker begins, and what it says of names and tokens refused
	}
	if err != nil {
		return m, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return m, fmt.Errorf("reading the manifest: %w", err)
	}
	if len(raw) > maxDocument {
		return m, fmt.Errorf("the manifest is larger than %d bytes", maxDocument)
	}
	want := digest.Digest(resp.Header.Get("Docker-Content-Digest"))
	if strings.Contains(which, ":") {
		want = digest.Digest(which)
	}
	m.descriptor = ocispec.Descriptor{Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	if want != "" && want.Algorithm() == digest.SHA256 && want != m.descriptor.Digest {
		return m, fmt.Errorf("manifest verification failed for digest %s", want)
	}
	m.raw = raw
	return m, m.parse(resp.Header.Get("Content-Type"))
}

// tags lists the repository's tags, page by page.
func (r *repository) tags(ctx context.Context) (all []reference.Named, err error) {
	at := r.base + "/tags/list"
	for pages := 0; at != "" && pages < maxPages; pages++ {
		var page struct{ Tags []string }
		if at, err = r.page(ctx, at, &page); err != nil {
			return nil, r.translate(err)
		}
		for _, t := range page.Tags {
			ref, err := reference.WithTag(reference.TrimNamed(r.ref), t)
			if err != nil {
				return nil, fmt.Errorf("the registry lists a tag that is none: %q: %w", t, err)
			}
			all = append(all, ref)
		}
	}
	return all, nil
}

// maxPages bounds a list that a registry could go on with for ever.
const maxPages = 1000

// page reads one page of a list, and tells where the next one is.
func (r *repository) page(ctx context.Context, at string, into any) (next string, err error) {
	resp, err := r.send(ctx, http.MethodGet, at, nil, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxDocument)).Decode(into); err != nil {
		return "", fmt.Errorf("reading the registry's list: %w", err)
	}
	// RFC 8288: Link: </v2/x/tags/list?last=b&n=2>; rel="next"
	link, rest, ok := strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), ">")
	if !ok || !strings.Contains(rest, "next") {
		return "", nil
	}
	to, err := resp.Request.URL.Parse(link)
	if err != nil || to.Host != resp.Request.URL.Host {
		return "", fmt.Errorf("the registry's list goes on at %q", link)
	}
	return to.String(), nil
}

// small fetches a blob that fits in memory, the image's config, and verifies it.
func (r *repository) small(ctx context.Context, d ocispec.Descriptor) ([]byte, error) {
	if err := checkDigest(d.Digest); err != nil {
		return nil, err
	}
	if d.Size > maxDocument {
		return nil, fmt.Errorf("the image config claims %d bytes, more than a config may have", d.Size)
	}
	body := r.blob(ctx, d, nil)
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("fetching the image config: %w", err)
	}
	if digest.FromBytes(raw) != d.Digest {
		return nil, fmt.Errorf("image config verification failed for digest %s", d.Digest)
	}
	return raw, nil
}

// ask sends a GET for a part of the repository and translates an answer that is none.
func (r *repository) ask(ctx context.Context, path string, header http.Header) (*http.Response, error) {
	resp, err := r.send(ctx, http.MethodGet, r.base+path, header, nil)
	if err != nil {
		return nil, r.translate(err)
	}
	return resp, nil
}

// send makes a request and gives its answer, if that is one of success.
func (r *repository) send(ctx context.Context, method, url string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	for k, values := range header {
		req.Header[k] = values
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, statusError(resp)
}

// document is a manifest or manifest list as it came.
type document struct {
	raw        []byte
	descriptor ocispec.Descriptor
	config     ocispec.Descriptor
	layers     []ocispec.Descriptor
	manifests  []ocispec.Descriptor
	isList     bool
}

func (m *document) parse(contentType string) error {
	var d struct {
		SchemaVersion int                  `json:"schemaVersion"`
		MediaType     string               `json:"mediaType"`
		Config        *ocispec.Descriptor  `json:"config"`
		Layers        []ocispec.Descriptor `json:"layers"`
		Manifests     []ocispec.Descriptor `json:"manifests"`
		FSLayers      json.RawMessage      `json:"fsLayers"`
	}
	if err := json.Unmarshal(m.raw, &d); err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	if d.SchemaVersion == 1 || d.FSLayers != nil {
		return errors.New("Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed." +
			" Suggest the author to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2.")
	}
	// A document that can be read as both would have two meanings under one digest (CVE-2021-41190).
	if (d.Manifests != nil) == (d.Config != nil || d.Layers != nil) {
		return errors.New("unsupported manifest format: neither an image nor a list of images")
	}
	m.isList, m.manifests, m.layers = d.Manifests != nil, d.Manifests, d.Layers
	m.descriptor.MediaType = d.MediaType
	if m.descriptor.MediaType == "" {
		m.descriptor.MediaType, _, _ = strings.Cut(contentType, ";")
	}
	if m.isList {
		return nil
	}
	if d.Config == nil {
		return errors.New("unsupported manifest format: no config")
	}
	m.config = *d.Config
	return m.check()
}

// checkForeign refuses a layer that whoever passes on images must not pass on: one is to fetch it from its maker. Docker does on Windows alone.
func checkForeign(d ocispec.Descriptor) error {
	if strings.Contains(d.MediaType, ".nondistributable.") || strings.Contains(d.MediaType, ".foreign.") {
		return fmt.Errorf("layer %s is foreign (%s): its content is not distributed with the image", d.Digest, d.MediaType)
	}
	return nil
}

// check refuses what is no container image, and digests that are none.
func (m *document) check() error {
	switch m.config.MediaType {
	case ocispec.MediaTypeImageConfig, "application/vnd.docker.container.image.v1+json", "application/octet-stream", "":
	default:
		return fmt.Errorf("unsupported media type %s", m.config.MediaType)
	}
	for _, d := range append([]ocispec.Descriptor{m.config}, m.layers...) {
		if err := checkDigest(d.Digest); err != nil {
			return fmt.Errorf("reading the manifest: %w", err)
		}
		if d.Size < 0 {
			return fmt.Errorf("reading the manifest: blob %s has size %d", d.Digest, d.Size)
		}
		if err := checkForeign(d); err != nil {
			return err
		}
	}
	return nil
}
