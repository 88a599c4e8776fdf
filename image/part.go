package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
)

// part is a file of an archive that is being loaded: a document, or a layer, which is unpacked as it passes by, before anybody knows whose
// it is.
type part struct {
	name string
	text []byte
	made *made // a layer; nil: none
	have bool  // a layer, which is here already: it was not read
}

// parts are an archive's files, by name. A later one of the same name replaces an earlier one, as in a directory.
type parts struct {
	store *Store
	files map[string]*part
	links map[string]string                                    // symbolic and hard links: they say that one layer is another
	texts int64                                                // bytes of all documents
	known map[digest.Digest]layer                              // what was unpacked before, by what it is called packed and unpacked
	watch func(name string, size int64, r io.Reader) io.Reader // shows how far a layer is
}

// maxTexts bounds the documents of an archive: they are kept in memory.
const maxTexts = 48 << 20

// read reads the archive to its end.
func (p *parts) read(ctx context.Context, r io.Reader) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = p.entry(ctx, h, t)
		}
		if err != nil {
			return err
		}
	}
}

func (p *parts) entry(ctx context.Context, h *tar.Header, r io.Reader) error {
	name := inArchive(h.Name)
	if h.Typeflag != tar.TypeDir {
		if err := p.forget(name); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeRegA, tar.TypeGNUSparse: //nolint:staticcheck // old archives have TypeRegA
		return p.file(ctx, name, h.Size, r)
	case tar.TypeLink:
		p.links[name] = inArchive(h.Linkname)
	case tar.TypeSymlink:
		p.links[name] = inArchive(path.Join("/", path.Dir(name), h.Linkname))
	}
	return nil
}

// inArchive is a name below the archive's root, which nothing leads out of.
func inArchive(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// forget drops what had the name.
func (p *parts) forget(name string) error {
	old := p.files[name]
	delete(p.files, name)
	delete(p.links, name)
	if old == nil || old.made == nil {
		return nil
	}
	return old.made.discard()
}

// file tells layers from documents by their first bytes: names and media types are not reliable.
func (p *parts) file(ctx context.Context, name string, size int64, r io.Reader) error {
	if p.here(name) {
		p.files[name] = &part{have: true, name: name}
		return nil
	}
	b := bufio.NewReaderSize(r, ringSize)
	head, err := b.Peek(tarBlock)
	if err != nil && err != io.EOF {
		return err
	}
	if isLayer(head) {
		m, err := p.layer(ctx, p.watch(name, size, b))
		if err == nil {
			p.files[name] = &part{name: name, made: m}
		}
		return err
	}
	if size > maxDocument {
		return nil // whoever names it will be told that it is neither
	}
	if p.texts += size; p.texts > maxTexts {
		return fmt.Errorf("the archive holds more than %d MB of documents", maxTexts>>20)
	}
	text, err := io.ReadAll(b)
	p.files[name] = &part{name: name, text: text}
	return err
}

// here tells that a name is the digest of a layer that was unpacked before.
func (p *parts) here(name string) bool {
	_, ok := p.known[digestIn(name)]
	return ok
}

// layer takes a layer to the places where it will stay, but under a name of nobody's.
func (p *parts) layer(ctx context.Context, r io.Reader) (*made, error) {
	m := &made{store: p.store, name: "load-" + randomName()}
	dir, _, err := claimDir(ctx, p.store.layers+"/temp/"+m.name)
	if err != nil {
		return nil, err
	}
	m.dir = dir
	if err := m.read(ctx, r); err != nil {
		return nil, errors.Join(err, m.discard())
	}
	return m, nil
}

const tarBlock = 512

// isLayer tells an archive, packed or not, by its first block: gzip's and zstd's magic numbers, tar's, or the zeros that end one without
// entries.
func isLayer(head []byte) bool {
	switch {
	case packedAs(head[:min(4, len(head))]) != plain:
		return true
	case len(head) < tarBlock:
		return false
	}
	_, err := tar.NewReader(bytes.NewReader(head)).Next() // a block of zeros is an end: no error but io.EOF
	return err == nil || err == io.EOF || bytes.HasPrefix(head[257:], []byte("ustar"))
}

// find finds a file by its name in the archive, by way of links.
func (p *parts) find(name string) (*part, error) {
	at := inArchive(name)
	for range 40 {
		if f := p.files[at]; f != nil {
			return f, nil
		}
		to, ok := p.through(at)
		if !ok {
			return nil, fmt.Errorf("open %s: no such file or directory", name)
		}
		at = to
	}
	return nil, fmt.Errorf("open %s: too many levels of symbolic links", name)
}

// through replaces the first link in a name by what it leads to.
func (p *parts) through(name string) (string, bool) {
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		if to, ok := p.links[name[:i]]; ok {
			return inArchive(to + name[i:]), true
		}
	}
	return "", false
}

// document is a file that must be text.
func (p *parts) document(name string) ([]byte, error) {
	f, err := p.find(name)
	if err == nil && f.text == nil {
		err = fmt.Errorf("%s is no document", name)
	}
	if err != nil {
		return nil, err
	}
	return f.text, nil
}

// discard removes what no image has taken.
func (p *parts) discard() error {
	var err error
	for _, f := range p.files {
		if f.made != nil {
			err = errors.Join(err, f.made.discard())
		}
	}
	return err
}

// digest is the one that a name holds: blobs/sha256/HEX, HEX.tar.
func digestIn(name string) digest.Digest {
	return digest.NewDigestFromEncoded(digest.SHA256, strings.TrimSuffix(path.Base(name), ".tar"))
}
