package image

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// certificates is where Docker's users put what a registry of their own needs: HOST/*.crt are authorities, and each
// HOST/NAME.cert with HOST/NAME.key shows the registry who we are.
const certificates = "/etc/docker/certs.d"

// trust is how to speak TLS with a registry. One whose certificate is not checked is shown none of ours, as in Docker.
func trust(dir, host string, lax bool) (*tls.Config, error) {
	c := &tls.Config{InsecureSkipVerify: lax}
	if lax {
		return c, nil
	}
	dir = filepath.Join(dir, host)
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, f := range files {
		names[f.Name()] = true
	}
	for _, f := range files {
		switch name, kind := strings.TrimSuffix(f.Name(), filepath.Ext(f.Name())), filepath.Ext(f.Name()); {
		case kind == ".crt":
			err = trustAuthority(c, filepath.Join(dir, f.Name()))
		case kind == ".cert" && !names[name+".key"]:
			err = fmt.Errorf("missing key %s.key for client certificate %s. CA certificates must use the extension .crt", name, f.Name())
		case kind == ".cert":
			var pair tls.Certificate
			if pair, err = tls.LoadX509KeyPair(filepath.Join(dir, f.Name()), filepath.Join(dir, name+".key")); err == nil {
				c.Certificates = append(c.Certificates, pair)
			}
		case kind == ".key" && !names[name+".cert"]:
			err = fmt.Errorf("missing client certificate %s.cert for key %s", name, f.Name())
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// trustAuthority adds an authority to those of the system.
func trustAuthority(c *tls.Config, file string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if c.RootCAs == nil {
		if c.RootCAs, err = x509.SystemCertPool(); err != nil {
			c.RootCAs = x509.NewCertPool()
		}
	}
	c.RootCAs.AppendCertsFromPEM(pem)
	return nil
}
