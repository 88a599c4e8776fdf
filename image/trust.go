package image

import (
	"crypto/x509"
	"os"
	"path/filepath"
)

// trusted is the system's certificate authorities and those that Docker's users put in /etc/docker/certs.d/HOST/*.crt
// for a registry of their own; nil when there are none of the latter.
func trusted(host string) *x509.CertPool {
	files, err := filepath.Glob("/etc/docker/certs.d/" + host + "/*.crt")
	if err != nil || len(files) == 0 {
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, f := range files {
		if pem, err := os.ReadFile(f); err == nil {
			pool.AppendCertsFromPEM(pem)
		}
	}
	return pool
}
