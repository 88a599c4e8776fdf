package world

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// StartRegistry runs Debian's docker-registry on loopback and returns its address.
func StartRegistry() (*Process, string, error) {
	const address = "127.0.0.1:5000"
	config := filepath.Join(Dir(), "registry.yml")
	err := os.WriteFile(config, fmt.Appendf(nil, `version: 0.1
log: {level: error}
storage:
  filesystem: {rootdirectory: %s/registry}
http: {addr: %s}
`, Dir(), address), 0o644)
	if err != nil {
		return nil, "", err
	}
	p, err := Start(func() error {
		r, err := http.Get("http://" + address + "/v2/")
		if err != nil {
			return err
		}
		return r.Body.Close()
	}, "docker-registry", "serve", config)
	return p, address, err
}
