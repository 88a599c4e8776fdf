package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"glassbox/test/debian"
	"glassbox/test/world"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// TestDebian has apt install real packages on a real Debian, scripts and all, and wants the same files of it as in Docker; then it uses them.
func TestDebian(t *testing.T) {
	if !*all {
		t.Skip("three times apt is slow: make soak does it")
	}
	publish(t, "busybox", "debian:bookworm-slim")
	classic, _ := ofDocker(t)
	builders := []*builder{ofGlassbox(t).prepare(t, "busybox"), classic.prepare(t, "busybox")}
	for _, c := range cases(t, "testdata/debian") {
		t.Run(c.Name, func(t *testing.T) { c.play(t, builders) })
	}
}

const debs = "../.cache/debs"

// fetchDebian gets, where there is a network, the tree of debootstrap and what the cases install on it.
func fetchDebian() error {
	root, err := debian.Make(context.Background())
	if err != nil {
		return err
	}
	out, err := exec.Command("sh", "-ec", `
mkdir -p "$1/partial"
apt-get -qq -o Dir::State::status="$2/var/lib/dpkg/status" -o Dir::Cache::archives="$(realpath "$1")" -o Debug::NoLocking=1 \
	--download-only -y --no-install-recommends install redis-server nginx-light python3-flask
cd "$1"
for deb in *.deb; do
	dpkg-deb -f "$deb"
	echo "Filename: ./$deb"
	echo "Size: $(stat -c %s "$deb")"
	echo "SHA256: $(sha256sum <"$deb" | cut -d' ' -f1)"
	echo
done >Packages`, "sh", debs, root).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fetching packages: %w\n%s", err, out)
	}
	return nil
}

// slim is that Debian, whose apt knows the machine outside.
func slim() (v1.Image, error) {
	root, err := debian.Make(context.Background())
	if err != nil {
		return nil, err
	}
	archive := world.Dir() + "/debian.tar"
	out, err := exec.Command("tar", "-C", root, "--numeric-owner", "--exclude=./var/lib/apt/lists/*", "--exclude=./var/cache/apt/*",
		"--exclude=./dev/*", "-cf", archive, ".").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("packing %s: %w\n%s", root, err, out)
	}
	base, err := tarball.LayerFromFile(archive)
	if err != nil {
		return nil, err
	}
	sources, err := world.Layer([]world.File{
		{Name: "etc/apt/sources.list", Mode: 0o644, Body: []byte("deb [trusted=yes] http://" + outsideAddress + "/debian ./\n")},
	})
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, base, sources)
	if err != nil {
		return nil, err
	}
	return world.Configure(img, v1.Config{Cmd: []string{"bash"}, Env: []string{searchPath}})
}

// servePackages gives the machine outside what was fetched.
func servePackages(dir string) error {
	if _, err := os.Stat(debs + "/Packages"); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	out, err := exec.Command("cp", "-r", debs, dir+"/debian").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
