package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"glassbox/test/registry"
)

// tokens puts the token protocol, as Docker Hub speaks it, before a registry: anonymous callers may read /open/, the user
// of package registry may also read /closed/.
func tokens(t *testing.T) (address string) {
	t.Helper()
	p, _ := faulty(t)
	var server *httptest.Server
	next := p.behind
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		challenge := fmt.Sprintf(`Bearer realm="%s/token",service="test"`, server.URL)
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		user, password, asked := r.BasicAuth()
		switch {
		case r.URL.Path == "/token" && asked && (user != registry.User || password != registry.Password):
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}`)
		case r.URL.Path == "/token":
			if !strings.HasPrefix(r.FormValue("scope"), "repository:") || r.FormValue("service") != "test" {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			fmt.Fprintf(w, `{"token":"good-%v"}`, asked)
		case !strings.HasPrefix(token, "good-"):
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
		case strings.Contains(r.URL.Path, "/closed/") && token != "good-true":
			w.Header().Set("WWW-Authenticate", challenge+`,scope="repository:closed/thing:pull",error="insufficient_scope"`)
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
		default:
			r.Header.Del("Authorization")
			for _, from := range []string{"/open/", "/closed/"} {
				r.URL.Path = strings.Replace(r.URL.Path, from, "/some/", 1)
			}
			next.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "https://")
}

func TestTokens(t *testing.T) {
	address := tokens(t)
	for _, c := range []struct{ password, name, want string }{
		{"", "/open/thing", ""},
		{registry.Password, "/open/thing", ""},
		{registry.Password, "/closed/thing", ""},
		{"", "/closed/thing", fmt.Sprintf("pull access denied for %s/closed/thing, repository does not exist or may require 'docker login': denied: requested access to the resource is denied", address)},
		{"wrong", "/open/thing", fmt.Sprintf("Head \"https://%s/v2/open/thing/manifests/latest\": unauthorized: incorrect username or password", address)},
	} {
		useConfig(t, dockerConfig(t, address, c.password))
		s := newStore(t)
		_, _, err := pullText(s, t, address+c.name, PullOptions{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("password %q, %s: %v, want %q", c.password, c.name, err, c.want)
		}
	}
}

// TestSilentRegistry accepts connections and says nothing: what a captive network does.
func TestSilentRegistry(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go io.Copy(io.Discard, c)
		}
	}()
	s := newStore(t)
	s.stall = 300 * time.Millisecond
	before := time.Now()
	_, err = s.Pull(context.Background(), mustRef(t, l.Addr().String()+"/x"), PullOptions{})
	var away *Unreachable
	if !errors.As(err, &away) || time.Since(before) > 8*time.Second {
		t.Errorf("%v after %v", err, time.Since(before))
	}
}
