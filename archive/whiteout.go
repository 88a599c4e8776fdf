package archive

import (
	"archive/tar"
	"path"
	"time"
)

// Marks of deletions in a layer's archive (OCI image spec, layer.md).
const (
	WhiteoutPrefix = ".wh."
	OpaqueMark     = ".wh..wh..opq"
	aufsPrefix     = ".wh..wh." // AUFS's own files, of no meaning to others
)

// deletion makes the mark of a deletion out of overlayfs's own, a character device 0:0.
func deletion(h *tar.Header) *tar.Header {
	dir, base := path.Split(h.Name)
	h.Name, h.Typeflag, h.Mode, h.Size = dir+WhiteoutPrefix+base, tar.TypeReg, 0o600, 0
	return h
}

// opaqueMarkOf says that nothing of the lower layers shows in a directory.
func opaqueMarkOf(dir *tar.Header) *tar.Header {
	return &tar.Header{
		Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: dir.Name + OpaqueMark, Mode: dir.Mode & 0o777,
		Uid: dir.Uid, Gid: dir.Gid, ModTime: time.Unix(0, 0),
	}
}

// isOpaque reports overlayfs's mark of a directory that hides the lower ones.
func isOpaque(fd int) (bool, error) {
	for _, name := range []string{"trusted.overlay.opaque", "user.overlay.opaque"} {
		value, ok, err := attribute(fd, name)
		if err != nil || ok && string(value) == "y" {
			return err == nil, err
		}
	}
	return false, nil
}
