package image

import (
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// FuzzManifest reads documents from registries: what is accepted names blobs by digests that lead out of no directory, is one thing
// only, and can be chosen from and packed anew.
func FuzzManifest(f *testing.F) {
	const sum = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	for _, s := range []string{
		`{}`, `[]`, `null`, `{"schemaVersion":1,"fsLayers":[]}`,
		`{"schemaVersion":2,"config":{"digest":"` + sum + `","size":1},"layers":[{"digest":"` + sum + `","mediaType":"application/vnd.oci.image.layer.v1.tar"}]}`,
		`{"schemaVersion":2,"manifests":[{"digest":"` + sum + `","platform":{"os":"linux","architecture":"amd64","variant":"v8"}}]}`,
		`{"schemaVersion":2,"manifests":[],"layers":[]}`,
		`{"schemaVersion":2,"config":{"digest":"sha256:../../../etc"},"layers":[{"digest":"md5:x","size":-1}]}`,
		`{"schemaVersion":2,"config":{"digest":"` + sum + `"},"layers":[{"digest":"` + sum + `","mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","urls":["http://x"]}]}`,
		strings.Repeat(`{"manifests":[`, 1000),
	} {
		f.Add([]byte(s), "application/vnd.oci.image.index.v1+json; charset=utf-8")
	}
	f.Fuzz(func(t *testing.T, raw []byte, contentType string) {
		m := document{raw: raw, descriptor: ocispec.Descriptor{Digest: digest.FromBytes(raw)}}
		if m.parse(contentType) != nil {
			return
		}
		if m.isList {
			if len(m.layers) > 0 || m.config.Digest != "" {
				t.Error("an image and a list of images")
			}
			if d, err := choose(m.manifests, thisPlatform()); err == nil && fit(thisPlatform(), d.Platform) == 0 {
				t.Errorf("chose %+v", d)
			}
			return
		}
		p := &parcel{raw: raw, manifest: describe(m.descriptor.MediaType, raw), config: &cargo{blob: m.config}}
		if json.Unmarshal(raw, &p.content) != nil {
			return
		}
		for _, d := range append(m.layers, m.config) {
			if !fs.ValidPath(d.Digest.Encoded()) || strings.Contains(d.Digest.Encoded(), "/") || d.Size < 0 {
				t.Errorf("blob %q of %d bytes", d.Digest, d.Size)
			}
		}
		for _, d := range m.layers {
			c := &cargo{blob: d, there: d}
			if c.isPlain() {
				c.there = ocispec.Descriptor{MediaType: c.packedType(), Digest: digest.FromString(string(d.Digest)), Size: 1}
			}
			p.layers = append(p.layers, c)
		}
		if err := p.address(); err != nil {
			t.Error(err)
		}
		again := document{raw: p.raw}
		if err := again.parse(p.manifest.MediaType); err != nil || len(again.layers) != len(m.layers) || again.config.Digest != m.config.Digest {
			t.Errorf("packed anew it cannot be read: %v\n%s", err, p.raw)
		}
	})
}

// FuzzChallenge reads what registries ask, and what token servers answer.
func FuzzChallenge(f *testing.F) {
	f.Add(`{"token":"x","expires_in":300}`)
	f.Add(`{"access_token":"x","refresh_token":"y","expires_in":-1}`)
	f.Add(`{"errors":[{"code":"DENIED","message":"no"}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		a := &agent{offline: true}
		token, until, err := a.take(strings.NewReader(body))
		if err == nil && (token == "" || until.IsZero()) || errors.Is(err, errNoToken) && token != "" {
			t.Errorf("token %q until %v, %v", token, until, err)
		}
	})
}
