package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"glassbox/test/registry"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// proxy stands before a registry and spoils its answers.
type proxy struct {
	behind http.Handler
	spoil  func(w http.ResponseWriter, r *http.Request, next http.Handler)
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.spoil(w, r, p.behind) }

// faulty starts a registry with one image behind a proxy, and returns the name to pull through it.
func faulty(t *testing.T) (*proxy, string) {
	t.Helper()
	to, name := target(t, "some/thing")
	to.Push(t, "latest", config(thisPlatform().Architecture), small(t, "first"), small(t, noise(1<<20)))
	u, err := url.Parse(to.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{behind: httputil.NewSingleHostReverseProxy(u)}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return p, strings.TrimPrefix(server.URL, "http://") + strings.TrimPrefix(name, strings.TrimPrefix(to.URL, "http://"))
}

// noise does not compress, so that a layer of it is long on the wire.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func isManifest(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/") }
func isBlob(r *http.Request) bool     { return strings.Contains(r.URL.Path, "/blobs/") }

// isLarge tells the blob of noise by its answer.
func isLarge(h http.Header) bool {
	n, _ := strconv.Atoi(h.Get("Content-Length"))
	return n > 1<<20
}

// recorded runs next and returns what it answered.
func recorded(next http.Handler, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	return rec
}

func replay(w http.ResponseWriter, rec *httptest.ResponseRecorder, body []byte) {
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	w.Write(body)
}

// cut sends the head of an answer and then breaks the connection.
func cut(w http.ResponseWriter, rec *httptest.ResponseRecorder, n int) {
	replay(w, rec, rec.Body.Bytes()[:n])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func refuse(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// TestRefusals checks Docker's words for what registries answer, and that nothing is left.
func TestRefusals(t *testing.T) {
	p, name := faulty(t)
	said := func(code, message string) string {
		return fmt.Sprintf(`{"errors":[{"code":%q,"message":%q}]}`, code, message)
	}
	denied := fmt.Sprintf("pull access denied for %s, repository does not exist or may require 'docker login': denied: requested access to the resource is denied", name)
	for _, c := range []struct {
		title  string
		where  func(*http.Request) bool
		status int
		body   string
		want   string
	}{
		{"no such tag", isManifest, 404, said("MANIFEST_UNKNOWN", "manifest unknown"), "manifest for " + name + ":latest not found: manifest unknown: manifest unknown"},
		{"no such tag, no body", isManifest, 404, "", "manifest for " + name + ":latest not found: manifest unknown: manifest unknown"},
		{"no such name", isManifest, 404, said("NAME_UNKNOWN", "repository name not known to registry"), "repository " + name + " not found: name unknown: repository name not known to registry"},
		{"denied", isManifest, 403, said("DENIED", "requested access to the resource is denied"), denied},
		{"denied, no body", isManifest, 403, "<html>", denied},
		{"unauthorized", isManifest, 401, said("UNAUTHORIZED", "authentication required"), "unauthorized: authentication required"},
		{"too many", isManifest, 429, said("TOOMANYREQUESTS", "You have reached your pull rate limit."), "toomanyrequests: You have reached your pull rate limit."},
		{"too many, no body", isManifest, 429, "", "toomanyrequests: too many requests"},
		{"500", isManifest, 500, "oops", "received unexpected HTTP status: 500 Internal Server Error"},
		{"503", isManifest, 503, "", "received unexpected HTTP status: 503 Service Unavailable"},
		{"ping 500", func(r *http.Request) bool { return r.URL.Path == "/v2/" }, 500, "", "received unexpected HTTP status: 500 Internal Server Error"},
		{"ping 429", func(r *http.Request) bool { return r.URL.Path == "/v2/" }, 429, "", "toomanyrequests: too many requests"},
		{"blob gone", isBlob, 404, said("BLOB_UNKNOWN", "blob unknown to registry"), "blob unknown: blob unknown to registry"},
		{"blob 429", isBlob, 429, said("TOOMANYREQUESTS", "slow down"), "toomanyrequests: slow down"},
		{"no JSON", isManifest, 200, "hello", "reading the manifest: invalid character"},
		{"schema 1", isManifest, 200, `{"schemaVersion":1,"fsLayers":[]}`, "schema 1 support has been removed"},
		{"two meanings", isManifest, 200, `{"schemaVersion":2,"manifests":[],"layers":[]}`, "unsupported manifest format"},
		{"no meaning", isManifest, 200, `{}`, "unsupported manifest format"},
		{"no config", isManifest, 200, `{"schemaVersion":2,"layers":[]}`, "unsupported manifest format: no config"},
		{"a chart", isManifest, 200, `{"schemaVersion":2,"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json"},"layers":[]}`, "unsupported media type application/vnd.cncf.helm.config.v1+json"},
		{"foreign", isManifest, 200, `{"schemaVersion":2,"config":{"digest":"sha256:` + strings.Repeat("0", 64) + `","size":2},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"sha256:` + strings.Repeat("0", 64) + `","size":2,"urls":["http://127.0.0.1:1/x"]}]}`, "is foreign (application/vnd.docker.image.rootfs.foreign.diff.tar.gzip)"},
		{"a list of lists", isManifest, 200, `{"schemaVersion":2,"manifests":[{"digest":"sha256:` + strings.Repeat("0", 64) + `","platform":{"os":"linux","architecture":"` + thisPlatform().Architecture + `"}}]}`, "manifest verification failed"},
		{"bad digest", isManifest, 200, `{"schemaVersion":2,"config":{"digest":"sha256:../../../etc"},"layers":[]}`, "invalid checksum digest"},
		{"empty list", isManifest, 200, `{"schemaVersion":2,"manifests":[]}`, "no matching manifest for " + formatPlatform(thisPlatform()) + " in the manifest list entries"},
		{"endless manifest", isManifest, 200, strings.Repeat(" ", maxDocument+10), "the manifest is larger than"},
		{"config too long", isManifest, 200, `{"schemaVersion":2,"config":{"digest":"sha256:` + strings.Repeat("0", 64) + `","size":99999999999},"layers":[]}`, "more than a config may have"},
	} {
		t.Run(c.title, func(t *testing.T) {
			p.spoil = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if c.where(r) {
					refuse(c.status, c.body)(w)
				} else {
					next.ServeHTTP(w, r)
				}
			}
			s := newStore(t)
			_, out, err := pullText(s, t, name, PullOptions{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q\n%s", err, c.want, out)
			}
			var away *Unreachable
			if errors.As(err, &away) {
				t.Error("the registry has answered, it was not unreachable")
			}
			checkEmpty(t, s)
		})
	}
}

// TestTampering changes what comes over the wire.
func TestTampering(t *testing.T) {
	p, name := faulty(t)
	flip := func(at func(int) int) func(http.ResponseWriter, *httptest.ResponseRecorder) {
		return func(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
			body := rec.Body.Bytes()
			body[at(len(body))] ^= 0x10
			replay(w, rec, body)
		}
	}
	middle := func(n int) int { return n / 2 }
	for _, c := range []struct {
		title string
		where func(*http.Request, *httptest.ResponseRecorder) bool
		do    func(http.ResponseWriter, *httptest.ResponseRecorder)
		want  string
	}{
		{"layer's middle", large, flip(middle), "filesystem layer verification failed for digest sha256:"},
		{"layer's first byte", large, flip(func(int) int { return 0 }), "filesystem layer verification failed for digest sha256:"},
		{"layer's last byte", large, flip(func(n int) int { return n - 1 }), "filesystem layer verification failed for digest sha256:"},
		{"config", isConfig, flip(middle), "image config verification failed for digest sha256:"},
		{"manifest", func(r *http.Request, _ *httptest.ResponseRecorder) bool { return isManifest(r) }, flip(middle), "manifest verification failed for digest sha256:"},
		{"layer too short", large, func(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
			rec.Header().Set("Content-Length", "1000")
			replay(w, rec, rec.Body.Bytes()[:1000])
		}, "has 1000 bytes at the registry, and"},
		{"layer too long", large, func(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
			rec.Header().Del("Content-Length")
			replay(w, rec, append(rec.Body.Bytes(), make([]byte, 5<<20)...))
		}, "is longer than the"},
		{"layer ends early, quietly", large, func(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
			rec.Header().Del("Content-Length")
			rec.Code = 200
			replay(w, rec, rec.Body.Bytes()[:5000])
		}, "cut off after 5000 of"},
	} {
		t.Run(c.title, func(t *testing.T) {
			p.spoil = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if c.title == "layer ends early, quietly" {
					r.Header.Del("Range")
				}
				rec := recorded(next, r)
				if c.where(r, rec) {
					c.do(w, rec)
				} else {
					replay(w, rec, rec.Body.Bytes())
				}
			}
			s := newStore(t)
			_, out, err := pullText(s, t, name, PullOptions{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q\n%s", err, c.want, out)
			}
			checkEmpty(t, s)
		})
	}
}

func large(r *http.Request, rec *httptest.ResponseRecorder) bool {
	return isBlob(r) && isLarge(rec.Header())
}

func isConfig(r *http.Request, rec *httptest.ResponseRecorder) bool {
	return isBlob(r) && bytes.Contains(rec.Body.Bytes(), []byte("rootfs"))
}

// TestCutOff breaks connections: a few breaks are gone over by asking for the rest, endless ones are an error.
func TestCutOff(t *testing.T) {
	p, name := faulty(t)
	var cuts, ranges atomic.Int32
	breaking := func(times int32, ranged bool) {
		cuts.Store(0)
		ranges.Store(0)
		p.spoil = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Header.Get("Range") != "" {
				ranges.Add(1)
				if !ranged {
					r.Header.Del("Range")
				}
			}
			rec := recorded(next, r)
			if isBlob(r) && rec.Body.Len() > 200<<10 && cuts.Add(1) <= times {
				cut(w, rec, 150<<10)
			}
			replay(w, rec, rec.Body.Bytes())
		}
	}
	for _, ranged := range []bool{true, false} {
		breaking(2, ranged)
		s := newStore(t)
		img, out, err := pullText(s, t, name, PullOptions{})
		if err != nil || ranges.Load() == 0 || !strings.Contains(out, ": Retrying in 100ms") {
			t.Errorf("ranges %v: %v, asked for %d\n%s", ranged, err, ranges.Load(), out)
			continue
		}
		lower, err := s.Layers(img)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := os.ReadFile(lower.Lower[0] + "/f"); string(body) != noise(1<<20) {
			t.Error("the layer that was cut off is not what was pushed")
		}
	}
	breaking(1000, false)
	s := newStore(t)
	if _, _, err := pullText(s, t, name, PullOptions{}); err == nil || !strings.Contains(err.Error(), "cut off after") {
		t.Errorf("cut for ever: %v", err)
	}
	checkEmpty(t, s)
}

// TestStall has a registry stop in the middle, without closing the connection.
func TestStall(t *testing.T) {
	p, name := faulty(t)
	for where, is := range map[string]func(*http.Request) bool{"layer": isBlob, "manifest": isManifest} {
		p.spoil = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			rec := recorded(next, r)
			if !is(r) || isBlob(r) && !isLarge(rec.Header()) {
				replay(w, rec, rec.Body.Bytes())
				return
			}
			replay(w, rec, rec.Body.Bytes()[:50])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
		s := newStore(t)
		s.stall = 150 * time.Millisecond
		before := time.Now()
		_, out, err := pullText(s, t, name, PullOptions{})
		if err == nil || where == "layer" && !strings.Contains(err.Error(), "the registry sent nothing for 150ms") || time.Since(before) > 8*time.Second {
			t.Errorf("%s: %v after %v\n%s", where, err, time.Since(before), out)
		}
		checkEmpty(t, s)
	}
}

// TestInterrupted gives a pull up from outside, as Ctrl-C does.
func TestInterrupted(t *testing.T) {
	p, name := faulty(t)
	reached := make(chan struct{}, 8)
	p.spoil = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := recorded(next, r)
		if !large(r, rec) {
			replay(w, rec, rec.Body.Bytes())
			return
		}
		replay(w, rec, rec.Body.Bytes()[:50])
		w.(http.Flusher).Flush()
		reached <- struct{}{}
		<-r.Context().Done()
	}
	s := newStore(t)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-reached; cancel() }()
	if _, err := s.Pull(ctx, mustRef(t, name), PullOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	checkEmpty(t, s)
}

// TestHostileImages pushes images that are well-formed to the registry and lie about themselves.
func TestHostileImages(t *testing.T) {
	to, name := target(t, "hostile")
	honest := small(t, "x")
	lying := honest
	lying.Diff = digest.FromString("another")
	out := registry.Gzip(t, registry.Tar(t, file("../../escape", "x")))
	notTar := registry.Gzip(t, []byte(strings.Repeat("this is no archive at all. ", 100)))
	truncated := registry.Gzip(t, registry.Tar(t, file("f", noise(100<<10))))
	truncated.Blob = truncated.Blob[:len(truncated.Blob)/2]
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	// An honest archive, and then 200 MiB of nothing in a few kilobytes.
	bomb := registry.Layer{Blob: w.EncodeAll(append(registry.Tar(t, file("f", "x")), make([]byte, 200<<20)...), nil), Diff: honest.Diff}
	arch := thisPlatform().Architecture
	windows := config(arch)
	windows.OS = "windows"
	for tag, c := range map[string]struct {
		config ocispec.Image
		layers []registry.Layer
		want   string
	}{
		"lying":     {config(arch), []registry.Layer{honest, lying}, "layers from manifest don't match image configuration"},
		"escape":    {config(arch), []registry.Layer{honest, out}, "leads out of the layer"},
		"notar":     {config(arch), []registry.Layer{notTar}, "reading the archive: archive/tar: invalid tar header"},
		"truncated": {config(arch), []registry.Layer{truncated}, "unexpected EOF"},
		"bomb":      {config(arch), []registry.Layer{bomb}, "goes on long after its archive has ended"},
		"windows":   {windows, []registry.Layer{honest}, `image operating system "windows" cannot be used on this platform`},
	} {
		to.Push(t, tag, c.config, c.layers...)
		s := newStore(t)
		_, printed, err := pullText(s, t, name+":"+tag, PullOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q\n%s", tag, err, c.want, printed)
		}
		checkEmpty(t, s)
	}
	few := config(arch)
	few.RootFS.DiffIDs = []digest.Digest{honest.Diff}
	to.Push(t, "few", few, honest)
	s := newStore(t)
	if _, _, err := pullText(s, t, name+":few", PullOptions{}); err == nil || !strings.Contains(err.Error(), "layers from manifest don't match image configuration: 1 and 2") {
		t.Errorf("few: %v", err)
	}
	checkEmpty(t, s)
}
