package world

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// File is one entry of an image layer: a directory when its name ends in a slash, a link when Link is set.
type File struct {
	Name  string
	Mode  int64
	Body  []byte
	Link  string
	Owner int // user and group
}

// Layer makes a layer whose bytes depend on its files alone.
func Layer(files []File) (v1.Layer, error) {
	var b bytes.Buffer
	if err := Archive(&b, files); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
}

// Archive writes files as a layer's tar, unpacked.
func Archive(to io.Writer, files []File) error {
	w := tar.NewWriter(to)
	for _, f := range files {
		h := &tar.Header{Name: f.Name, Mode: f.Mode, Size: int64(len(f.Body)), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0), Uid: f.Owner, Gid: f.Owner}
		switch {
		case strings.HasSuffix(f.Name, "/"):
			h.Typeflag = tar.TypeDir
		case f.Link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.Link
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(f.Body); err != nil {
			return err
		}
	}
	return w.Close()
}

// Busybox is a small distribution: Debian's static busybox with its applets as links, passwd, group and a few odd files.
func Busybox(odd ...File) (v1.Image, error) {
	binary, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil, errNoBusybox
	}
	if e, err := elf.NewFile(bytes.NewReader(binary)); err != nil || e.Section(".interp") != nil {
		return nil, errNoBusybox
	}
	list, err := exec.Command("/bin/busybox", "--list").Output()
	if err != nil {
		return nil, err
	}
	files := []File{{Name: "bin/", Mode: 0o755}, {Name: "bin/busybox", Mode: 0o755, Body: binary}}
	for _, applet := range strings.Fields(string(list)) {
		if applet != "busybox" {
			files = append(files, File{Name: "bin/" + applet, Mode: 0o777, Link: "busybox"})
		}
	}
	files = append(files,
		File{Name: "etc/", Mode: 0o755},
		File{Name: "etc/passwd", Mode: 0o644, Body: []byte("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n")},
		File{Name: "etc/group", Mode: 0o644, Body: []byte("root:x:0:\nuser:x:1000:\nstaff:x:50:user\n")},
		File{Name: "root/", Mode: 0o700},
		File{Name: "tmp/", Mode: 0o1777},
		File{Name: "var/", Mode: 0o755},
	)
	return Image(append(files, odd...), v1.Config{Cmd: []string{"sh"}, Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}})
}

// Image makes an image of one layer.
func Image(files []File, config v1.Config) (v1.Image, error) {
	layer, err := Layer(files)
	if err != nil {
		return nil, err
	}
	image, err := mutate.Append(empty.Image, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: path.Base(files[0].Name)}})
	if err != nil {
		return nil, err
	}
	return Configure(image, config)
}

// Configure gives an image a configuration.
func Configure(image v1.Image, config v1.Config) (v1.Image, error) {
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	file.Created = v1.Time{Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	return mutate.ConfigFile(image, file)
}

// Push uploads an image to the loopback registry.
func Push(image v1.Image, reference string) error {
	if err := crane.Push(image, reference, crane.Insecure); err != nil {
		return fmt.Errorf("pushing %s: %w", reference, err)
	}
	return nil
}
