// Package progress shows a build while it goes on: in the classic builder's words, in BuildKit's plain lines, or drawn on a terminal.
package progress

import (
	"io"

	"github.com/opencontainers/go-digest"
)

// Watcher is told of a build by whoever builds. What belongs to one stage comes one after the other; stages are built at once, and
// its methods are called by several goroutines.
type Watcher interface {
	// Begin is told of the beginning of a piece of work. The returned Work is told of the rest, and ended exactly once.
	Begin(Task) Work
	// Close ends the build and what is drawn of it. After it nothing is told any more.
	Close(Result, error) error
}

// Kind is what a task is.
type Kind int

const (
	Definition  Kind = iota // reading the Dockerfile: Text is its name, Status tells its size
	Ignore                  // reading .dockerignore
	Metadata                // asking what an image name means: Text is the reference
	Context                 // reading the build context: Status tells its size, as Docker's client would send it
	Instruction             // one instruction of a stage, FROM included
	Export                  // making what the build is for: an image under its names, or files (then Text says how: "exporting to client directory")
)

// Task is a piece of work of a build.
type Task struct {
	Kind   Kind
	Text   string // Instruction: as the classic builder prints it, "RUN make all"
	Step   int    // Instruction: which of all that are carried out, counted from 1 as the classic builder counts
	Steps  int    // how many those are
	Stage  int    // Instruction: its stage, counted from 0 among all of the Dockerfile
	Name   string // of the stage: what AS says; empty: it has none, BuildKit calls it stage-0
	Inside int    // Instruction: which of its stage, FROM being 1, of those that BuildKit shows (FROM, RUN, COPY, ADD, WORKDIR)
	Of     int    // how many of those the stage has; 0: BuildKit shows nothing of this instruction
	Many   bool   // the Dockerfile has several stages
	Long   string // Instruction: as BuildKit prints it, variables expanded: "FROM docker.io/library/alpine:latest"; empty: as Text
	Source []byte // Definition: what the Dockerfile says, for showing where a build failed
}

// Worded is an error for which BuildKit has other words than the classic builder. Where in the Dockerfile something failed is told by a
// parser.LocationError around it.
type Worded interface {
	error
	BuildKit() string
}

// Work is one task going on.
type Work interface {
	// Status tells how far it is; id names a part (a blob, a file), empty: the whole. total is 0 when nobody knows it.
	Status(id string, current, total int64)
	// Note is a line of its own, such as a warning.
	Note(text string)
	// Running tells the container in which RUN runs, before its first output.
	Running(container string)
	// Stdout and Stderr take what RUN's process writes. Out takes lines that are ready to print, such as a pull's progress.
	Stdout() io.Writer
	Stderr() io.Writer
	Out() io.Writer
	// Removed tells that the container of Running is gone.
	Removed(container string)
	// Cached tells that the result was there.
	Cached()
	// Made tells the image that has come of it; of an Export the image that is exported.
	Made(id digest.Digest)
	// Tagged tells a name under which an image was exported.
	Tagged(name string)
	// End ends the task.
	End(error)
}

// Result is what a build has come to.
type Result struct {
	Image    digest.Digest // empty: none was made, for files were wanted
	Tags     []string      // familiar names that it was given
	Pushed   digest.Digest // of the manifest that a registry has of it now
	Files    []string      // places to which files were written
	Warnings []string      // lines about the whole build
}
