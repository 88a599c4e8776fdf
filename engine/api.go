// Package engine is the use cases: one small type per noun, called by the CLI and by the API alike.
package engine

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"glassbox/image"
	"glassbox/program"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	dockerimage "github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/system"
)

var errStub = errors.New("stub")

// Engine opens the data and run directories and hands out the nouns. It holds no state beyond them: each command is a
// process of its own, and what several do at once is ordered by file locks.
type Engine struct {
	Containers *Containers
	Images     *image.Store
	System     *System
}

// Open uses the directories named by GLASSBOX_ROOT and GLASSBOX_RUN, or /var/lib/glassbox and /run/glassbox.
func Open() (*Engine, error) { return nil, errStub }

// Containers is everything that can be done with containers. A container is named by full id, unique prefix, or name.
type Containers struct{}

// Options is what `create` and `run` ask for: Docker's own types, and what only glassbox has.
type Options struct {
	Name             string
	Config           *container.Config
	HostConfig       *container.HostConfig
	NetworkingConfig *network.NetworkingConfig
	Platform         string
	Pull             string           // always, missing, never
	Quiet            bool             // no pull progress
	Progress         io.Writer        // pull progress and "Unable to find image ... locally"
	Terminal         bool             // Progress is a terminal
	UsernsMap        []string         // --userns UID:HOST:SIZE; HostConfig.UsernsMode holds host, auto or empty
	TimeOffset       map[string]int64 // --time-offset monotonic=SECONDS, boottime=SECONDS
	Rootfs           string           // --rootfs DIR: a plain directory instead of an image
	Explain          bool             // keep what was asked of the kernel, with times
}

// Created is what Create made.
type Created struct {
	ID       string
	Warnings []string
}

func (c *Containers) Create(ctx context.Context, o Options) (Created, error) {
	return Created{}, errStub
}

// Plan compiles what Create and Start would do, and asks the kernel for nothing.
func (c *Containers) Plan(ctx context.Context, o Options) ([]program.Account, error) {
	return nil, errStub
}

// Start starts a created or stopped container and returns when its process has been executed.
func (c *Containers) Start(ctx context.Context, id string) error { return errStub }

// Streams are the caller's ends for attach and exec.
type Streams struct {
	In  io.Reader // nil: no input
	Out io.Writer
	Err io.Writer // not used with a terminal
	// DetachKeys is the decoded sequence (moby/term.ToBytes) that ends the attachment; empty: none.
	DetachKeys []byte
	// Resize delivers the terminal's size at once and whenever it changes.
	Resize <-chan Size
	// Signals are passed on to the process.
	Signals <-chan os.Signal
}

// Size is a terminal's size in characters.
type Size struct{ Rows, Cols uint16 }

// Attachment is a connection to a container's or an exec's output and input.
type Attachment interface {
	// Run copies until the process has ended and its output is drained, the detach keys are typed (ErrDetached), or ctx ends.
	Run(ctx context.Context) (exitCode int, err error)
	Close() error
}

// ErrDetached is returned by Attachment.Run when the detach keys were typed.
var ErrDetached = errors.New("read escape sequence")

// StartAttached is Start with an attachment made before the process runs, so that no output is missed.
// autoRemove: the caller stays and removes the container after Run (for --rm in the foreground).
func (c *Containers) StartAttached(ctx context.Context, id string, s Streams) (Attachment, error) {
	return nil, errStub
}

// Attach connects to a running container.
func (c *Containers) Attach(ctx context.Context, id string, s Streams) (Attachment, error) {
	return nil, errStub
}

// Account is what was asked of the kernel at the container's last start (Options.Explain).
func (c *Containers) Account(id string) ([]program.Account, error) { return nil, errStub }

// ExecOptions is container.ExecOptions and what only glassbox has.
type ExecOptions struct {
	container.ExecOptions
	Explain bool
}

// Exec starts a further process. With Detach it returns a nil Attachment once the process has been executed.
func (c *Containers) Exec(ctx context.Context, id string, o ExecOptions, s Streams) (Attachment, []program.Account, error) {
	return nil, nil, errStub
}

// List is `ps`: newest first. With size, SizeRw and SizeRootFs are filled in.
func (c *Containers) List(all bool, limit int, size bool, f filters.Args) ([]container.Summary, error) {
	return nil, errStub
}

// Inspect returns Docker's document.
func (c *Containers) Inspect(id string, size bool) (container.InspectResponse, error) {
	return container.InspectResponse{}, errStub
}

// StopOptions: nil fields mean the container's own or Docker's default (SIGTERM, 10 seconds). A timeout of -1 waits for ever.
type StopOptions struct {
	Signal  string
	Timeout *int
	// Warn is told beforehand that PID 1 has no handler for the signal, so that the whole grace period will pass; may be nil.
	Warn func(message string)
}

func (c *Containers) Stop(ctx context.Context, id string, o StopOptions) error    { return errStub }
func (c *Containers) Restart(ctx context.Context, id string, o StopOptions) error { return errStub }
func (c *Containers) Kill(id, signal string) error                                { return errStub }
func (c *Containers) Pause(id string) error                                       { return errStub }
func (c *Containers) Unpause(id string) error                                     { return errStub }
func (c *Containers) Rename(id, name string) error                                { return errStub }

// Remove deletes a container; force kills it first; volumes are for a later issue and accepted.
func (c *Containers) Remove(ctx context.Context, id string, force, volumes bool) error {
	return errStub
}

// Wait returns the exit code when the container is not running (condition as Docker's: "", "next-exit", "removed").
func (c *Containers) Wait(ctx context.Context, id string) (int, error) { return 0, errStub }

// Update changes limits live and in the record.
func (c *Containers) Update(id string, u container.UpdateConfig) (warnings []string, err error) {
	return nil, errStub
}

// Resize sets the size of the container's terminal.
func (c *Containers) Resize(id string, s Size) error { return errStub }

// Top lists the container's processes as ps(1) does: titles and rows.
func (c *Containers) Top(id string, psArgs []string) (container.TopResponse, error) {
	return container.TopResponse{}, errStub
}

// LogOptions is `logs`; Tail -1 means all.
type LogOptions struct {
	Follow       bool
	Tail         int
	Timestamps   bool
	Details      bool
	Since, Until time.Time
}

func (c *Containers) Logs(ctx context.Context, id string, o LogOptions, stdout, stderr io.Writer) error {
	return errStub
}

// Prune removes stopped containers.
func (c *Containers) Prune(f filters.Args) (container.PruneReport, error) {
	return container.PruneReport{}, errStub
}

// Cleanup is the monitor's last act: what has to happen when a container ended by itself (--rm, records).
func (c *Containers) Cleanup(id string) error { return errStub }

// ImageSummaries is `images` in Docker's type; ImageInspect and ImageHistory likewise.
func (e *Engine) ImageSummaries(all bool, f filters.Args) ([]dockerimage.Summary, error) {
	return nil, errStub
}
func (e *Engine) ImageInspect(ref string) (dockerimage.InspectResponse, error) {
	return dockerimage.InspectResponse{}, errStub
}

// ImageRemove is `rmi`: Docker's conflicts with containers that use the image are checked here.
func (e *Engine) ImageRemove(ref string, force bool) ([]dockerimage.DeleteResponse, error) {
	return nil, errStub
}

// System is `info` and `version`.
type System struct{}

func (s *System) Info() (system.Info, error) { return system.Info{}, errStub }
