package dockerfile

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glassbox/engine"
	"glassbox/progress"
	"glassbox/source"
	"glassbox/test/need"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

func TestParseOutput(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{
		"-":                               `tar "-" tar`,
		dir:                               `local "` + dir + `" tar`,
		"new/dir":                         `local "new/dir" tar`,
		"type=local,dest=" + dir:          `local "` + dir + `" tar`,
		"type=tar":                        `tar "-" tar`,
		"type=tar,dest=" + file:           `tar "` + file + `" tar`,
		"type=oci,dest=-":                 `oci "-" tar`,
		"type=oci,tar=false,dest=" + dir:  `oci "` + dir + `" directory`,
		"type=docker":                     `image "" tar`,
		"type=docker,dest=x,name=a:b":     `docker "x" tar [docker.io/library/a:b]`,
		`type=image,"name=a,b:c"`:         `image "" tar [docker.io/library/a:latest docker.io/library/b:c]`,
		"type=image,push=true,name=h:5/x": `image "" tar [h:5/x:latest] pushed`,
		"type=registry,name=x":            `image "" tar [docker.io/library/x:latest] pushed`,
		`type=local,"dest=a,b"`:           `local "a,b" tar`,
		"dest=x":                          "type is required for output",
		"type=local":                      "dest is required for local exporter",
		"type=local,dest=-":               "dest cannot be stdout for local exporter",
		"type=oci,tar=false":              "dest is required for oci exporter",
		"type=docker,tar=false,dest=-":    "dest cannot be stdout for docker exporter",
		"type=bogus,dest=x":               `exporter "bogus" could not be found`,
		"type=tar,dest=" + dir:            "destination file " + dir + " is a directory",
		"type=local,dest=" + file:         "destination directory " + file + " is a file",
		"type=local,bogus=1,dest=x":       `unknown option "bogus" of output: type, dest, name, push and tar are known`,
		"type=local,dest=x,push=true":     "push is not an option of output type local",
		"type=tar,name=x":                 "name is not an option of output type tar",
		"type=image,dest=x":               "dest is not an option of output type image",
		"type=oci,tar=perhaps":            `invalid value tar=perhaps: strconv.ParseBool: parsing "perhaps": invalid syntax`,
		"type=image,name=UPPER":           "invalid name UPPER: invalid reference format: repository name (library/UPPER) must be lowercase",
		"type=image,x":                    "invalid value x",
	} {
		o, err := ParseOutput(flag)
		got := o.Type + ` "` + o.Dest + `"`
		switch {
		case err != nil:
			got = err.Error()
		case o.Tar:
			got += " tar"
		default:
			got += " directory"
		}
		var names []string
		for _, n := range o.Names {
			names = append(names, n.String())
		}
		if err == nil && names != nil {
			got += " [" + strings.Join(names, " ") + "]"
		}
		if err == nil && o.Push {
			got += " pushed"
		}
		if got != want {
			t.Errorf("%s: %s\nwant %s", flag, got, want)
		}
	}
}

// kitchen is where tests build: a store of their own, and a context.
type kitchen struct {
	*engine.Engine
	t       *testing.T
	context string
}

