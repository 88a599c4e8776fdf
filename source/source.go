// Package source is where a build's files come from: the build context (a directory, an archive, a URL, a git repository, standard input), other
// stages, images and what ADD fetches; and how they are found, told apart by content, and copied into an image.
package source

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/opencontainers/go-digest"
)

// Tree is a directory to copy from, held by a descriptor: nothing in it leads out of it.
type Tree struct {
	Root   *os.File                         // O_PATH or better
	Ignore func(name string, dir bool) bool // what .dockerignore leaves out; nil: nothing
	Owners bool                             // its files keep their owners (a stage's, an image's); else they become root's, as a context's do
}

// Context is the build context: the files that COPY and ADD may name, and the Dockerfile.
type Context struct {
	Tree
	Dockerfile []byte // its text
	Name       string // under which it was found or asked for: "Dockerfile"
	Where      string // what the user typed: tells one build from another when causes of cache misses are looked for
}

// Options say how a context is opened.
type Options struct {
	Dockerfile string    // -f: a path, "-" for In; empty: Dockerfile in the context
	In         io.Reader // standard input
	Temp       string    // a directory for what is fetched or unpacked, on the store's file system
	// Told is told in lines what is fetched; may be nil.
	Told io.Writer
}

// Open opens what `build` names: a directory, "-" (a Dockerfile or an archive from In), a URL of a Dockerfile or an archive, a git URL with
// #REF:DIRECTORY.
func Open(ctx context.Context, where string, o Options) (*Context, error) { panic("source.Open") }

// Size is how many bytes Docker's client would send for it, as a tar archive.
func (c *Context) Size() (int64, error) { panic("source.Size") }

// Close lets go of it, and removes what was fetched or unpacked.
func (c *Context) Close() error { panic("source.Close") }

// Order is one COPY or ADD, its words expanded.
type Order struct {
	From     *Tree    // what Paths name; nil: nothing
	Paths    []string // patterns among them; of ADD also URLs and git repositories
	Inline   []File   // here-documents
	Dest     string   // as written: a trailing slash says that it is a directory
	Workdir  string   // what a relative Dest is relative to
	Chown    string   // --chown: "user", "user:group", numbers; empty: not given
	Chmod    string   // --chmod: octal, or symbolic as chmod(1) takes it
	Parents  bool     // --parents
	Exclude  []string // --exclude
	Add      bool     // ADD: archives are unpacked, URLs fetched
	Unpack   *bool    // ADD --unpack
	Checksum digest.Digest
	KeepGit  bool      // ADD --keep-git-dir
	Temp     string    // a directory for what is fetched
	Epoch    time.Time // no file gets a later time than that; zero: times stay
	Told     io.Writer // lines about what is fetched; may be nil
}

// File is a here-document.
type File struct {
	Name string
	Data []byte
}

// Entry is one file of what an Order copies, for its key and for telling what changed.
type Entry struct {
	Name   string        // below its tree
	Digest digest.Digest // of kind, mode, owner, link target, attributes and content; never of times
}

// Parcel is what an Order has found, and fetched where it is far.
type Parcel struct {
	Entries []Entry       // sorted by name
	Digest  digest.Digest // of all
	// Classic is what the classic builder writes in place of the sources in an image's history: "file:HEX", "dir:HEX", "multi:HEX".
	Classic string
}

// Find looks up what o names. An error names the path, in Docker's words where Docker has some.
func (o *Order) Find(ctx context.Context) (*Parcel, error) { panic("source.Find") }

// Write copies the parcel into a tree: root is the image's, mounted for writing, in which Dest, links on its way, and names of users are looked up.
// What changed since Find is noticed: the error is then ErrChanged, and the caller finds anew.
func (p *Parcel) Write(ctx context.Context, root *os.File) error { panic("source.Write") }

// Close removes what was fetched.
func (p *Parcel) Close() error { panic("source.Parcel.Close") }
