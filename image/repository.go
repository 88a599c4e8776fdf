package image

import (
	"context"
	"crypto/tls"
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
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// contact bounds the time for finding and connecting to a registry: beyond it there is no network, as far as a user can
// tell. One that is connected gets three times as long to answer, since TLS on a slow line takes several round trips.
const contact = 3 * time.Second

// endpoint is a place that a repository may be pulled from.
type endpoint struct {
	schemes []string // in the order in which they are tried
	host    string
	prefix  string // of paths, such as a mirror's
	mirror  bool
	lax     bool // certificates are not checked
}

const hub = "docker.io"

// endpoints lists where ref can be had: mirrors speak for Docker Hub only.
func endpoints(ref reference.Named, s settings) []endpoint {
	var all []endpoint
	domain := reference.Domain(ref)
	if domain != hub {
		return append(all, direct(domain, s))
	}
	for _, m := range s.Mirrors {
		if u, err := url.Parse(m); err == nil {
			all = append(all, endpoint{schemes: []string{u.Scheme}, host: u.Host, prefix: strings.TrimSuffix(u.Path, "/"),
				mirror: true, lax: s.insecure(u.Host)})
		}
	}
	return append(all, direct("registry-1.docker.io", s))
}

func direct(host string, s settings) endpoint {
	e := endpoint{schemes: []string{"https"}, host: host}
	if s.insecure(host) {
		e.schemes, e.lax = []string{"https", "http"}, true
	}
	return e
}

// repository is a connection to one repository of a registry.
type repository struct {
	client *http.Client
	base   string // URL of the repository: https://host/v2/library/alpine
	ref    reference.Named
	stall  time.Duration
}

// connect asks the registry for its version, as the protocol begins, and answers its question of who we are.
func connect(ctx context.Context, e endpoint, ref reference.Named, stall time.Duration) (*repository, error) {
	var first error
	for _, scheme := range e.schemes {
		r, err := connectBy(ctx, scheme, e, ref, stall)
		var away *Unreachable
		if err == nil || ctx.Err() != nil || !errors.As(err, &away) {
			return r, err
		}
		first = err // of two the last is the telling one: plain HTTP is tried where TLS did not work
	}
	return nil, first
}

func connectBy(ctx context.Context, scheme string, e endpoint, ref reference.Named, stall time.Duration) (*repository, error) {
	base := roundTripper(e, stall)
	question, err := ping(ctx, scheme+"://"+e.host+e.prefix+"/v2/", base, min(stall, 3*contact))
	if err != nil {
		return nil, err
	}
	question.Insecure = scheme == "http"
	agent := transport.NewUserAgent(base, "glassbox")
	reg, auth, err := credentials(ctx, e, ref)
	if err != nil {
		return nil, err
	}
	r := &repository{base: scheme + "://" + e.host + e.prefix + "/v2/" + reference.Path(ref), ref: ref, stall: stall}
	var token *transport.Token
	if strings.EqualFold(question.Scheme, "bearer") {
		scope := "repository:" + reference.Path(ref) + ":pull"
		if token, err = transport.Exchange(ctx, reg, auth, agent, []string{scope}, question); err != nil {
			return nil, r.translate(err)
		}
		if token.AccessToken != "" {
			token.Token = token.AccessToken
		}
	}
	if strings.EqualFold(question.Scheme, "basic") && auth == authn.Anonymous {
		return nil, fmt.Errorf("Head %q: no basic auth credentials", r.base+"/manifests/"+tagOrDigest(ref))
	}
	rt, err := transport.FromToken(reg, auth, agent, question, token)
	if err != nil {
		return nil, err
	}
	r.client = &http.Client{Transport: rt}
	return r, nil
}

// ping finds out whether and how the registry wants to know who asks.
func ping(ctx context.Context, url string, rt http.RoundTripper, timeout time.Duration) (*transport.Challenge, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: rt, Timeout: timeout}).Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, &Unreachable{Host: req.URL.Host, Err: err}
	}
	defer resp.Body.Close()
	defer io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can serve again
	q := &transport.Challenge{}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNotFound: // a static mirror may have no /v2/
		return q, nil
	case http.StatusUnauthorized:
		for _, c := range challenge.ResponseChallenges(resp) {
			if s := strings.ToLower(c.Scheme); s == "basic" || s == "bearer" {
				return &transport.Challenge{Scheme: c.Scheme, Parameters: c.Parameters}, nil
			}
		}
		return nil, fmt.Errorf("Get %q: the registry asks for credentials in a way that is not known: %q", url, resp.Header.Get("WWW-Authenticate"))
	}
	return nil, statusError(resp)
}

// roundTripper is net/http's with our bounds: nothing is waited for without end.
func roundTripper(e endpoint, stall time.Duration) http.RoundTripper {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: contact, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: stall,
		MaxIdleConnsPerHost:   together + 1,
		ReadBufferSize:        64 << 10,
		DisableCompression:    true, // layers come as they are
		ForceAttemptHTTP2:     true,
	}
	if e.lax {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	} else if pool := trusted(e.host); pool != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return t
}

// credentials looks up who we are for a registry in Docker's configuration file, credential helpers included. A mirror is asked under its own name.
func credentials(ctx context.Context, e endpoint, ref reference.Named) (name.Registry, authn.Authenticator, error) {
	reg, err := name.NewRegistry(e.host)
	if err != nil {
		return reg, nil, err
	}
	key := reg
	if !e.mirror && reference.Domain(ref) == hub {
		if key, err = name.NewRegistry(name.DefaultRegistry); err != nil {
			return reg, nil, err
		}
	}
	auth, err := authn.Resolve(ctx, authn.DefaultKeychain, key)
	if err != nil {
		return reg, nil, fmt.Errorf("looking up credentials for %s: %w", e.host, err)
	}
	return reg, auth, nil
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
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path, nil)
	if err != nil {
		return nil, err
	}
	for k, values := range header {
		req.Header[k] = values
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, r.translate(err)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, r.translate(statusError(resp))
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
	}
	return nil
}
