package image

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"sync"

	"glassbox/store"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// indexFile remembers index.json as this process last read or wrote it: a build reads and writes it at each step, and decoding a thousand
// entries takes longer than the step. It is one entry a line, and lines of entries that stay are not encoded anew.
type indexFile struct {
	mutex sync.Mutex
	text  []byte
	index ocispec.Index
	lines [][]byte // of index.Manifests; nil: it was not we who wrote it
}

// read decodes what the file holds, unless that is what it held before.
func (f *indexFile) read(path string) (ocispec.Index, error) {
	text, err := store.ReadFile(path)
	if err != nil {
		return ocispec.Index{}, err
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.text == nil || !bytes.Equal(text, f.text) {
		var x ocispec.Index
		if err := json.Unmarshal(text, &x); err != nil {
			return x, err
		}
		f.text, f.index, f.lines = text, x, nil
	}
	x := f.index
	x.Manifests = slices.Clone(x.Manifests)
	return x, nil
}

func (f *indexFile) write(path string, x ocispec.Index) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	lines, err := f.encode(x.Manifests)
	if err != nil {
		return err
	}
	head := x
	head.Manifests = []ocispec.Descriptor{}
	around, err := json.Marshal(head)
	if err != nil {
		return err
	}
	begin, end, ok := bytes.Cut(around, []byte(`"manifests":[`))
	if !ok {
		return fmt.Errorf("encoding %s: no manifests in %s", path, around)
	}
	var b bytes.Buffer
	b.Write(begin)
	b.WriteString(`"manifests":[`)
	for i, line := range lines {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		b.Write(line)
	}
	b.Write(end)
	b.WriteByte('\n')
	if bytes.Equal(b.Bytes(), f.text) {
		return nil // the name that it was to have, it has
	}
	if err := store.Replace(path, b.Bytes(), 0o644); err != nil {
		return err
	}
	x.Manifests = slices.Clone(x.Manifests)
	f.text, f.index, f.lines = b.Bytes(), x, lines
	return nil
}

// encode makes a line of each entry. Entries go and come at the end, so that an old line is found not before the last one that was found.
func (f *indexFile) encode(entries []ocispec.Descriptor) (lines [][]byte, err error) {
	at := 0
	for _, d := range entries {
		i := at
		for i < len(f.lines) && !equal(f.index.Manifests[i], d) {
			i++
		}
		if i < len(f.lines) {
			lines, at = append(lines, f.lines[i]), i+1
			continue
		}
		line, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// equal is reflect.DeepEqual, quickly for what has a digest, a size, a platform and annotations.
func equal(a, b ocispec.Descriptor) bool {
	if a.Digest != b.Digest || a.Size != b.Size || !maps.Equal(a.Annotations, b.Annotations) {
		return false
	}
	a.Annotations, b.Annotations = nil, nil
	return reflect.DeepEqual(a, b)
}

func (s *Store) indexPath() string { return filepath.Join(s.dir, ocispec.ImageIndexFile) }
