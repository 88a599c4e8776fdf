package build

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glassbox/test/debian"
	"glassbox/test/world"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// What stands in for Docker Hub: images under well-known names, each with what its courses expect of it, collected from this machine.
var hub = map[string]func() (v1.Image, error){
	"busybox": busybox, "tree": tree, "alpine": alpine, "python:3.11-slim": python, "golang:1.26": golang, "nginx": nginx,
	"debian:bookworm-slim": slim,
}

// The machine beside each host is what stands in for the rest of the internet.
const (
	outsideAddress = "192.0.2.1"
	hostAddress    = "192.0.2.10"
)

func busybox() (v1.Image, error) { return world.Busybox(places()...) }

// places are what all distributions have for builders to mount on. Some leave these in the image otherwise.
func places() []world.File {
	var files []world.File
	for _, dir := range []string{"dev/", "proc/", "run/", "sys/"} {
		files = append(files, world.File{Name: dir, Mode: 0o755})
	}
	for _, name := range []string{"etc/hosts", "etc/hostname", "etc/resolv.conf"} {
		files = append(files, world.File{Name: name, Mode: 0o644})
	}
	return files
}

// tree has files for instructions to meet: directories behind links, modes, owners, a file to be deleted.
func tree() (v1.Image, error) {
	img, err := world.Busybox(append(places(),
		world.File{Name: "srv/", Mode: 0o2755, Owner: 1000},
		world.File{Name: "srv/kept", Mode: 0o4755, Owner: 1000, Body: []byte("kept\n")},
		world.File{Name: "srv/gone", Mode: 0o644, Body: []byte("gone\n")},
		world.File{Name: "srv/deep/", Mode: 0o700},
		world.File{Name: "srv/deep/file", Mode: 0o600, Owner: 50, Body: []byte("deep\n")},
		world.File{Name: "link", Mode: 0o777, Link: "srv"},
		world.File{Name: "absolute", Mode: 0o777, Link: "/srv/deep"},
		world.File{Name: "dangling", Mode: 0o777, Link: "nowhere/at/all"},
		world.File{Name: "up", Mode: 0o777, Link: "../../../../srv"},
		world.File{Name: "loop", Mode: 0o777, Link: "loop"},
	)...)
	if err != nil {
		return nil, err
	}
	return world.Configure(img, v1.Config{
		Cmd: []string{"sh", "-c", "echo from tree"}, User: "user", WorkingDir: "/srv", StopSignal: "SIGINT",
		Env: []string{"PATH=/bin", "FROM=tree", "SPACED=a b"}, Labels: map[string]string{"base": "tree", "kept": "yes"},
		ExposedPorts: map[string]struct{}{"80/tcp": {}}, Volumes: map[string]struct{}{"/data": {}},
	})
}

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// programs is an image of programs that are installed here, with busybox for a shell.
func programs(config v1.Config, more []world.File, names ...string) (v1.Image, error) {
	files, err := debian.Programs(names...)
	if err != nil {
		return nil, err
	}
	// An image's Python is managed by whoever builds the image, and so are Docker Hub's.
	files = slices.DeleteFunc(files, func(f world.File) bool { return strings.HasSuffix(f.Name, "/EXTERNALLY-MANAGED") })
	config.Env = append([]string{searchPath}, config.Env...)
	return world.Image(unique(append(files, append(places(), more...)...)), config)
}

// unique leaves of files with one name the last: Docker refuses a layer that names a path twice.
func unique(files []world.File) []world.File {
	last := map[string]int{}
	for i, f := range files {
		last[f.Name] = i
	}
	var all []world.File
	for i, f := range files {
		if last[f.Name] == i {
			all = append(all, f)
		}
	}
	return all
}

// alpine is alpine-like: small, with a busybox for everything, and an apk that knows where packages are.
func alpine() (v1.Image, error) {
	return programs(v1.Config{Cmd: []string{"/bin/sh"}}, []world.File{
		{Name: "etc/os-release", Mode: 0o644, Body: []byte("NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.22.0\n")},
		{Name: "usr/sbin/apk", Mode: 0o755, Body: []byte(apk)},
	})
}

// apk adds packages as apk(8) is asked to in Dockerfiles.
const apk = `#!/bin/sh
set -e
[ "$1" = add ] || { echo "apk: only add" >&2; exit 1; }
shift
for package; do
	case $package in -*) continue ;; esac
	echo "fetch http://` + outsideAddress + `/apk/$package.tar"
	wget -q -O- http://` + outsideAddress + `/apk/$package.tar | tar -x -C /
	echo "(1/1) Installing $package"
done
`

