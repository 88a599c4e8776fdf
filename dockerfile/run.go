package dockerfile

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"glassbox/engine"
	"glassbox/progress"
	"glassbox/store"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/strslice"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// Exited is a RUN whose process ended with another code than 0.
type Exited struct {
	Args []string
	Code int
}

func (e *Exited) Error() string {
	return fmt.Sprintf("The command '%s' returned a non-zero code: %d", strings.Join(e.Args, " "), e.Code)
}

// run runs a RUN in a container of its own, and returns the directory of what it wrote, an overlay's upper, which is the caller's now. As in Docker,
// the container of a RUN that fails stays, to be looked at, unless --force-rm; one that is broken off goes. after waits until the container is gone,
// which need not be waited for before the layer is made.
func (b *build) run(ctx context.Context, r running, w progress.Work) (upper string, after func() error, err error) {
	shows, err := b.scene(ctx, r)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, shows.end()) }()
	s, err := b.work.Step(ctx, engine.StepOptions{
		Base: r.base, Config: r.processConfig(), HostConfig: b.hostConfig(r), Env: shows.env, Mounts: shows.mounts,
	})
	if err != nil {
		return "", nil, err
	}
	w.Running(s.ID())
	code, err := s.Run(ctx, w.Stdout(), w.Stderr())
	if err == nil && code != 0 {
		err = &Exited{Args: r.config.Cmd, Code: code}
	}
	if err != nil {
		return "", nil, b.leave(s, ctx.Err() == nil && !b.ForceRemove, w, err)
	}
	upper = filepath.Join(b.work.Dir, store.NewID()[:16])
	take := s.Take
	if b.Keep {
		take = s.Copy
	}
	if err := take(upper); err != nil {
		return "", nil, b.leave(s, false, w, err)
	}
	left := make(chan error, 1)
	go func() { left <- s.Close(b.Keep) }()
	return upper, func() error {
		err := <-left
		if err == nil && !b.Keep {
			w.Removed(s.ID())
		}
		return err
	}, nil
}

// leave is done with a container.
func (b *build) leave(s *engine.Step, keep bool, w progress.Work, cause error) error {
	err := s.Close(keep)
	if err == nil && !keep {
		w.Removed(s.ID())
	}
	if err == nil {
		return cause
	}
	return errors.Join(cause, err)
}

// processConfig is the container's: what the image will have, and the build arguments. Health is not looked at during a build.
func (r *running) processConfig() *container.Config {
	k := *r.config
	k.Env = slices.Concat(r.config.Env, r.args)
	k.Entrypoint = strslice.StrSlice{""} // not nil: the image's would be taken
	k.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
	if r.base != nil {
		k.Image = r.base.ID.String()
	}
	return &k
}

// hostConfig is what the builder decides of it.
func (b *build) hostConfig(r running) *container.HostConfig {
	network := instructions.GetNetwork(r.command)
	if network == instructions.NetworkDefault && b.Network != "" {
		network = b.Network
	}
	security := b.Security
	if r.insecure {
		security = append(slices.Clip(security), "seccomp=unconfined", "apparmor=unconfined")
	}
	return &container.HostConfig{
		Resources: b.Resources, SecurityOpt: security, Privileged: r.insecure, ShmSize: b.ShmSize, ExtraHosts: b.ExtraHosts, NetworkMode: container.NetworkMode(network),
		LogConfig: container.LogConfig{Type: "none"},
	}
}
