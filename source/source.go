// Package source is where a build's files come from: the build context (a directory, an archive, a URL, a git repository, standard input), other
// stages, images and what ADD fetches; and how they are found, told apart by content, and copied into an image.
//
// Everything is looked up by descriptors, one component of a path after the other, and read once to be known (Find) and once more to be copied (Write):
// what is written is what the key was made of, or Write says ErrChanged. Where Docker's classic builder and BuildKit disagree about the files that come of
// an instruction, the classic builder is followed, but that set-id bits and an
// image's capabilities are not lost.
package source

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/opencontainers/go-digest"
)

// Tree is a directory to copy from, held by a descriptor: nothing in it leads out of it.
type Tree struct {
	Root   *os.File // O_PATH or better
	Ignore *Ignore  // what .dockerignore leaves out; nil: nothing
	Owners bool     // its files keep their owners (a stage's, an image's); else they become root's, as a context's do
}

// Options say how a context is opened.
type Options struct {
	Dockerfile string    // -f: a path, "-" for In; empty: Dockerfile in the context
	In         io.Reader // standard input
	Temp       string    // a directory for what is fetched or unpacked, on the store's file system
	// Told is told in lines what is fetched; may be nil.
	Told io.Writer
}

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
	Link     bool     // --link: whatever the image has at Dest, links too, is not looked at
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

// ErrChanged is what Write says when a source is not any more what Find has found.
var ErrChanged = errors.New("the files to be copied have changed meanwhile")
