package image

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/docker/cli/cli/config/types"
)

// Login shows a registry a name and a password. The registry may give an identity token, which then serves in place of the password.
func (s *Store) Login(ctx context.Context, auth types.AuthConfig) (identity string, err error) {
	config, err := readSettings()
	if err != nil {
		return "", err
	}
	address := auth.ServerAddress
	if !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("unable to parse server address: %w", err)
	}
	a, root, err := direct(u.Host, config).reach(ctx, s.patience, func() *agent { return &agent{auth: auth, offline: true} })
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, root, nil)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Client{Transport: a}).Do(req)
	if err != nil {
		return "", err
	}
	defer a.CloseIdleConnections()
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, 64<<10)
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("login attempt to %s failed with status: %d %s", root, resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	if a.auth.IdentityToken != auth.IdentityToken {
		identity = a.auth.IdentityToken
	}
	return identity, nil
}
