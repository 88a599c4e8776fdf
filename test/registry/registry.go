// Package registry starts Debian's docker-registry on loopback for tests, and puts images into it (or into any
// other registry) by the distribution protocol.
package registry

import (
	"fmt"
	"net"
	"net/http"
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

// Start runs a registry with empty storage until the test ends, and returns its address, 127.0.0.1:PORT.
// The test is skipped where docker-registry is not installed.
func Start(t testing.TB, password bool) string {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is missing (apt-get install docker-registry)")
	}
	dir, address := t.TempDir(), freePort(t)
	config := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(config, []byte(configuration(t, dir, address, password)), 0o600); err != nil {
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

func configuration(t testing.TB, dir, address string, password bool) string {
	c := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"+
		"storage: {filesystem: {rootdirectory: %s/data}, delete: {enabled: true}}\nhttp: {addr: %q}\n", dir, address)
	if !password {
		return c
	}
	file := filepath.Join(dir, "htpasswd")
	if err := os.WriteFile(file, []byte(User+":"+hash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return c + fmt.Sprintf("auth: {htpasswd: {realm: test, path: %s}}\n", file)
}

func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func await(t testing.TB, address, log string) {
	for range 200 {
		if resp, err := http.Get("http://" + address + "/v2/"); err == nil {
			resp.Body.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	out, _ := os.ReadFile(log)
	t.Fatalf("docker-registry does not answer at %s: %s", address, out)
}
