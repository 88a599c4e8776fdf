package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/docker/cli/cli/config/types"
	"github.com/docker/distribution/registry/client/auth/challenge"
)

// agent is a transport that answers a registry's question of who we are:
//
//	Basic   name and password, with each request
//	Bearer  a token, which the server that the question names (realm) gives for a service and scopes: to anybody, to who has
//	        name and password (GET), or to who has an identity token from an earlier login (POST, OAuth2). It is fetched anew
//	        before it expires.
//
// To every other host it is silent: a registry may send us to a third party's for a blob.
type agent struct {
	base    http.RoundTripper
	host    string
	scheme  string            // "basic", "bearer"; empty: nobody has asked
	asked   map[string]string // the question's parameters: realm, service
	auth    types.AuthConfig
	scopes  []string
	offline bool // ask for an identity token too; it lands in auth

	mu    sync.Mutex
	token string
	until time.Time
}

var (
	errNoBasic = errors.New("no basic auth credentials")
	errNoToken = errors.New("authorization server did not include a token in the response")
)

// shortestToken is how long a token is good at least: clients that came before "expires_in" rely on it.
const shortestToken = 60 * time.Second

// ask takes over what the registry asked: the better of two ways where it offers both.
func (a *agent) ask(questions []challenge.Challenge) error {
	for _, scheme := range []string{"bearer", "basic"} {
		for _, q := range questions {
			if strings.EqualFold(q.Scheme, scheme) {
				a.scheme, a.asked = scheme, q.Parameters
				return nil
			}
		}
	}
	if len(questions) > 0 {
		return fmt.Errorf("the registry asks for credentials in a way that is not known: %s", questions[0].Scheme)
	}
	return nil
}

func (a *agent) RoundTrip(req *http.Request) (*http.Response, error) {
	known := req.URL.Host == a.host
	out := req.Clone(req.Context())
	out.Header.Set("User-Agent", "glassbox")
	if !known || a.scheme == "" {
		return a.base.RoundTrip(out)
	}
	word, fresh, err := a.authorization(req)
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	out.Header.Set("Authorization", word)
	resp, err := a.base.RoundTrip(out)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || fresh {
		return resp, err
	}
	return a.afresh(req, resp)
}

// afresh is for a token that the registry no longer takes though it should be good: clocks differ, keys change.
func (a *agent) afresh(req *http.Request, refused *http.Response) (*http.Response, error) {
	a.forget()
	if req.Body != nil && req.GetBody == nil {
		return refused, nil
	}
	out := req.Clone(req.Context())
	word, _, err := a.authorization(req)
	if err == nil && req.GetBody != nil {
		out.Body, err = req.GetBody()
	}
	if err != nil {
		return refused, nil
	}
	io.CopyN(io.Discard, refused.Body, 64<<10)
	refused.Body.Close()
	out.Header.Set("User-Agent", "glassbox")
	out.Header.Set("Authorization", word)
	return a.base.RoundTrip(out)
}

// CloseIdleConnections lets go of them; http.Client asks for it by this name.
func (a *agent) CloseIdleConnections() { (&http.Client{Transport: a.base}).CloseIdleConnections() }

func (a *agent) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token = ""
}

// authorization is the header's value; fresh tells that asking again would give the same.
func (a *agent) authorization(req *http.Request) (word string, fresh bool, err error) {
	if a.scheme == "basic" {
		if a.auth.Username == "" || a.auth.Password == "" {
			return "", true, errNoBasic
		}
		out := http.Request{Header: http.Header{}}
		out.SetBasicAuth(a.auth.Username, a.auth.Password)
		return out.Header.Get("Authorization"), true, nil
	}
	if a.auth.RegistryToken != "" {
		return "Bearer " + a.auth.RegistryToken, true, nil
	}
	if from := req.URL.Query().Get("from"); from != "" {
		// A blob of another repository is to be mounted: who may not read it there may not have it here.
		token, _, err := a.fetch(req.Context(), append([]string{"repository:" + from + ":pull"}, a.scopes...))
		return "Bearer " + token, true, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.token == "" || time.Now().After(a.until) {
		if a.token, a.until, err = a.fetch(req.Context(), a.scopes); err != nil {
			a.token = ""
			return "", true, err
		}
		fresh = true
	}
	return "Bearer " + a.token, fresh, nil
}

// fetch gets a token from where the registry's question says.
func (a *agent) fetch(ctx context.Context, scopes []string) (string, time.Time, error) {
	realm, err := url.Parse(a.asked["realm"])
	if err != nil || realm.Scheme != "http" && realm.Scheme != "https" || realm.Host == "" {
		return "", time.Time{}, fmt.Errorf("invalid token auth challenge realm: %q", a.asked["realm"])
	}
	req, err := a.tokenRequest(ctx, realm, scopes)
	if err != nil {
		return "", time.Time{}, err
	}
	req.Header.Set("User-Agent", "glassbox")
	resp, err := (&http.Client{Transport: a.base}).Do(req)
	if err != nil {
		return "", time.Time{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return "", time.Time{}, statusError(resp)
	}
	return a.take(resp.Body)
}

func (a *agent) tokenRequest(ctx context.Context, realm *url.URL, scopes []string) (*http.Request, error) {
	const client = "docker" // servers know this one, and refuse some others
	if a.auth.IdentityToken != "" {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.auth.IdentityToken}, "client_id": {client},
			"service": {a.asked["service"]}, "scope": {strings.Join(scopes, " ")}}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, realm.String(), strings.NewReader(form.Encode()))
		if err == nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return req, err
	}
	q := realm.Query()
	if service := a.asked["service"]; service != "" {
		q.Add("service", service)
	}
	for _, s := range scopes {
		q.Add("scope", s)
	}
	if a.offline {
		q.Add("offline_token", "true")
		q.Add("client_id", client)
	}
	named := a.auth.Username != "" && a.auth.Password != ""
	if named {
		q.Add("account", a.auth.Username)
	}
	realm.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, realm.String(), nil)
	if err == nil && named {
		req.SetBasicAuth(a.auth.Username, a.auth.Password)
	}
	return req, err
}

// take reads a token server's answer.
func (a *agent) take(body io.Reader) (string, time.Time, error) {
	var t struct {
		Token   string `json:"token"`
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Expires int    `json:"expires_in"` // seconds; "issued_at" is by another clock than ours
	}
	if err := json.NewDecoder(io.LimitReader(body, maxDocument)).Decode(&t); err != nil {
		return "", time.Time{}, fmt.Errorf("unable to decode token response: %w", err)
	}
	if t.Access != "" {
		t.Token = t.Access
	}
	if t.Token == "" {
		return "", time.Time{}, errNoToken
	}
	if a.offline && t.Refresh != "" {
		a.auth.IdentityToken = t.Refresh
	}
	life := max(shortestToken, time.Duration(t.Expires)*time.Second)
	return t.Token, time.Now().Add(life - life/10), nil
}
