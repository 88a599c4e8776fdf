package image

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"glassbox/test/registry"
)

// outside is an address that is not loopback, in the network namespace of a test that has one of its own.
const outside = "10.77.0.1"

// inOwnWorld runs a test again in a mount and a network namespace of its own, where /etc can be changed and outside is this machine.
// It tells whether this is that run.
func inOwnWorld(t *testing.T, environment ...string) bool {
	t.Helper()
	needRoot(t)
	if os.Getenv("GLASSBOX_OWN_WORLD") == t.Name() {
		return true
	}
	c := exec.Command("unshare", "-nm", "--propagation", "private", "sh", "-ec",
		"ip link set lo up; ip addr add "+outside+"/32 dev lo; mount -t tmpfs tmpfs /mnt; mkdir /mnt/up /mnt/work; "+
			`mount -t overlay -o lowerdir=/etc,upperdir=/mnt/up,workdir=/mnt/work overlay /etc; exec "$@"`,
		"sh", "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.Args[len(c.Args)-4] = program
	c.Env = append(append(os.Environ(), "GLASSBOX_OWN_WORLD="+t.Name()), environment...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if i := strings.Index(string(out), "--- SKIP"); i >= 0 {
		t.Skip(string(out[i:]))
	}
	return false
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, raw, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCertificates speaks with registries whose authority nobody knows, until it lies where Docker looks for it.
func TestCertificates(t *testing.T) {
	if !inOwnWorld(t) {
		return
	}
	ids := registry.Identify(t, t.TempDir(), outside)
	plain := registry.Options{Host: outside, TLS: ids}.Start(t)
	strict := registry.Options{Host: outside, TLS: ids, Clients: true}.Start(t)
	settings := t.TempDir() + "/config.json"
	t.Setenv("GLASSBOX_CONFIG", settings)
	s := newStore(t)
	try := func(address, want string) {
		t.Helper()
		if _, err := s.Resolve(address + "/one"); err != nil {
			madeHere(t, s, address+"/one", "1")
		}
		_, out, err := pushText(s, t, address+"/one:latest", PushOptions{})
		if want == "" && err == nil {
			_, _, err = pullText(newStore(t), t, address+"/one", PullOptions{})
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q\n%s", address, err, want, out)
		}
	}
	try(plain, "certificate signed by unknown authority")
	if err := os.WriteFile(settings, []byte(`{"insecure-registries": ["10.0.0.0/8"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	try(plain, "")
	if err := os.WriteFile(settings, []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(address, name string) string { return certificates + "/" + address + "/" + name }
	copyFile(t, ids.Authority, at(plain, "ca.crt"))
	try(plain, "")
	copyFile(t, ids.Authority, at(strict, "ca.crt"))
	// With TLS 1.3 the server refuses when the client has begun to write: the words are those of whatever fails first.
	try(strict, "https://"+strict+"/v2/")
	copyFile(t, ids.Client+".cert", at(strict, "client.cert"))
	try(strict, "missing key client.key for client certificate client.cert. CA certificates must use the extension .crt")
	copyFile(t, ids.Client+".key", at(strict, "client.key"))
	try(strict, "")
	copyFile(t, ids.Client+".key", at(strict, "other.key"))
	try(strict, "missing client certificate other.cert for key other.key")
}

// tunnels is an HTTP proxy that leads every CONNECT to one place.
type tunnels struct {
	to    string
	mu    sync.Mutex
	asked []string
}

func (p *tunnels) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.Host)
	p.mu.Unlock()
	if r.Method != http.MethodConnect {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	there, err := net.Dial("tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	here, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	fmt.Fprint(here, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { io.Copy(there, here); there.Close() }()
	io.Copy(here, there)
	here.Close()
}

// TestProxy has everything that is asked of Docker Hub go through a proxy that the environment names, to stand-ins for its index and its registry.
func TestProxy(t *testing.T) {
	dir := t.TempDir()
	proxy := outside + ":3128"
	if !inOwnWorld(t, "HTTPS_PROXY=http://"+proxy, "NO_PROXY=direct.example", "SSL_CERT_FILE="+dir+"/authority.cert", "GLASSBOX_TEST_DIR="+dir) {
		return
	}
	ids := registry.Identify(t, os.Getenv("GLASSBOX_TEST_DIR"), "registry-1.docker.io", "index.docker.io", "direct.example")
	behind := registry.Options{TLS: ids}.Start(t)
	p := &tunnels{to: behind}
	l, err := net.Listen("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: p}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	s := newStore(t)
	madeHere(t, s, "some/thing", "1")
	if _, out, err := pushText(s, t, "some/thing:latest", PushOptions{}); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, out, err := pullText(newStore(t), t, "some/thing", PullOptions{}); err != nil || !strings.HasSuffix(out, "docker.io/some/thing:latest\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if len(p.asked) == 0 || p.asked[0] != "CONNECT registry-1.docker.io:443" {
		t.Errorf("asked the proxy for %v", p.asked)
	}
	before := len(p.asked)
	_, _, err = pullText(newStore(t), t, "direct.example/x", PullOptions{})
	var away *Unreachable
	if !errors.As(err, &away) || len(p.asked) != before {
		t.Errorf("NO_PROXY: %v, asked for %v", err, p.asked[before:])
	}

	// The index: another place that the same proxy leads to.
	pair, err := tls.LoadX509KeyPair(ids.Server+".cert", ids.Server+".key")
	if err != nil {
		t.Fatal(err)
	}
	index, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	hub := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"results": []any{map[string]any{"name": r.Host + r.URL.String(), "star_count": 7, "is_official": true}}})
	})}
	go hub.Serve(index)
	t.Cleanup(func() { hub.Close() })
	p.to = index.Addr().String()
	all, err := s.Search(context.Background(), "alpine linux", 3)
	if err != nil || len(all) != 1 || all[0].Name != "index.docker.io/v1/search?q=alpine+linux&n=3" || all[0].StarCount != 7 || !all[0].IsOfficial {
		t.Errorf("found %+v, %v", all, err)
	}
}

// TestSearch looks through catalogues, and refuses what Docker refuses.
func TestSearch(t *testing.T) {
	needRoot(t)
	open, closed := registry.Start(t, false), registry.Start(t, true)
	s := newStore(t)
	for _, name := range []string{"/library/alpine", "/some/alpine-like", "/else"} {
		madeHere(t, s, open+name, "1")
		if _, _, err := pushText(s, t, open+name+":latest", PushOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	names := func(term string, limit int) string {
		var b bytes.Buffer
		all, err := s.Search(context.Background(), term, limit)
		for _, r := range all {
			fmt.Fprintln(&b, r.Name)
		}
		if err != nil {
			fmt.Fprintln(&b, err)
		}
		return b.String()
	}
	for _, c := range []struct {
		term  string
		limit int
		want  string
	}{
		{open + "/alpine", 0, open + "/library/alpine\n" + open + "/some/alpine-like\n"},
		{open + "/alpine", 1, open + "/library/alpine\n"},
		{open + "/nothing", 0, ""},
		{open + "/x", 101, "limit 101 is outside the range of [1, 100]\n"},
		{open + "/alpine", -1, open + "/library/alpine\n" + open + "/some/alpine-like\n"},
		{"http://" + open + "/x", 0, "invalid repository name: repository name (http://" + open + "/x) should not have a scheme\n"},
		{closed + "/x", 0, "no basic auth credentials\n"},
	} {
		if got := names(c.term, c.limit); got != c.want {
			t.Errorf("%s, %d: %q, want %q", c.term, c.limit, got, c.want)
		}
	}
}

// TestSearchMirror asks a mirror where Docker Hub cannot be reached.
func TestSearchMirror(t *testing.T) {
	if !inOwnWorld(t) {
		return
	}
	address := registry.Start(t, false)
	s := newStore(t)
	madeHere(t, s, address+"/library/alpine", "1")
	if _, _, err := pushText(s, t, address+"/library/alpine:latest", PushOptions{}); err != nil {
		t.Fatal(err)
	}
	settings := t.TempDir() + "/config.json"
	if err := os.WriteFile(settings, []byte(`{"registry-mirrors": ["http://127.0.0.1:1", "http://`+address+`"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GLASSBOX_CONFIG", settings)
	all, err := s.Search(context.Background(), "alp", 0)
	if err != nil || len(all) != 1 || all[0].Name != "alpine" || !all[0].IsOfficial {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestNamedLoopback speaks plain HTTP with a registry whose name, in /etc/hosts, is this machine's, as with 127.0.0.1 itself.
func TestNamedLoopback(t *testing.T) {
	if !inOwnWorld(t) {
		return
	}
	_, port, _ := strings.Cut(registry.Start(t, false), ":")
	hosts := "127.0.0.1 localhost registry.test\n" + outside + " elsewhere.test\n"
	if err := os.WriteFile("/etc/hosts", []byte(hosts), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newStore(t)
	madeHere(t, s, "registry.test:"+port+"/one", "1")
	if _, out, err := pushText(s, t, "registry.test:"+port+"/one:latest", PushOptions{}); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if err := s.Tag("registry.test:"+port+"/one", "elsewhere.test:"+port+"/one"); err != nil {
		t.Fatal(err)
	}
	_, _, err := pushText(s, t, "elsewhere.test:"+port+"/one:latest", PushOptions{})
	if err == nil || !strings.Contains(err.Error(), "https://elsewhere.test:"+port) {
		t.Errorf("without TLS to another machine: %v", err)
	}
}

// TestRetryAfter waits as long as a registry asks for, and not for what is longer than a user would.
func TestRetryAfter(t *testing.T) {
	for said, want := range map[string]string{"1": "", "3600": "toomanyrequests", "Wed, 21 Oct 2099 07:28:00 GMT": "toomanyrequests", "nonsense": ""} {
		p, name := faulty(t)
		var asked atomic.Bool
		p.spoil = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if isManifest(r) && asked.CompareAndSwap(false, true) {
				w.Header().Set("Retry-After", said)
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(w, r)
		}
		before := time.Now()
		_, out, err := pullText(newStore(t), t, name, PullOptions{})
		took := time.Since(before)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) || said == "1" && (took < time.Second || !strings.Contains(out, "Retrying in 1s")) || took > 5*time.Second {
			t.Errorf("%s: %v after %v\n%s", said, err, took, out)
		}
	}
}