// python is Debian's, with a pip that asks the machine outside.
func python() (v1.Image, error) {
	link := func(name, to string) world.File { return world.File{Name: name, Mode: 0o777, Link: to} }
	return programs(v1.Config{
		Cmd: []string{"python3"},
		Env: []string{"PIP_INDEX_URL=http://" + outsideAddress + "/simple", "PIP_TRUSTED_HOST=" + outsideAddress, "PIP_DISABLE_PIP_VERSION_CHECK=1"},
	}, []world.File{
		link("usr/bin/python", "python3.11"), link("usr/bin/python3", "python3.11"),
		{Name: "usr/local/", Mode: 0o755}, {Name: "usr/local/bin/", Mode: 0o755}, {Name: "usr/local/lib/", Mode: 0o755},
	}, "/usr/bin/python3.11", "/usr/bin/pip", "/usr/sbin/useradd", "/etc/login.defs", "/etc/default/useradd", "/usr/lib/python3.11", distPackages+"pip", distPackages+"pip-23.0.1.dist-info",
		distPackages+"setuptools", distPackages+"pkg_resources", "/etc/python3.11", "/usr/share/python-wheels")
}

// golang is the Go that runs this test, with as much of its library as fmt needs.
func golang() (v1.Image, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	root := strings.TrimSpace(string(out))
	list := exec.Command("go", "list", "-deps", "-f", "{{.Dir}}", "fmt")
	list.Env, list.Dir = append(os.Environ(), "GOFLAGS="), "/"
	dirs, err := list.Output()
	if err != nil {
		return nil, err
	}
	names := []string{root + "/bin/go", root + "/pkg/include", root + "/VERSION", root + "/go.env"}
	for _, tool := range []string{"compile", "link", "asm"} {
		found, err := filepath.Glob(root + "/pkg/tool/*/" + tool)
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("no %s below %s/pkg/tool", tool, root)
		}
		names = append(names, found[0])
	}
	files, err := debian.Programs(append(names, strings.Fields(string(dirs))...)...)
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		if rest, below := strings.CutPrefix(f.Name, strings.TrimPrefix(root, "/")); below {
			files[i].Name = "usr/local/go" + rest
		}
	}
	files = append(files, world.File{Name: "usr/local/", Mode: 0o755}, world.File{Name: "go/", Mode: 0o777})
	return world.Image(unique(append(files, places()...)), v1.Config{
		Cmd: []string{"sh"}, WorkingDir: "/go",
		Env: []string{"PATH=/go/bin:/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin", "GOPATH=/go", "GOTOOLCHAIN=local", "GOFLAGS=-p=2"},
	})
}

func nginx() (v1.Image, error) {
	const config = `user www-data;
worker_processes 1;
error_log stderr warn;
pid /run/nginx.pid;
events {}
http {
	access_log /dev/stdout;
	client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi; uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
	include /etc/nginx/conf.d/*.conf;
}
`
	return programs(v1.Config{
		Cmd: []string{"nginx", "-g", "daemon off;"}, StopSignal: "SIGQUIT", ExposedPorts: map[string]struct{}{"80/tcp": {}},
	}, []world.File{
		{Name: "etc/nginx/", Mode: 0o755}, {Name: "etc/nginx/nginx.conf", Mode: 0o644, Body: []byte(config)}, {Name: "etc/nginx/conf.d/", Mode: 0o755},
		{Name: "etc/nginx/conf.d/default.conf", Mode: 0o644, Body: []byte("server {\n\tlisten 80;\n\troot /usr/share/nginx/html;\n}\n")},
		{Name: "usr/share/", Mode: 0o755}, {Name: "usr/share/nginx/", Mode: 0o755}, {Name: "usr/share/nginx/html/", Mode: 0o755},
		{Name: "usr/share/nginx/html/index.html", Mode: 0o644, Body: []byte("Welcome to nginx!\n")},
	}, "nginx")
}

// publish pushes images to a registry whose storage each machine's own has.
func publish(t *testing.T, names ...string) {
	t.Helper()
	registry, _, err := world.StartRegistry()
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Stop()
	for _, name := range names {
		img, err := hub[name]()
		if err == nil {
			err = world.Push(img, mirror+"/library/"+name)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// fillOutside makes what the machine outside serves: an index for pip, packages for apk.
func fillOutside() error {
	dir := world.Dir() + "/outside"
	if err := errors.Join(os.MkdirAll(dir+"/apk", 0o755), wheelIndex(dir), servePackages(dir)); err != nil {
		return err
	}
	files, err := debian.Programs("redis-server", "redis-cli")
	if err != nil {
		return err
	}
	// Only what the base does not have: the programs and their libraries.
	var more []world.File
	for _, f := range files {
		if strings.Contains(f.Name, "redis") || strings.Contains(f.Name, "/lib") && f.Link == "" {
			more = append(more, f)
		}
	}
	var archive bytes.Buffer
	if err := world.Archive(&archive, more); err != nil {
		return err
	}
	return os.WriteFile(dir+"/apk/redis.tar", archive.Bytes(), 0o644)
}