func newKitchen(t *testing.T, files map[string]string) *kitchen {
	t.Helper()
	need.Root(t)
	data := t.TempDir()
	t.Setenv("GLASSBOX_ROOT", data+"/data")
	t.Setenv("GLASSBOX_RUN", data+"/run")
	e, err := engine.Open()
	if err != nil {
		t.Fatal(err)
	}
	k := &kitchen{Engine: e, t: t, context: t.TempDir()}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(k.context, name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// build builds what the Dockerfile says, which runs nothing.
func (k *kitchen) build(dockerfile string, o Options) (progress.Result, error) {
	k.t.Helper()
	work, err := k.Builds.Begin()
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() {
		if err := work.End(); err != nil {
			k.t.Error(err)
		}
	}()
	files, err := source.Open(context.Background(), k.context, source.Options{Dockerfile: "-", In: strings.NewReader(dockerfile), Temp: work.Dir})
	if err != nil {
		k.t.Fatal(err)
	}
	defer files.Close()
	o.Context, o.Work = files, work
	w, err := progress.New("quiet", io.Discard, io.Discard)
	if err != nil {
		k.t.Fatal(err)
	}
	r, err := Build(context.Background(), k.Engine, o, w)
	return r, w.Close(r, err)
}

func named(t *testing.T, name string) []reference.Named {
	t.Helper()
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return []reference.Named{reference.TagNameOnly(ref)}
}

const twoFiles = "FROM scratch\nCOPY --chown=5:6 a /dir/\nCOPY b /gone\nCOPY --chmod=4711 b /dir/b\n"

func TestOutputFiles(t *testing.T) {
	k := newKitchen(t, map[string]string{"a": "one", "b": "two"})
	dest := t.TempDir()
	var stdout bytes.Buffer
	r, err := k.build(twoFiles, Options{Tags: named(t, "never"), Stdout: &stdout, Outputs: []Output{
		{Type: "local", Dest: dest + "/new/dir", Tar: true}, {Type: "tar", Dest: dest + "/x.tar", Tar: true}, {Type: "tar", Dest: "-", Tar: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Image != "" || len(r.Tags) > 0 || !slices.Equal(r.Files, []string{dest + "/new/dir", dest + "/x.tar"}) {
		t.Errorf("%+v", r)
	}
	if _, err := k.Images.Resolve("never"); err == nil {
		t.Error("an image was named, though files were wanted")
	}
	for name, want := range map[string]string{"dir/a": "one", "dir/b": "two", "gone": "two"} {
		var st unix.Stat_t
		text, err := os.ReadFile(dest + "/new/dir/" + name)
		if e := unix.Stat(dest+"/new/dir/"+name, &st); err != nil || e != nil || string(text) != want || st.Uid != 0 || name == "dir/b" && st.Mode != unix.S_IFREG|0o4711 {
			t.Errorf("%s: %q, owner %d, mode %o (%v)", name, text, st.Uid, st.Mode, err)
		}
	}
	file, err := os.ReadFile(dest + "/x.tar")
	if err != nil || !bytes.Equal(file, stdout.Bytes()) {
		t.Errorf("the archive in the file is not the one on standard output (%v)", err)
	}
	if got, want := members(t, file), []string{"dir/ 5:6 755", "dir/a 5:6 640", "dir/b 0:0 4711", "gone 0:0 640"}; !slices.Equal(got, want) {
		t.Errorf("archive: %q\nwant %q", got, want)
	}
	if left, err := filepath.Glob(dest + "/.*"); err != nil || len(left) > 0 {
		t.Errorf("left: %v (%v)", left, err)
	}
}

func members(t *testing.T, archive []byte) (all []string) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %d:%d %o", h.Name, h.Uid, h.Gid, h.Mode))
	}
}

// A directory that is there is added to; nothing is written where a link in it leads.
func TestOutputIntoDirectory(t *testing.T) {
	k := newKitchen(t, map[string]string{"a": "one", "b": "two"})
	dest, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(dest+"/mine", []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := k.build("FROM scratch\nCOPY a /mine2\n", Options{Outputs: []Output{{Type: "local", Dest: dest, Tar: true}}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(dest + "/mine")
	if text2, err2 := os.ReadFile(dest + "/mine2"); err != nil || err2 != nil || string(text)+string(text2) != "mineone" {
		t.Errorf("%q %q (%v, %v)", text, text2, err, err2)
	}
	if err := os.Symlink(outside, dest+"/dir"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.build(twoFiles, Options{Outputs: []Output{{Type: "local", Dest: dest, Tar: true}}}); err == nil {
		t.Error("a link in the way was no error")
	}
	if all, err := os.ReadDir(outside); err != nil || len(all) > 0 {
		t.Errorf("written outside: %v (%v)", all, err)
	}
}

// A build that fails leaves no file, and one that cannot write says so.
func TestOutputFailures(t *testing.T) {
	k := newKitchen(t, map[string]string{"a": "one", "b": "two"})
	dest := t.TempDir()
	if _, err := k.build("FROM scratch\nCOPY nothing /\n", Options{Outputs: []Output{{Type: "tar", Dest: dest + "/x.tar", Tar: true}}}); err == nil {
		t.Error("no error")
	}
	if _, err := k.build(twoFiles, Options{Outputs: []Output{{Type: "tar", Dest: dest + "/no/x.tar", Tar: true}}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a directory that is not there: %v", err)
	}
	if _, err := k.build(twoFiles, Options{Outputs: []Output{{Type: "tar", Dest: "/dev/full", Tar: true}}}); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("onto a full disk: %v", err)
	}
	if _, err := k.build(twoFiles, Options{Outputs: []Output{{Type: "image", Push: true, Tar: true}}}); err == nil || !strings.Contains(err.Error(), "tag is needed when pushing to registry") {
		t.Errorf("push of nothing: %v", err)
	}
	if all, err := os.ReadDir(dest); err != nil || len(all) > 0 {
		t.Errorf("left: %v (%v)", all, err)
	}
}

// The same image goes into the store, and into archives that others read.
func TestOutputImages(t *testing.T) {
	skopeo := need.Program(t, "skopeo")
	k := newKitchen(t, map[string]string{"a": "one", "b": "two"})
	dest := t.TempDir()
	r, err := k.build(twoFiles, Options{Tags: named(t, "kept:1"), Outputs: []Output{
		{Type: "image", Tar: true}, {Type: "docker", Dest: dest + "/docker.tar", Tar: true}, {Type: "oci", Dest: dest + "/oci.tar", Tar: true},
		{Type: "oci", Dest: dest + "/oci"}, {Type: "docker", Dest: dest + "/named.tar", Names: named(t, "other"), Tar: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	img, err := k.Images.Resolve("kept:1")
	if err != nil || img.ID != r.Image || !slices.Equal(r.Tags, []string{"kept:1"}) {
		t.Errorf("%+v, %v", r, err)
	}
	for _, where := range []string{"docker-archive:" + dest + "/docker.tar:kept:1", "docker-archive:" + dest + "/named.tar:other", "oci-archive:" + dest + "/oci.tar", "oci:" + dest + "/oci"} {
		config, err := exec.Command(skopeo, "inspect", "--config", "--raw", where).Output()
		if err != nil || digest.FromBytes(config) != img.ID {
			t.Errorf("%s: %s (%v)", where, config, err)
		}
	}
	manifest, err := exec.Command("tar", "-xOf", dest+"/named.tar", "manifest.json").Output()
	if err != nil || !strings.Contains(string(manifest), `"RepoTags":["other:latest"]`) {
		t.Errorf("%s (%v)", manifest, err)
	}
	layout, err := filepath.Glob(dest + "/oci/*")
	if want := []string{dest + "/oci/blobs", dest + "/oci/index.json", dest + "/oci/oci-layout"}; err != nil || !slices.Equal(layout, want) {
		t.Errorf("the layout holds %v (%v)", layout, err)
	}
}
