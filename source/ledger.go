package source

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// mostEntries bounds what is remembered of a parcel file by file. Of more files it is remembered what comes of those in a directory.
const mostEntries = 50_000

// ledger remembers the sums of files.
type ledger struct {
	all    []Entry
	folded map[string][sha256.Size]byte // by directory, not more than depth deep
	depth  int
}

func (l *ledger) add(name, sum string) {
	if l.folded != nil {
		l.fold(name, sum)
		return
	}
	l.all = append(l.all, Entry{name, digest.NewDigestFromEncoded(digest.SHA256, sum)})
	if len(l.all) > mostEntries {
		l.folded, l.depth = map[string][sha256.Size]byte{}, 3
		for _, e := range l.all {
			l.fold(e.Name, e.Digest.Encoded())
		}
		l.all = nil
	}
}

func (l *ledger) fold(name, sum string) {
	parts := strings.Split(path.Dir(name), "/")
	at := strings.Join(parts[:min(len(parts), l.depth)], "/") + "/"
	before := l.folded[at]
	l.folded[at] = sha256.Sum256(append(before[:], name+sum...))
	if len(l.folded) > mostEntries {
		l.shallow()
	}
}

// shallow folds once more, where there are that many directories.
func (l *ledger) shallow() {
	deep := l.folded
	l.folded, l.depth = map[string][sha256.Size]byte{}, l.depth-1
	names := make([]string, 0, len(deep))
	for name := range deep {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		sum := deep[name]
		l.fold(strings.TrimSuffix(name, "/")+"/.", hex.EncodeToString(sum[:]))
	}
}

// entries are sorted by name.
func (l *ledger) entries() []Entry {
	all := l.all
	for name, sum := range l.folded {
		all = append(all, Entry{name, digest.NewDigestFromBytes(digest.SHA256, sum[:])})
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// classicSums are what the classic builder would make a source's number of.
type classicSums struct {
	sums    []string
	much    bool
	targets map[string]string // of links, their sums: many links lead to one file
}

func (c *classicSums) add(t *Tree, f *file) error {
	if c.much {
		return nil
	}
	sum := f.sum
	if f.bare {
		sum = f.name // it was not in the archive that the daemon got
	}
	if f.kind() == unix.S_IFLNK {
		var err error
		if sum, err = c.behind(t, f); err != nil {
			return err
		}
	}
	if c.sums = append(c.sums, sum); len(c.sums) > mostEntries {
		c.sums, c.much = nil, true
	}
	return nil
}

// behind is what the classic builder takes for a link's sum: that of the file to which it leads, if there is one.
func (c *classicSums) behind(t *Tree, f *file) (string, error) {
	at, err := follow(int(t.Root.Fd()), f.name, t.Ignore.Hides)
	if err != nil {
		return f.name, nil // a link that leads in a circle, or through a file
	}
	defer at.close()
	if !at.there() {
		if t.Owners {
			return at.full(), nil
		}
		return f.name, nil
	}
	if at.dir() && t.Ignore != nil && t.Ignore.matches(at.name) {
		return f.name, nil // it was not in the archive that the daemon got
	}
	if sum, known := c.targets[at.name]; known {
		return sum, nil
	}
	target := at.file()
	if err := t.hash(target); err != nil {
		return "", err
	}
	if c.targets == nil {
		c.targets = map[string]string{}
	}
	c.targets[at.name] = target.sum
	return target.sum, nil
}

func (c *classicSums) of(p *piece, at *place) string {
	switch {
	case p.bareSum:
		return c.sums[0]
	case !at.dir():
		return "file:" + c.sums[0]
	case c.much:
		return "dir:" + p.total
	}
	slices.Sort(c.sums)
	return slice("dir", c.sums)
}
