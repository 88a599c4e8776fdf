package engine

import (
	"archive/tar"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/volume"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestImageMounts(t *testing.T) {
	m := newMachine(t)
	m.image("docs", ocispec.ImageConfig{}, tar.Header{Name: "pages/index", Mode: 0o644, Uid: 5}, tar.Header{Typeflag: tar.TypeSymlink, Name: "out", Linkname: "/etc"})
	show := func(image, subpath, script string) Options {
		o := shell(script)
		o.HostConfig.Mounts = []mount.Mount{{Type: "image", Source: image, Target: "/i"}}
		if subpath != "" {
			o.HostConfig.Mounts[0].ImageOptions = &mount.ImageOptions{Subpath: subpath}
		}
		return o
	}
	out, errs, _ := m.run(show("docs", "", "cat /i/pages/index; stat -c %u /i/pages/index; touch /i/x"))
	if out != "pages/index\n5\n" || !strings.Contains(errs, "Read-only file system") {
		t.Errorf("%q %q", out, errs)
	}
	if out, errs, _ := m.run(show("docs", "pages", "ls /i")); out != "index\n" {
		t.Errorf("%q %q", out, errs)
	}
	// An image of several layers is stacked.
	id := m.create(show("docs", "", "cat /i/pages/index; mount | grep -c ' /i '; touch /i/x"))
	r, err := m.Containers.load(id)
	if err != nil {
		t.Fatal(err)
	}
	r.Mounts[0].Lower = append([]string{t.TempDir()}, r.Mounts[0].Lower...)
	if err := r.save(); err != nil {
		t.Fatal(err)
	}
	if err := m.Containers.Start(bg, id); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Containers.Wait(bg, id); err != nil {
		t.Fatal(err)
	}
	if said := m.said(id); !strings.HasPrefix(said, "pages/index\n1\n") || !strings.Contains(said, "Read-only file system") {
		t.Errorf("%q", said)
	}
	if shown := m.inspect(id).Mounts[0]; shown.Type != "image" || shown.Name != "docs" || shown.RW {
		t.Errorf("%+v", shown)
	}
	if _, running := m.Containers.user(r.Mounts[0].Image); running {
		t.Error("no container of that image runs")
	}
	if user, _ := m.Containers.user(r.Mounts[0].Image); user == "" {
		t.Error("an image that a container shows looks unused")
	}
	if _, err := m.Containers.Create(bg, show("nosuch", "", "true")); err == nil || err.Error() != "No such image: nosuch:latest" {
		t.Error(err)
	}
	id = m.create(show("docs", "nothing", "true"))
	if err := m.Containers.Start(bg, id); err == nil || !strings.HasPrefix(err.Error(), "cannot access path nothing in image docs: ") {
		t.Error(err)
	}
}

// What a volume stands for is mounted by the host: --explain tells it.
func TestMountedVolumesAreExplained(t *testing.T) {
	m := newMachine(t)
	if _, err := m.Volumes.Create(volumeOf("mem", "type=tmpfs", "device=tmpfs", "o=size=1m")); err != nil {
		t.Fatal(err)
	}
	o := with("true", "mem:/v", "new:/w")
	o.Explain = true
	planned, err := m.Containers.Plan(bg, o)
	if err != nil || len(planned) < 2 || !planned[0].Plan || planned[0].Phase != "volumes" || len(planned[0].Host) != 1 {
		t.Errorf("planned: %+v, %v", planned, err)
	}
	if got := m.volumes(); got != "mem" {
		t.Errorf("a plan made volumes: %s", got)
	}
	id := m.detached(o)
	told, err := m.Containers.Account(id)
	if err != nil || len(told) < 2 || told[0].Phase != "volumes" || len(told[0].Host) != 1 {
		t.Fatalf("%+v, %v", told, err)
	}
	d := told[0].Host[0]
	if want := `mount("tmpfs", "` + m.Containers.root.Volume("mem").Data() + `", "tmpfs", 0, "size=1m")`; d.Call != want || d.Result != "0" || d.Why == "" || d.From != "volume mem" {
		t.Errorf("%+v, want %s", d, want)
	}
}

func volumeOf(name string, options ...string) volume.CreateOptions {
	o := volume.CreateOptions{Name: name, DriverOpts: map[string]string{}}
	for _, text := range options {
		key, value, _ := strings.Cut(text, "=")
		o.DriverOpts[key] = value
	}
	return o
}
