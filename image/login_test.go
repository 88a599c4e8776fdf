package image

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"glassbox/test/registry"

	"github.com/docker/cli/cli/config/types"
)

// TestLogin shows registries of all kinds good and bad passwords.
func TestLogin(t *testing.T) {
	tokens := registry.StartTokens(t)
	open, basic, bearer := registry.Start(t, false), registry.Start(t, true), registry.Options{Tokens: tokens}.Start(t)
	for _, c := range []struct{ address, password, token, want string }{
		{open, "whatever", "", ""},
		{basic, registry.Password, "", ""},
		{basic, "wrong", "", "login attempt to http://" + basic + "/v2/ failed with status: 401 Unauthorized"},
		{bearer, registry.Password, "an identity token for ali", ""},
		{bearer, "wrong", "", `Get "http://` + bearer + `/v2/": unauthorized: incorrect username or password`},
		{"http://" + basic + "/v2/", registry.Password, "", ""},
		{"127.0.0.1:1", "x", "", `Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused`},
	} {
		s := newStore(t)
		token, err := s.Login(context.Background(), types.AuthConfig{ServerAddress: c.address, Username: registry.User, Password: c.password})
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) || token != c.token {
			t.Errorf("%s %q: %q, %v", c.address, c.password, token, err)
		}
	}
}

// identified writes a configuration file that holds an identity token.
func identified(t *testing.T, address, token string) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"auths": map[string]any{address: map[string]string{"identitytoken": token}}})
	dir := t.TempDir()
	if err == nil {
		err = os.WriteFile(dir+"/config.json", raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestPushWithTokens pushes and pulls where a token server decides: by name and password, by an identity token, and by nothing.
func TestPushWithTokens(t *testing.T) {
	needRoot(t)
	tokens := registry.StartTokens(t)
	address := registry.Options{Tokens: tokens}.Start(t)
	s := newStore(t)
	madeHere(t, s, address+"/public/one", "1")
	madeHere(t, s, address+"/private/one", "1")
	for _, c := range []struct{ config, name, want string }{
		{dockerConfig(t, address, ""), "/public/one", "denied: requested access to the resource is denied"},
		{dockerConfig(t, address, "wrong"), "/public/one", "unauthorized: incorrect username or password"},
		{identified(t, address, "stolen"), "/public/one", "unauthorized: incorrect username or password"},
		{dockerConfig(t, address, registry.Password), "/public/one", ""},
		{identified(t, address, "an identity token for ali"), "/private/one", ""},
	} {
		useConfig(t, c.config)
		_, out, err := pushText(s, t, address+c.name+":latest", PushOptions{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s: %v, want %q\n%s", c.name, err, c.want, out)
		}
	}
	// A blob is mounted from another repository only by who may read that one: the token says so.
	if asked := strings.Join(tokens.Asked(), "\n"); !strings.Contains(asked, "repository:public/one:pull repository:private/one:pull,push") || !strings.Contains(asked, "POST ali repository:private/one:pull,push") {
		t.Errorf("asked for\n%s", asked)
	}
	useConfig(t, dockerConfig(t, address, ""))
	if _, _, err := pullText(newStore(t), t, address+"/public/one", PullOptions{}); err != nil {
		t.Error(err)
	}
	if _, _, err := pullText(newStore(t), t, address+"/private/one", PullOptions{}); err == nil || !strings.Contains(err.Error(), "pull access denied for "+address+"/private/one") {
		t.Error(err)
	}
}

// TestTokenExpires has tokens go bad long before the server said they would: one more is asked for, once each time.
func TestTokenExpires(t *testing.T) {
	needRoot(t)
	tokens := registry.StartTokens(t)
	address := registry.Options{Tokens: tokens}.Start(t)
	useConfig(t, dockerConfig(t, address, registry.Password))
	s := newStore(t)
	madeHere(t, s, address+"/one", "1", "2", "3")
	tokens.Live(-time.Hour) // docker-registry lets a token live a minute longer
	if _, _, err := pushText(s, t, address+"/one:latest", PushOptions{}); err == nil || !strings.Contains(err.Error(), "unauthorized: authentication required") {
		t.Error(err)
	}
	if n := len(tokens.Asked()); n > 30 {
		t.Errorf("asked %d times", n)
	}
	tokens.Live(time.Minute)
	if _, _, err := pushText(s, t, address+"/one:latest", PushOptions{}); err != nil {
		t.Error(err)
	}
}
