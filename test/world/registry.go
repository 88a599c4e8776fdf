package world

import (
	"fmt"
	"os"
	"path/filepath"
)

// StartRegistry runs Debian's docker-registry on loopback and returns its address.
func StartRegistry() (*Process, string, error) { return (*Host)(nil).StartRegistry() }

// StartRegistry does so on the host's loopback, with the same images.
func (h *Host) StartRegistry() (*Process, string, error) {
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
	p, err := h.Start(func() error {
		_, err := h.Output("/bin/busybox", "wget", "-q", "-O", "-", "http://"+address+"/v2/")
		return err
	}, "docker-registry", "serve", config)
	return p, address, err
}
