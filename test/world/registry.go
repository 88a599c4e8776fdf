package world

import (
	"fmt"
	"os"
	"path/filepath"
)

// StartRegistry runs Debian's docker-registry on loopback and returns its address.
func StartRegistry() (*Process, string, error) {
	const address = "127.0.0.1:5000"
	config := RegistryConfig()
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
		_, err := Output("/bin/busybox", "wget", "-q", "-O", "-", "http://"+address+"/v2/")
		return err
	}, "docker-registry", "serve", config)
	return p, address, err
}

// RegistryConfig is the file from which another registry serves the same images.
func RegistryConfig() string { return filepath.Join(Dir(), "registry.yml") }
