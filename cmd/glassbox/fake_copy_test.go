package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"

	"glassbox/engine"

	"github.com/docker/docker/api/types/container"
)

// The fake's containers have a directory /dir with a file, a file /file and a link /link to it. What is copied to one is listed in the file
// named by COPIED.

func (f *fake) StatPath(ctx context.Context, id, path string) (container.PathStat, error) {
	if err := known(id); err != nil {
		return container.PathStat{}, err
	}
	switch path {
	case "/dir", "/dir/", "/dir/.":
		return container.PathStat{Name: "dir", Mode: fs.ModeDir | 0o755}, nil
	case "/file":
		return container.PathStat{Name: "file", Mode: 0o644, Size: 4}, nil
	case "/link":
		return container.PathStat{Name: "link", Mode: fs.ModeSymlink | 0o777, LinkTarget: "/file"}, nil
	case "/dev/null":
		return container.PathStat{Name: "null", Mode: fs.ModeDevice | fs.ModeCharDevice | 0o666}, nil
	}
	return container.PathStat{}, &engine.Error{Class: engine.NotFound, Text: "Could not find the file " + path + " in container " + id}
}

func (f *fake) CopyFrom(ctx context.Context, id, path string) (io.ReadCloser, container.PathStat, error) {
	stat, err := f.StatPath(ctx, id, path)
	if err != nil {
		return nil, stat, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	switch stat.Name {
	case "dir":
		err = writeTar(w, tar.Header{Typeflag: tar.TypeDir, Name: "dir/", Mode: 0o755}, tar.Header{Typeflag: tar.TypeReg, Name: "dir/inner", Mode: 0o600})
	case "link":
		err = writeTar(w, tar.Header{Typeflag: tar.TypeSymlink, Name: "link", Linkname: "/file", Mode: 0o777})
	default:
		err = writeTar(w, tar.Header{Typeflag: tar.TypeReg, Name: stat.Name, Mode: 0o644})
	}
	return io.NopCloser(&b), stat, err
}

func writeTar(w *tar.Writer, headers ...tar.Header) error {
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
	}
	return w.Close()
}

func (f *fake) CopyTo(ctx context.Context, id, path string, content io.Reader, o container.CopyToContainerOptions) error {
	if err := known(id); err != nil {
		return err
	}
	text := fmt.Sprintf("in %s, owners kept: %v\n", path, o.CopyUIDGID)
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		text += fmt.Sprintf("%c %s %s\n", h.Typeflag, h.Name, h.Linkname)
	}
	if name := os.Getenv("COPIED"); name != "" {
		return os.WriteFile(name, []byte(text), 0o600)
	}
	return nil
}

func (f *fake) Export(ctx context.Context, id string) (io.ReadCloser, error) {
	content, _, err := f.CopyFrom(ctx, id, "/dir")
	return content, err
}
