package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Layer is a layer as it is pushed.
type Layer struct {
	Blob      []byte
	Diff      digest.Digest // of the uncompressed archive
	MediaType string        // empty: gzip
}

// Target is a repository of a registry.
type Target struct {
	URL            string // http://127.0.0.1:5000
	Repository     string // library/alpine
	User, Password string
}

// Push puts an image there, under a tag or (tag empty) under its digest only, and returns its manifest's descriptor.
func (r Target) Push(t testing.TB, tag string, config ocispec.Image, layers ...Layer) ocispec.Descriptor {
	t.Helper()
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	config.RootFS.Type = "layers"
	for _, l := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.Diff)
		if l.MediaType == "" {
			l.MediaType = ocispec.MediaTypeImageLayerGzip
		}
		m.Layers = append(m.Layers, r.Blob(t, l.MediaType, l.Blob))
	}
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	m.Config = r.Blob(t, ocispec.MediaTypeImageConfig, raw)
	d := r.Manifest(t, tag, m.MediaType, m)
	d.Platform = &config.Platform
	return d
}

// Manifest puts a manifest or a list of them there.
func (r Target) Manifest(t testing.TB, tag, mediaType string, v any) ocispec.Descriptor {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	if tag == "" {
		tag = d.Digest.String()
	}
	r.send(t, http.MethodPut, r.URL+"/v2/"+r.Repository+"/manifests/"+tag, mediaType, raw)
	return d
}

// Blob uploads a blob.
func (r Target) Blob(t testing.TB, mediaType string, raw []byte) ocispec.Descriptor {
	t.Helper()
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	place := r.send(t, http.MethodPost, r.URL+"/v2/"+r.Repository+"/blobs/uploads/", "", nil).Get("Location")
	if strings.HasPrefix(place, "/") {
		place = r.URL + place
	}
	sign := "?"
	if strings.Contains(place, "?") {
		sign = "&"
	}
	r.send(t, http.MethodPut, place+sign+"digest="+d.Digest.String(), "application/octet-stream", raw)
	return d
}

func (r Target) send(t testing.TB, method, url, mediaType string, body []byte) http.Header {
	t.Helper()
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	if r.User != "" {
		req.SetBasicAuth(r.User, r.Password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		said, _ := io.ReadAll(resp.Body)
		t.Fatal(fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, said))
	}
	return resp.Header
}
