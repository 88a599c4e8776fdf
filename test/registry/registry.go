// Package registry starts Debian's docker-registry on loopback for tests, and puts images into it (or into any
// other registry) by the distribution protocol.
package registry

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// User and Password are what a registry started with a password accepts.
const (
	User     = "ali"
	Password = "open sesame"
	// hash is bcrypt of Password: the only kind that docker-registry reads from its htpasswd file.
	hash = "$2a$05$Ls1v47vzJPs.E5m0Wux9IOFy9KBivX9VjK3H8MhQsDvKm21gWWxAi"
)

// Options say how a registry is to be. The zero one is open, and speaks plain HTTP on loopback.
type Options struct {
	Password bool        // asks for User and Password
	Tokens   *Tokens     // sends whoever asks to this token server
	Host     string      // an address; empty: 127.0.0.1
	TLS      *Identities // speaks TLS
	Clients  bool        // and wants to see a certificate of the same authority
}

// Start runs a registry with empty storage until the test ends, and returns its address, 127.0.0.1:PORT.
// The test is skipped where docker-registry is not installed.
func Start(t testing.TB, password bool) string {
	t.Helper()
	return Options{Password: password}.Start(t)
}

// Start is Start for registries that are more.
func (o Options) Start(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is missing (apt-get install docker-registry)")
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	dir, address := t.TempDir(), freePort(t, o.Host)
	config := filepath.Join(dir, "config.yml")
	raw, err := json.Marshal(o.configuration(t, dir, address)) // which is YAML
	if err == nil {
		err = os.WriteFile(config, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(program, "serve", config)
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
		log.Close()
	})
	await(t, address, log.Name())
	return address
}

type object = map[string]any

func (o Options) configuration(t testing.TB, dir, address string) object {
	http := object{"addr": address}
	c := object{
		"version": "0.1", "http": http,
		"log":     object{"level": "error", "accesslog": object{"disabled": true}},
		"storage": object{"filesystem": object{"rootdirectory": dir + "/data"}, "delete": object{"enabled": true}},
	}
	if o.Password {
		file := filepath.Join(dir, "htpasswd")
		if err := os.WriteFile(file, []byte(User+":"+hash+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c["auth"] = object{"htpasswd": object{"realm": "test", "path": file}}
	}
	if o.Tokens != nil {
		c["auth"] = object{"token": object{"realm": o.Tokens.URL + "/token", "service": Service, "issuer": issuer, "rootcertbundle": o.Tokens.bundle}}
	}
	if o.TLS != nil {
		tls := object{"certificate": o.TLS.Server + ".cert", "key": o.TLS.Server + ".key"}
		if o.Clients {
			tls["clientcas"] = []string{o.TLS.Authority}
		}
		http["tls"] = tls
	}
	return c
}

func freePort(t testing.TB, host string) string {
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func await(t testing.TB, address, log string) {
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	out, _ := os.ReadFile(log)
	t.Fatalf("docker-registry does not answer at %s: %s", address, out)
}
