// Package build holds what glassbox makes of Dockerfiles against what Docker's classic builder, BuildKit and buildah make of them, file by
// file and field by field; has the courses' Dockerfiles built as they are written; and builds twice on two file systems.
package build

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/machines"
	"glassbox/test/world"
)

const cache = "../.cache/docker"

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: builders need root")
		return
	}
	if _, err := os.Stat(cache + "/dockerd"); err != nil {
		fmt.Println("SKIP: the corpus needs Docker 28.5.2: test/tools/docker/build.sh test/.cache/docker")
		return
	}
	os.Exit(world.Run(prepare, func() int {
		if err := errors.Join(fillOutside(), fillServed()); err != nil {
			fmt.Fprintln(os.Stderr, "filling the servers:", err)
			return 1
		}
		return m.Run()
	}))
}

// prepare does what needs the machine's network.
func prepare(dir string) error {
	if *all {
		if err := fetchDebian(); err != nil {
			return err
		}
	}
	return world.BuildGlassbox(dir)
}

// mirror is where each machine has what stands in for Docker Hub: a registry of its own on loopback, all of them with the same images.
const mirror = "127.0.0.1:5000"

func served() string { return world.Dir() + "/served" }

// fillServed makes what each machine has at http://127.0.0.1:8000, and git://127.0.0.1/repository.
func fillServed() error {
	if err := os.MkdirAll(served()+"/dir", 0o755); err != nil {
		return err
	}
	for name, files := range map[string][]world.File{
		"file":            {{Body: []byte("from afar\n")}},
		"foo":             {{Body: []byte("foo\n")}},
		"Dockerfile":      {{Body: []byte("FROM busybox\nENV from=afar\nRUN echo $from >/out\n")}},
		"dir/other":       {{Body: []byte("other\n")}},
		"dir/archive.tar": {{Name: "d/", Mode: 0o755}, {Name: "d/in", Mode: 0o640, Owner: 7, Body: []byte("in an archive\n")}},
		"context.tar.gz": {{Name: "Dockerfile", Mode: 0o644, Body: []byte("FROM busybox\nCOPY . /c\n")},
			{Name: "file", Mode: 0o600, Owner: 8, Body: []byte("in a context\n")}},
	} {
		var body bytes.Buffer
		if files[0].Name == "" {
			body.Write(files[0].Body)
		} else if err := pack(&body, strings.HasSuffix(name, ".gz"), files); err != nil {
			return err
		}
		path := served() + "/" + name
		if err := errors.Join(os.WriteFile(path, body.Bytes(), 0o644), os.Chtimes(path, longAgo, longAgo)); err != nil {
			return err
		}
	}
	out, err := exec.Command("sh", "-ec", repository, "sh", served()+"/repository").CombinedOutput()
	if err != nil {
		return fmt.Errorf("making a repository: %w\n%s", err, out)
	}
	return nil
}

const repository = `
export HOME=/nonexistent GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.test GIT_AUTHOR_DATE=@1000000000 \
	GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.test GIT_COMMITTER_DATE=@1000000000
git init -q -b main "$1" && cd "$1" && chmod 755 .
printf 'FROM busybox\nCOPY . /c\n' >Dockerfile; echo one >one; printf '#!/bin/sh\n' >program; chmod 755 program; ln -s one link
git add . && git commit -qm first && git tag v1
git checkout -q -b other
mkdir sub; printf 'FROM busybox\nCOPY . /c\nRUN cat /c/file\n' >sub/Dockerfile; echo in a branch >sub/file
git add . && git commit -qm second
git checkout -q main`

func pack(to io.Writer, zip bool, files []world.File) error {
	if !zip {
		return world.Archive(to, files)
	}
	w := gzip.NewWriter(to)
	return errors.Join(world.Archive(w, files), w.Close())
}

// host is a machine with the mirror and the files of fillServed on loopback, and a cable to another one, of which it returns both.
func host(t testing.TB, name string) (h, outside *machines.Machine) {
	t.Helper()
	outside = machine(t, name+"-outside")
	h = machine(t, name)
	h.Env = append(h.Env, "PATH="+world.Dir()+"/glassbox:"+os.Getenv("PATH"), "LANG=C.UTF-8", "GLASSBOX_CONFIG="+h.Dir+"/config.json", "GIVEN_OUTSIDE=outside")
	err := errors.Join(
		os.WriteFile(h.Dir+"/config.json", []byte(engineConfig), 0o644),
		os.WriteFile(h.Dir+"/registries.conf", []byte(buildahConfig), 0o644),
		machines.Cable(
			machines.Plug{Machine: h, Interface: "eth0", Addresses: []string{hostAddress + "/24"}},
			machines.Plug{Machine: outside, Interface: "eth0", Addresses: []string{outsideAddress + "/24"}}),
		h.Route("default", outsideAddress))
	if err != nil {
		t.Fatal(err)
	}
	serve(t, h, wget(mirror+"/v2/"), "docker-registry", "serve", world.RegistryConfig())
	serve(t, h, wget("127.0.0.1:8000/file"), "/bin/busybox", "httpd", "-f", "-p", "127.0.0.1:8000", "-h", served())
	serve(t, h, "git ls-remote git://127.0.0.1/repository", "git", "daemon", "--export-all", "--listen=127.0.0.1", "--base-path="+served())
	serve(t, outside, wget("127.0.0.1/simple/flask/"), "/bin/busybox", "httpd", "-f", "-p", "80", "-h", world.Dir()+"/outside")
	return h, outside
}

func machine(t testing.TB, name string) *machines.Machine {
	t.Helper()
	m, err := machines.New(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Halt)
	return m
}

func wget(url string) string { return "/bin/busybox wget -qO- http://" + url }

// serve runs a server on a machine, which is there when a script can ask it.
func serve(t testing.TB, m *machines.Machine, ask, name string, args ...string) {
	t.Helper()
	p, err := m.Daemon(func() error {
		_, err := m.Output("sh", "-c", ask)
		return err
	}, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
}

const (
	engineConfig  = `{"registry-mirrors": ["http://` + mirror + `"]}`
	buildahConfig = `unqualified-search-registries = ["docker.io"]
short-name-mode = "permissive"
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "` + mirror + `"
insecure = true
`
)

func absolute(t testing.TB, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
