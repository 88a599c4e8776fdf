package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"glassbox/store"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// record is what a container was asked to be: its container.json. What became of it is in state.json.
type record struct {
	ID         string
	Name       string // without the slash that Docker shows
	Created    time.Time
	Path       string // entrypoint and command, put together
	Args       []string
	Image      digest.Digest // empty with Rootfs
	Lower      []string      // the image's unpacked layers, topmost first
	Rootfs     string        // a plain directory instead of an image
	Config     *container.Config
	HostConfig *container.HostConfig
	Mounts     []mountPoint
	IDMap      []specs.LinuxIDMapping // the user namespace's; empty: none
	Range      string                 // the claimed block that IDMap came from, with --userns auto
	TimeOffset map[string]int64
	Cgroup     map[string]string // files of its group that were set by their names; Docker's HostConfig has no place for them
	Explain    bool
	Without    string                               // an experiment: the mechanism that its start leaves out
	Build      string                               // the build, store.Root.Build, of which it is a step: it ends and goes with who builds
	Size       int64                                // how much it may write: --storage-opt size; 0: no limit
	Project    uint32                               // the quota's project id
	Init       string                               // the program that --init puts at PID 1
	Networks   map[string]*network.EndpointSettings // what it asked of networks, by their names; nil: only to be on that of its mode
	Links      []legacyLink                         // on the default bridge

	step     *StepOptions // as long as the RUN of a build goes on whose container this is
	place    store.Place
	linkVars []string // what links add to the environment of a start or exec
}

// passing: the container goes when it has ended.
func (r *record) passing() bool { return r.HostConfig.AutoRemove || r.Build != "" }

// short is the id as tables show it.
func (r *record) short() string { return r.ID[:12] }

func (r *record) save() error { return store.Write(r.place.Document(), r) }

// load reads a container's document by what the user typed.
func (c *Containers) load(ref string) (*record, error) {
	id, err := c.find(ref)
	if err != nil {
		return nil, err
	}
	return c.named(id, ref)
}

// named reads the document of id, which was found as ref. A name whose document says otherwise is the rest of a rename or a
// removal that was interrupted.
func (c *Containers) named(id, ref string) (*record, error) {
	r, err := c.read(id)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !strings.HasPrefix(id, ref) && r.Name != strings.TrimPrefix(ref, "/") {
		return nil, notFound(ref)
	}
	return r, err
}

func (c *Containers) find(ref string) (string, error) {
	if ref == "" {
		return "", invalid("invalid name or ID supplied: %q", ref)
	}
	id, err := c.root.Find(ref)
	switch {
	case errors.Is(err, store.ErrAmbiguous):
		return "", invalid("%w: %s", err, ref)
	case errors.Is(err, fs.ErrNotExist):
		return "", notFound(ref)
	}
	return id, err
}

func (c *Containers) read(id string) (*record, error) {
	r := &record{place: c.root.Container(id)}
	if err := store.Read(r.place.Document(), r); err != nil {
		return nil, err
	}
	if r.ID != id || r.Config == nil || r.HostConfig == nil {
		return nil, fmt.Errorf("%s is not the document of container %s", r.place.Document(), id)
	}
	return r, nil
}

// lockWait is how long a command waits for another one that works on the same container. Stopping takes longest.
const lockWait = 2 * time.Minute

// lock waits for the container's lock, but not for somebody who steps through its start: that can take an hour.
func (c *Containers) lock(ctx context.Context, p store.Place, ref string) (*store.Lock, error) {
	for {
		soon, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		lock, err := store.Exclusive(soon, p.Dir)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return lock, err
		}
		h, err := haltedAt(p)
		if err != nil {
			return nil, err
		}
		if h != nil {
			return nil, h.busy(ref)
		}
	}
}

// locked loads a container and keeps everybody else from changing it until the lock is released.
func (c *Containers) locked(ctx context.Context, ref string) (*record, *store.Lock, error) {
	id, err := c.find(ref)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	lock, err := c.lock(ctx, c.root.Container(id), ref)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, notFound(ref)
	}
	if err != nil {
		return nil, nil, err
	}
	// Read only now: while we waited it may have been changed or removed.
	r, err := c.named(id, ref)
	if err != nil {
		return nil, nil, errors.Join(err, lock.Release())
	}
	return r, lock, nil
}
