package engine

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glassbox/test/need"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/volume"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// with is shell with volumes.
func with(script string, binds ...string) Options {
	o := shell(script)
	o.HostConfig.Binds = binds
	return o
}

func (m *machine) volumes(f ...filters.KeyValuePair) string {
	m.t.Helper()
	list, err := m.Volumes.List(filters.NewArgs(f...))
	if err != nil {
		m.t.Fatal(err)
	}
	var names []string
	for _, v := range list.Volumes {
		names = append(names, v.Name)
	}
	return strings.Join(names, " ")
}

func (m *machine) remove(id string, volumes bool) {
	m.t.Helper()
	if err := m.Containers.Remove(bg, id, true, volumes); err != nil {
		m.t.Fatal(err)
	}
}

// image imports files, in their order, as an image of one layer over busybox.
func (m *machine) image(name string, config ocispec.ImageConfig, headers ...tar.Header) {
	m.t.Helper()
	program, err := os.ReadFile(need.Program(m.t, "busybox"))
	if err != nil {
		m.t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(h tar.Header, data []byte) {
		h.Size = int64(len(data))
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(&h); err != nil {
			m.t.Fatal(err)
		}
		w.Write(data)
	}
	put(tar.Header{Name: "bin/busybox", Mode: 0o755}, program)
	for _, applet := range strings.Fields("sh ls cat sleep true echo id touch mkdir stat mount tar rm grep find dd seq sync ln") {
		put(tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox"}, nil)
	}
	for _, h := range headers {
		var data []byte
		if h.Typeflag == 0 {
			data = []byte(h.Name + "\n")
		}
		put(h, data)
	}
	if err := w.Close(); err != nil {
		m.t.Fatal(err)
	}
	config.Cmd = []string{"sh"}
	if _, err := m.Images.ImportTar(&b, name+":latest", ocispec.Image{Config: config}); err != nil {
		m.t.Fatal(err)
	}
}

func TestVolumeNoun(t *testing.T) {
	m := newMachine(t)
	v, err := m.Volumes.Create(volume.CreateOptions{Name: "vol1", Labels: map[string]string{"a": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	if v.Driver != "local" || v.Scope != "local" || v.Mountpoint != m.Containers.root.Data+"/volumes/vol1/_data" || v.Labels["a"] != "1" || v.Options != nil || v.CreatedAt == "" {
		t.Errorf("%+v", v)
	}
	if err := os.WriteFile(v.Mountpoint+"/kept", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if again, err := m.Volumes.Create(volume.CreateOptions{Name: "vol1", Driver: "local"}); err != nil || again.Labels["a"] != "1" {
		t.Errorf("again: %+v, %v", again, err)
	}
	if _, err := os.Stat(v.Mountpoint + "/kept"); err != nil {
		t.Error(err)
	}
	anonymous, err := m.Volumes.Create(volume.CreateOptions{})
	if err != nil || len(anonymous.Name) != 64 {
		t.Fatalf("%+v, %v", anonymous, err)
	}
	if text, ok := anonymous.Labels["com.docker.volume.anonymous"]; !ok || text != "" {
		t.Errorf("labels %v", anonymous.Labels)
	}
	id := m.create(with("true", "vol1:/v", "vol2:/w"))
	for _, f := range []struct{ key, value, want string }{
		{"name", "vol", "vol1 vol2"}, {"label", "a", "vol1"}, {"label", "a=2", ""}, {"driver", "local", anonymous.Name + " vol1 vol2"}, {"driver", "nfs", ""},
		{"dangling", "true", anonymous.Name}, {"dangling", "false", "vol1 vol2"},
	} {
		names := strings.Fields(m.volumes(filters.Arg(f.key, f.value)))
		want := strings.Fields(f.want)
		slices.Sort(want)
		if !slices.Equal(names, want) {
			t.Errorf("%s=%s: %v, want %v", f.key, f.value, names, want)
		}
	}
	for want, do := range map[string]func() error{
		"remove vol1: volume is in use - [" + id + "]": func() error { return m.Volumes.Remove("vol1", true) },
		"get vol9: no such volume":                     func() error { return m.Volumes.Remove("vol9", false) },
		"get ../vol1: no such volume":                  func() error { _, err := m.Volumes.Inspect("../vol1"); return err },
		"get .: no such volume":                        func() error { return m.Volumes.Remove(".", false) },
		"create x: volume name is too short, names should be at least two alphanumeric characters":                                                                                         m.refusing("x", "", ""),
		`create a/b: "a/b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`: m.refusing("a/b", "", ""),
		`create vol5: error looking up volume plugin sshfs: plugin "sshfs" not found`:                                                                                                      m.refusing("vol5", "sshfs", ""),
		`create vol5: invalid option: "colour"`:          m.refusing("vol5", "", "colour=red"),
		`create vol5: missing required option: "device"`: m.refusing("vol5", "", "type=tmpfs"),
		`invalid filter 'until'`:                         func() error { _, err := m.Volumes.Prune(filters.NewArgs(filters.Arg("until", "1h"))); return err },
		`invalid filter 'all'`:                           func() error { _, err := m.Volumes.List(filters.NewArgs(filters.Arg("all", "1"))); return err },
	} {
		if err := do(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if err := m.Volumes.Remove("vol9", true); err != nil {
		t.Errorf("rm -f of nothing: %v", err)
	}
	m.remove(id, true)
	report, err := m.Volumes.Prune(filters.NewArgs())
	if err != nil || !slices.Equal(report.VolumesDeleted, []string{anonymous.Name}) {
		t.Errorf("prune: %+v, %v", report, err)
	}
	if report, err = m.Volumes.Prune(filters.NewArgs(filters.Arg("all", "1"))); err != nil || !slices.Equal(report.VolumesDeleted, []string{"vol1", "vol2"}) {
		t.Errorf("prune --all: %+v, %v", report, err)
	}
	if left, err := os.ReadDir(m.Containers.root.Data + "/volumes"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// refusing creates a volume with one option.
func (m *machine) refusing(name, driver, option string) func() error {
	o := volume.CreateOptions{Name: name, Driver: driver}
	if key, value, ok := strings.Cut(option, "="); ok {
		o.DriverOpts = map[string]string{key: value}
	}
	return func() error { _, err := m.Volumes.Create(o); return err }
}

func TestVolumeOutlivesContainers(t *testing.T) {
	m := newMachine(t)
	m.run(with("echo kept > /v/f", "data:/v"))
	out, errs, _ := m.run(with("cat /v/f; touch /v/g", "data:/v:ro"))
	if out != "kept\n" || !strings.Contains(errs, "Read-only file system") {
		t.Errorf("%q %q", out, errs)
	}
}

func TestAnonymousVolumes(t *testing.T) {
	m := newMachine(t)
	m.image("db", ocispec.ImageConfig{Volumes: map[string]struct{}{"/data": {}, "/more": {}}}, tar.Header{Name: "data/seed", Mode: 0o600, Uid: 7})
	run := func(o Options) string {
		o.Config.Image = "db"
		return m.create(o)
	}
	id := run(shell("true"))
	mounts := m.inspect(id).Mounts
	if len(mounts) != 2 || mounts[0].Type != "volume" || mounts[0].Driver != "local" || len(mounts[0].Name) != 64 || mounts[0].Destination != "/data" || !mounts[0].RW || mounts[0].Mode != "" {
		t.Errorf("%+v", mounts)
	}
	if _, err := os.Stat(mounts[0].Source + "/seed"); err != nil {
		t.Error(err)
	}
	if n := len(strings.Fields(m.volumes())); n != 2 {
		t.Errorf("%d volumes", n)
	}
	named := run(with("true", "keep:/data"))
	m.remove(named, true)
	m.remove(id, false)
	if n := len(strings.Fields(m.volumes())); n != 3 {
		t.Errorf("%d volumes are left, want 3: %s", n, m.volumes())
	}
	m.remove(run(shell("true")), true)
	if n := len(strings.Fields(m.volumes())); n != 3 {
		t.Errorf("%d volumes are left after rm -v, want 3: %s", n, m.volumes())
	}
	o := shell("true")
	o.HostConfig.AutoRemove, o.Config.Image = true, "db"
	m.detached(o)
	eventually(t, "--rm removes anonymous volumes", func() bool { return len(strings.Fields(m.volumes())) == 3 })
	if report, err := m.Volumes.Prune(filters.NewArgs()); err != nil || len(report.VolumesDeleted) != 2 || report.SpaceReclaimed == 0 {
		t.Errorf("prune: %+v, %v", report, err)
	}
}

func TestVolumesFrom(t *testing.T) {
	m := newMachine(t)
	db := shell("echo rows > /data/f")
	db.Config.Volumes = map[string]struct{}{"/data": {}}
	db.HostConfig.Binds = []string{"logs:/logs"}
	id := m.create(db)
	if err := m.Containers.Start(bg, id); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Containers.Wait(bg, id); err != nil {
		t.Fatal(err)
	}
	from := func(script, ref string, binds ...string) Options {
		o := with(script, binds...)
		o.HostConfig.VolumesFrom = []string{ref}
		return o
	}
	host := t.TempDir()
	out, errs, code := m.run(from("ls -d /logs; cat /data/f > /backup/f; touch /data/x", id+":ro", host+":/backup"))
	if out != "/logs\n" || !strings.Contains(errs, "Read-only file system") || code != 1 {
		t.Errorf("%q %q %d", out, errs, code)
	}
	if text, err := os.ReadFile(host + "/f"); err != nil || string(text) != "rows\n" {
		t.Errorf("%q, %v", text, err)
	}
	link := m.create(from("true", id))
	chained, _, _ := m.run(from("cat /data/f", link))
	if chained != "rows\n" {
		t.Errorf("chain: %q", chained)
	}
	m.remove(id, true) // the volume is in use by the others
	if out, _, _ := m.run(from("cat /data/f", link)); out != "rows\n" {
		t.Errorf("after the first container's removal: %q", out)
	}
	if _, err := m.Containers.Create(bg, from("true", "nobody")); err == nil || err.Error() != "No such container: nobody" {
		t.Error(err)
	}
}

func TestVolumeIsFilled(t *testing.T) {
	m := newMachine(t)
	capability := string([]byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	m.image("web", ocispec.ImageConfig{},
		tar.Header{Typeflag: tar.TypeDir, Name: "srv", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeDir, Name: "srv/www", Mode: 0o2751, Uid: 33, Gid: 44, PAXRecords: map[string]string{"SCHILY.xattr.trusted.owner": "www"}},
		tar.Header{Name: "srv/www/index", Mode: 0o4640, Uid: 33, Gid: 33, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.note": "n"}},
		tar.Header{Typeflag: tar.TypeLink, Name: "srv/www/again", Linkname: "srv/www/index"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "srv/www/link", Linkname: "/etc/passwd", Uid: 5},
		tar.Header{Typeflag: tar.TypeChar, Name: "srv/www/dev", Mode: 0o620, Devmajor: 1, Devminor: 3},
		tar.Header{Typeflag: tar.TypeFifo, Name: "srv/www/pipe", Mode: 0o602, Gid: 9},
		tar.Header{Typeflag: tar.TypeDir, Name: "srv/www/sub", Mode: 0o1777},
		tar.Header{Name: "srv/www/sub/deep", Mode: 0o444},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "www", Linkname: "../../srv/www"},
	)
	look := func(volume string, o Options) string {
		o.Config.Image = "web"
		m.create(o)
		return listing(t, m.Containers.root.Volume(volume).Data())
	}
	want := `. 2751 33:44 dir trusted.owner=www
again 4640 33:33 2 names security.capability=0100000200040000000000000000000000000000 user.note=n "srv/www/index"
dev 620 0:0 char 1:3
index 4640 33:33 2 names security.capability=0100000200040000000000000000000000000000 user.note=n "srv/www/index"
link 777 5:0 -> /etc/passwd
pipe 602 0:9 fifo
sub 1777 0:0 dir
sub/deep 444 0:0 "srv/www/sub/deep"
`
	for name, o := range map[string]Options{"direct": with("true", "direct:/srv/www"), "linked": with("true", "linked:/www")} {
		if got := look(name, o); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	empty := ". 755 0:0 dir\n"
	if got := look("nocopy", with("true", "nocopy:/srv/www:nocopy")); got != empty {
		t.Errorf("nocopy: %s", got)
	}
	if got := look("elsewhere", with("true", "elsewhere:/nowhere/at/all")); got != empty {
		t.Errorf("a path that the image lacks: %s", got)
	}
	if _, err := m.Volumes.Create(volume.CreateOptions{Name: "used"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.Containers.root.Volume("used").Data()+"/mine", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := look("used", with("true", "used:/srv/www")); !strings.Contains(got, "mine") || strings.Contains(got, "index") {
		t.Errorf("a volume with something in it: %s", got)
	}
	if got := look("shared", with("true", "shared:/nowhere", "other:/srv")); got != empty {
		t.Errorf("shared: %s", got)
	}
	if got := look("shared", with("true", "shared:/srv/www")); got != want {
		t.Errorf("an empty volume that another container has:\n%s", got)
	}
	o := with("true", "file:/bin/busybox")
	o.Config.Image = "web"
	if _, err := m.Containers.Create(bg, o); err == nil || !strings.Contains(err.Error(), "is not directory") {
		t.Errorf("a volume on a file: %v", err)
	}
	o = shell("true")
	o.Config.Image, o.Config.Volumes = "web", map[string]struct{}{"/srv/www/index": {}}
	if _, err := m.Containers.Create(bg, o); err == nil || !strings.Contains(err.Error(), "cannot mount volume over existing file, file exists") {
		t.Errorf("an anonymous volume on a file: %v", err)
	}
}

// listing describes a tree, one file a line, but for the times.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		line, err := describe(path)
		fmt.Fprintf(&b, "%s %s\n", name, line)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestVolumeWithUserNamespace(t *testing.T) {
	m := newMachine(t)
	m.image("web", ocispec.ImageConfig{}, tar.Header{Typeflag: tar.TypeDir, Name: "srv", Mode: 0o755, Uid: 33}, tar.Header{Name: "srv/index", Mode: 0o640, Uid: 33, Gid: 44})
	script := "stat -c '%n %u:%g' /srv /srv/*; echo x > /srv/new"
	for i, maps := range [][]string{{"0:200000:65536"}, {"0:300000:65536"}, nil} {
		o := with(script, "srv:/srv")
		o.Config.Image, o.UsernsMap = "web", maps
		out, errs, code := m.run(o)
		want := "/srv 33:0\n/srv/index 33:44\n"
		if i > 0 {
			want += "/srv/new 0:0\n"
		}
		if out != want || code != 0 {
			t.Errorf("%v: %q %q %d, want %q", maps, out, errs, code, want)
		}
	}
	info, err := describe(m.Containers.root.Volume("srv").Data() + "/new")
	if err != nil || !strings.HasPrefix(info, "644 0:0") {
		t.Errorf("on the host: %s, %v", info, err)
	}
}

func TestVolumeSubpath(t *testing.T) {
	m := newMachine(t)
	m.run(with("mkdir -p /v/a/b; echo deep > /v/a/b/f; echo file > /v/a/file; ln -s a/b /v/inner; ln -s /etc /v/out; ln -s ../../../.. /v/up", "vol:/v"))
	part := func(subpath, script string) Options {
		o := shell(script)
		o.HostConfig.Mounts = []mount.Mount{{Type: "volume", Source: "vol", Target: "/p", VolumeOptions: &mount.VolumeOptions{Subpath: subpath}}}
		return o
	}
	for _, maps := range [][]string{nil, {"0:200000:65536"}} {
		for _, c := range []struct{ subpath, script, want string }{
			{"a/b", "cat /p/f", "deep\n"}, {"inner", "cat /p/f", "deep\n"}, {"a/file", "cat /p", "file\n"}, {"./a/../a", "cat /p/file", "file\n"},
		} {
			o := part(c.subpath, c.script)
			o.UsernsMap = maps
			if out, errs, _ := m.run(o); out != c.want {
				t.Errorf("%s: %q %q", c.subpath, out, errs)
			}
		}
	}
	data := m.Containers.root.Volume("vol").Data()
	for subpath, want := range map[string]string{
		"out": "path concatenation escapes the base directory, base: " + data + ", subpath: out", "up": "path concatenation escapes the base directory, base: " + data + ", subpath: up",
		"missing": "cannot access path " + data + "/missing: lstat " + data + "/missing: no such file or directory",
	} {
		id := m.create(part(subpath, "true"))
		if err := m.Containers.Start(bg, id); err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", subpath, err, want)
		}
	}
}

func TestVolumeOnAFullDisk(t *testing.T) {
	m := newMachine(t)
	var headers []tar.Header
	for i := range 40 {
		headers = append(headers, tar.Header{Name: fmt.Sprintf("srv/%040d", i), Mode: 0o644})
	}
	m.image("big", ocispec.ImageConfig{}, headers...)
	dir := m.Containers.root.Data + "/volumes"
	if err := os.MkdirAll(dir, 0o701); err != nil {
		t.Fatal(err)
	}
	mountTmpfs(t, dir, "nr_inodes=20")
	o := with("true", "full:/srv")
	o.Config.Image = "big"
	if _, err := m.Containers.Create(bg, o); err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("error %v", err)
	}
	if got := listing(t, m.Containers.root.Volume("full").Data()); got != ". 755 0:0 dir\n" {
		t.Errorf("half filled: %s", got)
	}
	if ids, err := m.Containers.root.IDs(); err != nil || len(ids) > 0 {
		t.Errorf("containers left: %v, %v", ids, err)
	}
	if _, err := os.Stat(m.Containers.root.Volume("full").Filling()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half copy is left: %v", err)
	}
}

func TestVolumeRepairs(t *testing.T) {
	m := newMachine(t)
	root := m.Containers.root
	for _, dir := range []string{".new-abc/_data", ".gone-abc/_data/x", "lost/_data/x"} {
		if err := os.MkdirAll(root.Data+"/volumes/"+dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	id := m.create(with("true", "torn:/v"))
	place := root.Volume("torn")
	if err := os.WriteFile(place.Document(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := place.Use(strings.Repeat("a", 64)); err != nil { // a killed create's
		t.Fatal(err)
	}
	var warned []string
	m.Containers.Warn = func(text string) { warned = append(warned, text) }
	if got := m.volumes(); got != "lost torn" {
		t.Errorf("volumes %q", got)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "its labels and options are lost, what is in it is not") {
		t.Errorf("warned of %q", warned)
	}
	if left, err := filepath.Glob(root.Data + "/volumes/.*-*"); err != nil || len(left) > 0 {
		t.Errorf("remains: %v, %v", left, err)
	}
	if err := m.Volumes.Remove("torn", false); err == nil || err.Error() != "remove torn: volume is in use - ["+id+"]" {
		t.Error(err)
	}
	m.remove(id, false)
	for _, name := range []string{"torn", "lost"} {
		if err := m.Volumes.Remove(name, false); err != nil {
			t.Error(err)
		}
	}
}

func TestVolumesAtOnce(t *testing.T) {
	m := newMachine(t)
	done := make(chan error)
	for range 8 {
		go func() {
			for range 5 {
				c, err := m.Containers.Create(bg, with("true", "same:/bin"))
				if err == nil {
					err = m.Containers.Remove(bg, c.ID, false, true)
				}
				if err == nil {
					if err = m.Volumes.Remove("same", true); Is(err, Conflict) {
						err = nil
					}
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := m.Volumes.Remove("same", true); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(m.Containers.root.Data + "/volumes"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestVolumeThatStandsForAMount(t *testing.T) {
	m := newMachine(t)
	host := t.TempDir()
	for name, options := range map[string]map[string]string{
		"mem":  {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=1000,noexec"},
		"here": {"type": "none", "device": host, "o": "bind"},
		"none": {"type": "none", "device": host + "/missing", "o": "bind"},
	} {
		if _, err := m.Volumes.Create(volume.CreateOptions{Name: name, DriverOpts: options}); err != nil {
			t.Fatal(err)
		}
	}
	ended := m.detached(with("mount | grep ' /mem '; stat -c %u /mem; echo x > /here/f; touch /mem/gone", "mem:/mem", "here:/here"))
	if _, err := m.Containers.Wait(bg, ended); err != nil {
		t.Fatal(err)
	}
	out := m.said(ended)
	if !strings.Contains(out, "noexec") || !strings.Contains(out, "size=1024k") || !strings.HasSuffix(out, "1000\n") {
		t.Errorf("%q", out)
	}
	if text, err := os.ReadFile(host + "/f"); err != nil || string(text) != "x\n" {
		t.Errorf("%q, %v", text, err)
	}
	eventually(t, "unmounted after the end", func() bool { return !mountedOn(m, "mem") && !mountedOn(m, "here") })

	first := m.detached(with("sleep 100", "mem:/mem"))
	second := m.detached(with("touch /mem/from-second; sleep 100", "mem:/mem"))
	if !mountedOn(m, "mem") {
		t.Error("not mounted while two containers use it")
	}
	m.remove(first, false)
	if !mountedOn(m, "mem") {
		t.Error("unmounted while a container uses it")
	}
	if _, err := os.Stat(m.Containers.root.Volume("mem").Data() + "/from-second"); err != nil {
		t.Error(err)
	}
	if err := m.Volumes.Remove("mem", false); !Is(err, Conflict) {
		t.Errorf("removing it in use: %v", err)
	}
	m.remove(second, false)
	if mountedOn(m, "mem") {
		t.Error("mounted after the last container's end")
	}
	id := m.create(with("true", "none:/x"))
	want := "error while mounting volume '" + m.Containers.root.Volume("none").Data() + "': failed to mount local volume: mount " + host + "/missing:" + m.Containers.root.Volume("none").Data() + ", flags: 0x1000: no such file or directory"
	if err := m.Containers.Start(bg, id); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	// What a killed command left: noted, and mounted, for a container that does not run.
	known, lock, err := m.Volumes.locked("here")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Volumes.mountFor(known, id); err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	m.remove(id, true)
	for _, c := range m.stopped() {
		m.remove(c, true)
	}
	if err := m.Volumes.Remove("here", false); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(host + "/f"); err != nil {
		t.Errorf("removing the volume removed what it stood for: %v", err)
	}
}

// said is what a container's log holds.
func (m *machine) said(id string) string {
	m.t.Helper()
	r, err := m.Containers.load(id)
	if err != nil {
		m.t.Fatal(err)
	}
	text, err := r.lastWords()
	if err != nil {
		m.t.Fatal(err)
	}
	return text
}

func (m *machine) stopped() []string {
	m.t.Helper()
	ids, err := m.Containers.root.IDs()
	if err != nil {
		m.t.Fatal(err)
	}
	return ids
}

func TestMountsOntoOddPlaces(t *testing.T) {
	m := newMachine(t)
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", []byte("text\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if out, errs, _ := m.run(with("stat -c %F /run/docker.sock", dir+"/s:/run/docker.sock")); out != "socket\n" {
		t.Errorf("%q %q", out, errs)
	}
	out, errs, _ := m.run(with("cat /etc/motd /new/place/file; ls /up", dir+"/file:/etc/motd", dir+"/file:/new/place/file", dir+"/../"+filepath.Base(dir)+":/a/../up"))
	if out != "text\ntext\nfile\ns\n" {
		t.Errorf("%q %q", out, errs)
	}
	for _, bind := range []string{dir + ":/etc/passwd", dir + "/file:/etc"} {
		id := m.create(with("true", bind))
		var e *Error
		if err := m.Containers.Start(bg, id); !errors.As(err, &e) || e.Exit != 127 || !strings.Contains(e.Text, "Are you trying to mount a directory onto a file (or vice-versa)?") {
			t.Errorf("%s: %v", bind, err)
		}
	}
}

func TestManyMounts(t *testing.T) {
	m := newMachine(t)
	dir := t.TempDir()
	var binds []string
	for i := range 150 {
		binds = append(binds, fmt.Sprintf("%s:/b/%d", dir, i), fmt.Sprintf("many%d:/v/%d", i%10, i))
	}
	out, errs, _ := m.run(with("mount | grep -c ' /[bv]/'", binds...))
	if out != "300\n" {
		t.Errorf("%q %q", out, errs)
	}
}
