package image

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// self is the program that runs, whatever has happened to its name since.
const self = "/proc/self/exe"

// madeFrom notes beside a built-in image's name which program made it. It stands in the index only, so that equal programs make
// images of equal digests.
const madeFrom = "glassbox.program"

// born is the date that the built-in images bear.
var born = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

// Builtin makes the built-in image of that name (hello-world, tiny), tagged as name:latest. ok is false when there is none.
func (s *Store) Builtin(name string) (img *Image, ok bool, err error) {
	write, config := s.builtin(name)
	if write == nil {
		return nil, false, nil
	}
	stamp, err := s.programStamp()
	if err != nil {
		return nil, true, err
	}
	tag := familiar(name)
	old, entry, err := s.resolve(tag)
	if was := entry.Annotations[madeFrom]; err == nil && (was == stamp || was == "") {
		return old, true, nil // made already, or an image that the user has put under this name
	}
	r, w := io.Pipe()
	go func() {
		b := bufio.NewWriterSize(w, ringSize)
		layer := &layerWriter{tar: tar.NewWriter(b)}
		write(layer)
		w.CloseWithError(errors.Join(layer.close(), b.Flush()))
	}()
	img, err = s.importTar(context.Background(), r, tag, config, map[string]string{madeFrom: stamp})
	r.CloseWithError(io.ErrClosedPipe) // lets the writer go when the reading has failed
	if err != nil {
		return nil, true, fmt.Errorf("making the built-in image %s: %w", tag, err)
	}
	return img, true, s.retire(old, img)
}

// builtin tells how the image of that name is made; nil when there is none.
func (s *Store) builtin(name string) (func(*layerWriter), ocispec.Image) {
	switch familiar(name) {
	case "hello-world:latest":
		return writeHello, helloConfig()
	case "tiny:latest":
		if s.Applets != nil {
			return func(a *layerWriter) { writeTiny(a, s.Applets(), s.glassrun()) }, tinyConfig()
		}
	}
	return nil, ocispec.Image{}
}

func familiar(name string) string {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.FamiliarString(reference.TagNameOnly(ref))
}

// outdated tells an entry made by another version of this program.
func (s *Store) outdated(entry ocispec.Descriptor) bool {
	was := entry.Annotations[madeFrom]
	if was == "" {
		return false
	}
	now, err := s.programStamp()
	return err == nil && now != was
}

// retire deletes what a remade built-in replaced, when nothing names it any longer and no container needs it.
func (s *Store) retire(old, img *Image) error {
	if old == nil || old.ID == img.ID || s.InUse == nil {
		return nil
	}
	now, err := s.Resolve(old.ID.String())
	if err != nil || len(now.Tags)+len(now.Digests) > 0 {
		return nil
	}
	var conflict *Conflict
	if _, _, err = s.Remove(old.ID.String(), false, s.InUse); errors.As(err, &conflict) {
		return nil
	}
	return err
}

// glassrun is the program that starts containers, where there is one.
func (s *Store) glassrun() string {
	if s.Glassrun == nil {
		return ""
	}
	path, err := s.Glassrun()
	if err != nil {
		return ""
	}
	return path
}

// programStamp tells the programs that are in built-in images from others, without reading them.
func (s *Store) programStamp() (string, error) {
	var stamps []string
	for _, path := range []string{self, s.glassrun()} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		stamps = append(stamps, fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano()))
	}
	return strings.Join(stamps, " "), nil
}

// layerWriter writes a layer; after the first error it does nothing.
type layerWriter struct {
	tar *tar.Writer
	err error
}

func (a *layerWriter) add(h tar.Header, content io.Reader) {
	if a.err != nil {
		return
	}
	h.ModTime, h.Format = born, tar.FormatPAX
	if a.err = a.tar.WriteHeader(&h); a.err == nil && content != nil {
		_, a.err = io.Copy(a.tar, content)
	}
}

func (a *layerWriter) dir(name string, mode int64, owner int) {
	a.add(tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: owner, Gid: owner}, nil)
}

func (a *layerWriter) link(name, target string) {
	a.add(tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, nil)
}

func (a *layerWriter) close() error { return errors.Join(a.err, a.tar.Close()) }
