package image

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"glassbox/test/registry"

	"github.com/opencontainers/go-digest"
)

// remembering stands before a registry and takes uploads itself, as a registry that remembers what it has got of one that broke off;
// docker-registry forgets. What is complete it passes on.
type remembering struct {
	breaks int // so many uploads break off after a part

	mu   sync.Mutex
	got  map[string]*bytes.Buffer
	told []string // what was asked of it
}

func (m *remembering) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if !strings.Contains(r.URL.Path, "/blobs/uploads/") {
		next.ServeHTTP(w, r)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	m.told = append(m.told, r.Method)
	answer := func(status int) {
		b := m.got[id]
		w.Header().Set("Location", "/v2/pushed/blobs/uploads/"+id)
		if b.Len() > 0 {
			w.Header().Set("Range", fmt.Sprintf("0-%d", b.Len()-1))
		}
		w.WriteHeader(status)
	}
	switch r.Method {
	case http.MethodPost:
		id = fmt.Sprint(len(m.got))
		m.got[id] = &bytes.Buffer{}
		answer(http.StatusAccepted)
	case http.MethodGet:
		answer(http.StatusNoContent)
	case http.MethodPatch:
		if m.breaks > 0 {
			m.breaks--
			io.CopyN(m.got[id], r.Body, 300<<10)
			panic(http.ErrAbortHandler)
		}
		io.Copy(m.got[id], r.Body)
		answer(http.StatusAccepted)
	case http.MethodPut:
		m.pass(w, r, m.got[id].Bytes(), next)
	}
}

// pass sends what was gathered to the registry behind, in one piece.
func (m *remembering) pass(w http.ResponseWriter, r *http.Request, raw []byte, next http.Handler) {
	if d := digest.FromBytes(raw); d.String() != r.URL.Query().Get("digest") {
		refuse(400, `{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}`)(w)
		return
	}
	begun := recorded(next, mustRequest(http.MethodPost, "/v2/pushed/blobs/uploads/", nil))
	place := begun.Header().Get("Location")
	place = place[strings.Index(place, "/v2/"):]
	put := mustRequest(http.MethodPut, place+"&digest="+r.URL.Query().Get("digest"), bytes.NewReader(raw))
	replay(w, recorded(next, put), nil)
}

func mustRequest(method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequest(method, "http://registry"+path, body)
	if err != nil {
		panic(err)
	}
	return r
}

// TestUploadGoesOn breaks uploads off: what the registry has got is not sent again, be the layer packed on the way or sent as it lies.
func TestUploadGoesOn(t *testing.T) {
	p, name := faulty(t)
	m := &remembering{got: map[string]*bytes.Buffer{}, breaks: 2}
	p.spoil = m.serve
	s := newStore(t)
	to := strings.TrimSuffix(name, "some/thing") + "pushed"
	madeHere(t, s, to, noise(1<<20))
	_, out, err := pushText(s, t, to+":latest", PushOptions{})
	if err != nil || m.breaks != 0 || strings.Count(out, "Retrying in") != 2 {
		t.Fatalf("%v, %d breaks left\n%s", err, m.breaks, out)
	}
	// One POST for the layer and one for the config: nothing began anew.
	if all := strings.Join(m.told, " "); all != "POST PATCH GET PATCH GET PATCH PUT POST PATCH PUT" {
		t.Errorf("asked for %s", all)
	}
	p.spoil = func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }
	if _, out, err := pullText(newStore(t), t, to, PullOptions{}); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUploadStalls has a registry take nothing more in the middle, without closing the connection.
func TestUploadStalls(t *testing.T) {
	p, name := faulty(t)
	var stalled atomic.Bool
	release := make(chan bool)
	t.Cleanup(func() { close(release) })
	p.spoil = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPatch && stalled.CompareAndSwap(false, true) {
			io.CopyN(io.Discard, r.Body, 10<<10)
			<-release
			return
		}
		next.ServeHTTP(w, r)
	}
	s := newStore(t)
	s.stall = 500 * time.Millisecond
	to := strings.TrimSuffix(name, "some/thing") + "pushed"
	madeHere(t, s, to, noise(32<<20)) // more than the kernel keeps for a reader
	if _, out, err := pushText(s, t, to+":latest", PushOptions{}); err != nil || !stalled.Load() || !strings.Contains(out, "Retrying in") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPushDamaged pushes from a store in which a blob is no longer what it was: nothing of it gets a name there.
func TestPushDamaged(t *testing.T) {
	needRoot(t)
	address := registry.Start(t, false)
	s := newStore(t)
	img := madeHere(t, s, address+"/one", noise(1<<20))
	path := s.blob(img.layers[0].Digest)
	raw, err := os.ReadFile(path)
	if err == nil {
		raw[len(raw)/2] ^= 1
		err = os.WriteFile(path, raw, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, out, err := pushText(s, t, address+"/one:latest", PushOptions{}); err == nil || !strings.Contains(err.Error(), "the stored blob "+img.layers[0].Digest.String()+" is damaged") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, _, err := pullText(newStore(t), t, address+"/one", PullOptions{}); err == nil {
		t.Error("a damaged image was pushed")
	}
}
