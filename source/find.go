package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// Parcel is what an Order has found, and fetched where it is far.
type Parcel struct {
	Entries []Entry       // sorted by name; of very many files, what their directories hold
	Digest  digest.Digest // of all
	// Classic is what the classic builder writes in place of the sources in an image's history: "file:HEX", "dir:HEX", "multi:HEX".
	Classic string
	// Users is the image in whose files Write looks up names of users, if not in the tree that it writes to.
	Users *os.File

	order  Order
	mode   *mode
	pieces []*piece
	temps  []string
	roots  []*os.File // of trees that were fetched
}

// Close removes what was fetched.
func (p *Parcel) Close() error {
	var failed error
	for _, root := range p.roots {
		failed = errors.Join(failed, root.Close())
	}
	for _, dir := range p.temps {
		failed = errors.Join(failed, os.RemoveAll(dir))
	}
	p.pieces, p.temps, p.roots = nil, nil, nil
	return failed
}

// Link says that the order came with --link.
func (p *Parcel) Link() bool { return p.order.Link }

// Find looks up what o names. An error names the path, in Docker's words where Docker has some.
func (o *Order) Find(ctx context.Context) (*Parcel, error) {
	p := &Parcel{order: *o}
	if err := p.find(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// verb is what the instruction is called.
func (o *Order) verb() string {
	if o.Add {
		return "ADD"
	}
	return "COPY"
}

func (p *Parcel) find(ctx context.Context) error {
	o := &p.order
	var err error
	if p.mode, err = parseMode(o.Chmod); err != nil {
		return err
	}
	if err := o.checksummed(); err != nil {
		return err
	}
	for _, name := range o.Paths {
		if err := p.gather(ctx, name); err != nil {
			return prefixed(o.verb()+" failed", err)
		}
	}
	for _, f := range o.Inline {
		p.pieces = append(p.pieces, &piece{inline: true, data: f.Data, called: path.Base(path.Clean("/" + f.Name))})
	}
	if len(p.pieces) == 0 {
		return fmt.Errorf("%s failed: no source files were specified", o.verb())
	}
	if len(p.pieces) > 1 && !o.Parents && !directory(o.Dest) {
		return fmt.Errorf("When using %s with more than one source file, the destination must be a directory and end with a /", o.verb()) //nolint:staticcheck // Docker's words
	}
	if err := p.sum(ctx); err != nil {
		return prefixed(o.verb()+" failed", err)
	}
	return nil
}

func prefixed(words string, err error) error { return fmt.Errorf("%s: %w", words, err) }

// directory reports whether a destination is one by how it is written. Docker's classic builder does not take "." for one, BuildKit does.
func directory(dest string) bool {
	return strings.HasSuffix(dest, "/") || path.Base(dest) == "." || path.Base(dest) == ".."
}

// gather finds what one path of the order names.
func (p *Parcel) gather(ctx context.Context, name string) error {
	o := &p.order
	if repo, err := gitSource(name); repo != nil || err != nil {
		if err == nil && !o.Add {
			err = errors.New("source can't be a git ref for COPY")
		}
		if err != nil {
			return err
		}
		return p.clone(ctx, repo)
	}
	if isURL(name) {
		if !o.Add {
			return errors.New("source can't be a URL for COPY")
		}
		return p.download(ctx, name)
	}
	if o.From == nil {
		return errors.New("missing build context")
	}
	name = strings.TrimPrefix(strings.TrimPrefix(name, "/"), "./")
	switch {
	case o.Parents:
		return p.withParents(name)
	case wild(name):
		return p.matching(ctx, name)
	}
	return p.single(name, "")
}

// notFound is Docker's word for what a tree does not have.
func (t *Tree) notFound(name string) error {
	err := &os.PathError{Op: "stat", Path: name, Err: os.ErrNotExist}
	if t.Owners {
		return err
	}
	return fmt.Errorf("file not found in build context or excluded by .dockerignore: %w", err)
}

// at follows a path of the tree, and finds nothing where .dockerignore hides it.
func (t *Tree) at(name string) (*place, error) {
	clean := path.Clean(name)
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return nil, &forbidden{name: name}
	}
	place, err := follow(int(t.Root.Fd()), clean, t.Ignore.Hides)
	if err != nil { // links in a circle, or a path through a file: Docker says the same of them
		return nil, &forbidden{name, err}
	}
	if !place.there() {
		place.close()
		return nil, t.notFound(name)
	}
	return place, nil
}

// forbidden is a path that leads nowhere in the tree.
type forbidden struct {
	name  string
	cause error
}

func (f *forbidden) Error() string {
	return "forbidden path outside the build context: " + f.name + " ()"
}
func (f *forbidden) Unwrap() error { return f.cause }

// single is a path without wildcards. within says where a wildcard before it began, for --exclude: empty, it had none.
func (p *Parcel) single(name, within string) error {
	o := &p.order
	at, err := o.From.at(name)
	if err != nil {
		return err
	}
	defer at.close()
	found := &piece{tree: o.From, path: at.name, called: path.Base("/" + name)}
	if len(o.Exclude) > 0 {
		if found.sieve.exclude, err = patternmatcher.New(o.Exclude); err != nil {
			return fmt.Errorf("invalid excludepatterns: %s: %w", o.Exclude, err)
		}
		if within != "" {
			rel, _ := filepath.Rel(within, name) // both are below the tree
			if out, err := found.sieve.exclude.MatchesOrParentMatches(rel); err != nil || out {
				return err
			}
		}
	}
	switch at.kind() {
	case unix.S_IFSOCK:
		return o.From.notFound(name) // nothing in an image or an archive is one
	case unix.S_IFDIR:
		found.sieve.ignore = o.From.Ignore
	case unix.S_IFREG:
		if wanted := o.Add && o.Unpack == nil || o.Unpack != nil && *o.Unpack; wanted {
			if found.unpack, err = isArchive(at.fd); err != nil {
				return named("read", name, err)
			}
		}
	}
	p.pieces = append(p.pieces, found)
	return nil
}

// matching is a path with wildcards. The directories before the first are looked up, links and all; below them none is followed.
func (p *Parcel) matching(ctx context.Context, pattern string) error {
	o := &p.order
	if clean := path.Clean(pattern); clean == ".." || strings.HasPrefix(clean, "../") {
		return &forbidden{name: pattern}
	}
	var fixed []string
	parts := strings.Split(path.Clean(pattern), "/")
	for len(parts) > 0 && !wild(parts[0]) && !strings.Contains(parts[0], `\`) {
		fixed, parts = append(fixed, parts[0]), parts[1:]
	}
	at, err := o.From.at(path.Join(append([]string{"."}, fixed...)...))
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("no source files were specified")
	}
	if err != nil {
		return err
	}
	defer at.close()
	if at.kind() != unix.S_IFDIR {
		return nil
	}
	var names []string
	w := walk{ctx: ctx, tree: o.From, sieve: sieve{ignore: o.From.Ignore}}
	rest := path.Join(parts...)
	if !strings.Contains(rest, "[") { // which may stand for a slash
		w.sieve.deep = len(parts)
	}
	w.visit = func(f *file) error {
		if ok, _ := filepath.Match(rest, f.inside); ok {
			names = append(names, f.name)
		}
		return nil
	}
	if err := w.from(at); err != nil {
		return err
	}
	for _, name := range names {
		if err := p.single(name, at.name); err != nil {
			return err
		}
	}
	return nil
}

// withParents is a path of --parents: what it names comes with the directories before it, those behind "/./" if it has that.
func (p *Parcel) withParents(name string) error {
	o := &p.order
	pivot, pattern, cut := strings.Cut(name, "/./")
	if !cut {
		pivot, pattern = ".", name
	}
	pattern = strings.TrimPrefix(path.Clean("/"+pattern), "/")
	at, err := o.From.at(pivot)
	if err != nil {
		return err
	}
	defer at.close()
	if at.kind() != unix.S_IFDIR {
		return fmt.Errorf("%s is not a directory", pivot)
	}
	found := &piece{tree: o.From, path: at.name, called: path.Base("/" + pivot), sieve: sieve{ignore: o.From.Ignore, asked: name}}
	if pattern != "" {
		if err := found.sieve.only(pattern); err != nil {
			return err
		}
	}
	if len(o.Exclude) > 0 {
		if found.sieve.exclude, err = patternmatcher.New(o.Exclude); err != nil {
			return fmt.Errorf("invalid excludepatterns: %s: %w", o.Exclude, err)
		}
	}
	p.pieces = append(p.pieces, found)
	return nil
}

// sum hashes all pieces.
func (p *Parcel) sum(ctx context.Context) error {
	total, ledger := sha256.New(), &ledger{}
	var classic []string
	for _, piece := range p.pieces {
		if err := piece.sum(ctx, ledger); err != nil {
			return err
		}
		fmt.Fprintf(total, "%q %t %s\n", piece.called, piece.unpack, piece.total)
		classic = append(classic, piece.classic)
	}
	p.Digest = digest.NewDigest(digest.SHA256, total)
	p.Entries = ledger.entries()
	if p.Classic = classic[0]; len(classic) > 1 {
		p.Classic = slice("multi", classic)
	}
	return nil
}

// slice is how the classic builder makes one number of several.
func slice(prefix string, sums []string) string {
	h := sha256.Sum256([]byte(strings.Join(sums, ",")))
	return prefix + ":" + hex.EncodeToString(h[:])
}
