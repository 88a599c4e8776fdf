package engine

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"glassbox/archive"
	"glassbox/image"
	"glassbox/store"

	"github.com/docker/docker/api/types/container"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// StepOptions say in what a RUN of a build runs.
type StepOptions struct {
	Base       *image.Image // nil: nothing, FROM scratch
	Config     *container.Config
	HostConfig *container.HostConfig
	Env        []string // of the process, in place of what Config has: in no file, and no inspect
	Mounts     []StepMount

	shown []specs.Mount // those, as config.json has them
}

// Step is the container in which one RUN of a build runs: one as all others, but for its end, which comes with that of the build if not before. When
// its process has ended, what that has written is taken out of it.
type Step struct {
	c    *Containers
	r    *record
	live Attachment
}

// Step makes the container and starts nothing.
func (w *Work) Step(ctx context.Context, o StepOptions) (*Step, error) {
	c := w.builds.containers
	r, _, err := c.prepare(ctx, &Options{Config: o.Config, HostConfig: o.HostConfig, step: &o})
	if err != nil {
		return nil, err
	}
	r.Build = w.name
	if err := w.place.Containers(w.name).Claim(r.ID, r.ID, nil); err != nil {
		return nil, err
	}
	if err := c.establish(r, ""); err != nil {
		return nil, err
	}
	c.tell(r, "create")
	return &Step{c: c, r: r}, nil
}

// stepBase is what the file tree of a build's container is made of.
func (c *Containers) stepBase(r *record, o *StepOptions) error {
	scaffold, err := c.initLayer()
	if err != nil {
		return err
	}
	if r.step = o; r.Config.Labels == nil {
		r.Config.Labels = map[string]string{}
	}
	if o.Base == nil {
		r.Lower = []string{scaffold}
		return nil
	}
	r.Image = o.Base.ID
	layers, err := c.images.Layers(o.Base)
	r.Lower = append(slices.Clip(layers.Lower), scaffold)
	return err
}

// ID is the container's.
func (s *Step) ID() string { return s.r.ID }

// Run runs the container's process to its end. When ctx ends before, the process is killed.
func (s *Step) Run(ctx context.Context, out, errs io.Writer) (code int, err error) {
	a := &attachment{containers: s.c, streams: Streams{Out: out, Err: errs}}
	if err = s.start(ctx, a); err == nil {
		code, err = a.Run(ctx)
	}
	if err != nil && s.live != nil {
		err = errors.Join(err, s.kill())
	}
	return code, err
}

func (s *Step) start(ctx context.Context, a *attachment) error {
	lock, err := store.Exclusive(ctx, s.r.place.Dir)
	if err != nil {
		return err
	}
	defer lock.Release()
	client, _, err := s.c.startHeld(context.Background(), s.r, a.connect)
	if err != nil {
		err = errors.Join(err, a.hangUp())
	}
	if client != nil {
		s.c.promise(s.r.ID, client)
		s.live = a
	}
	return errors.Join(err, s.r.dropSecrets())
}

// kill ends the process, and waits until it has.
func (s *Step) kill() error {
	if err := s.c.Kill(context.Background(), s.r.ID, KillOptions{}); err != nil && !Is(err, Conflict) && !Is(err, NotFound) {
		return err
	}
	_, err := s.c.Wait(context.Background(), s.r.ID)
	return unlessRemoved(err)
}

// Take moves what the process has written to a directory that does not exist yet, on the store's file system. The container is of no use after it.
func (s *Step) Take(to string) error { return os.Rename(s.r.place.Upper(), to) }

// Copy is Take for a container that stays.
func (s *Step) Copy(to string) error {
	from, err := os.Open(s.r.place.Upper())
	if err != nil {
		return err
	}
	defer from.Close()
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	dir, err := os.Open(to)
	if err != nil {
		return err
	}
	defer dir.Close()
	_, err = archive.Copy(dir, from)
	return err
}

// Close cleans up after the container, which goes unless keep says that it stays, for `ps -a`.
func (s *Step) Close(keep bool) error {
	var err error
	if s.live != nil {
		err = s.live.Close()
	}
	if keep {
		err = errors.Join(err, s.keep())
	}
	switch {
	case s.live != nil:
		err = errors.Join(err, s.c.Cleanup(s.r.ID))
	case !keep:
		err = errors.Join(err, s.c.Remove(context.Background(), s.r.ID, true, true))
	}
	return unlessRemoved(err)
}

// keep makes it a container as all others.
func (s *Step) keep() error {
	lock, err := store.Exclusive(context.Background(), s.r.place.Dir)
	if err != nil {
		return err
	}
	s.r.Build = ""
	return errors.Join(s.r.clearWork(), s.r.save(), lock.Release())
}

// clearWork makes the work directory anew: in that of an overlay which was not synced at its end, overlayfs leaves a mark, and mounts it no more.
func (r *record) clearWork() error {
	if err := os.RemoveAll(r.place.Work()); err != nil {
		return err
	}
	return os.Mkdir(r.place.Work(), 0o700)
}

// unlessRemoved: a container that somebody else has removed needs nothing any more.
func unlessRemoved(err error) error {
	if Is(err, NotFound) {
		return nil
	}
	return err
}
