package registry

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Service is the name by which a registry with tokens calls itself.
const (
	Service = "the registry"
	issuer  = "a token server"
	refresh = "an identity token for " + User
)

// Tokens is a server that gives tokens as Docker Hub's does: signed JSON documents (RFC 7519) that say who may do what, which
// docker-registry checks by the signer's certificate. Everybody may pull from public/, User may do everything. Who asks for it
// (offline_token) gets an identity token, with which it later need not show the password.
type Tokens struct {
	URL string

	bundle string
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate

	mu    sync.Mutex
	asked []string
	life  time.Duration
}

// StartTokens runs the server until the test ends.
func StartTokens(t testing.TB) *Tokens {
	t.Helper()
	s := &Tokens{life: time.Minute, bundle: t.TempDir() + "/signer"}
	s.cert, s.key = sign(t, s.bundle, &x509.Certificate{Subject: pkix.Name{CommonName: issuer}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}, nil, nil)
	s.bundle += ".cert"
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Live says how long a token is good, whatever its answer says: at first a minute.
func (s *Tokens) Live(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = d
}

func (s *Tokens) lives() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life
}

// Asked lists what was asked for so far: "GET ali repository:x:pull".
func (s *Tokens) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.asked...)
}

func (s *Tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, named := r.BasicAuth()
	good := user == User && password == Password
	if r.Method == http.MethodPost {
		user, named, good = User, true, r.FormValue("grant_type") == "refresh_token" && r.FormValue("refresh_token") == refresh
	}
	scopes := r.Form["scope"]
	if r.Form == nil {
		scopes = r.URL.Query()["scope"]
	} else if len(scopes) == 1 {
		scopes = strings.Fields(scopes[0])
	}
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprint(r.Method, " ", user, " ", strings.Join(scopes, " ")))
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if named && !good || r.FormValue("service") != Service {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}`)
		return
	}
	token := s.token(user, scopes)
	answer := object{"token": token, "access_token": token, "expires_in": 60}
	if r.FormValue("offline_token") == "true" && good {
		answer["refresh_token"] = refresh
	}
	json.NewEncoder(w).Encode(answer)
}

// token is a signed permission.
func (s *Tokens) token(user string, scopes []string) string {
	type access struct {
		Type    string   `json:"type"`
		Name    string   `json:"name"`
		Actions []string `json:"actions"`
	}
	all := []access{}
	for _, scope := range scopes {
		kind, rest, _ := strings.Cut(scope, ":")
		name, actions, _ := strings.Cut(rest, ":")
		switch {
		case user == User:
			all = append(all, access{kind, name, strings.Split(actions, ",")})
		case strings.HasPrefix(name, "public/"):
			all = append(all, access{kind, name, []string{"pull"}})
		}
	}
	now := time.Now()
	head := encoded(object{"typ": "JWT", "alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(s.cert.Raw)}})
	body := encoded(object{"iss": issuer, "sub": user, "aud": Service, "exp": now.Add(s.lives()).Unix(), "nbf": now.Add(-10 * time.Second).Unix(),
		"iat": now.Unix(), "jti": fmt.Sprint(now.UnixNano()), "access": all})
	sum := sha256.Sum256([]byte(head + "." + body))
	a, b, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		panic(err)
	}
	signature := append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...)
	return head + "." + body + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encoded(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}
