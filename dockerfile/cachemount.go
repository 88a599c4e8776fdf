package dockerfile

import (
	"context"
	"os"
	"path"
	"strings"

	"glassbox/engine"
	"glassbox/source"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// cache is the directory of --mount=type=cache: it stays from build to build.
func (s *scene) cache(ctx context.Context, m *instructions.Mount, shown *engine.StepMount) error {
	o := engine.CacheOptions{ID: m.CacheID, Sharing: string(m.CacheSharing)}
	if o.ID == "" {
		o.ID = path.Clean(m.Target)
	}
	var from *source.Tree
	if m.From != "" && m.From != "scratch" {
		img, err := s.run.from(ctx, m.From)
		if err != nil {
			return err
		}
		if img != nil {
			tree, done, err := s.build.tree(ctx, img)
			if err != nil {
				return err
			}
			s.ends = append(s.ends, done)
			from, o.From = tree, img.ID.String()+" "+path.Join("/", m.Source)
		}
	}
	uid, gid, mode := owner(m, 0o755)
	if from == nil {
		shown.Subpath = path.Join("/", m.Source)
		o.From = strings.Join([]string{number(m.UID), number(m.GID), number(m.Mode)}, ":")
	}
	o.Fill = func(dir string) error {
		if from != nil {
			return s.build.copyInto(ctx, dir, &source.Order{From: from, Paths: []string{path.Join("/", m.Source)}})
		}
		dir += "/" + copyName
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := os.Chown(dir, uid, gid); err != nil {
			return err
		}
		return os.Chmod(dir, mode)
	}
	c, err := s.build.engine.Builds.Cache(ctx, o)
	if err != nil {
		return err
	}
	s.ends = append(s.ends, c.Release)
	shown.Source = c.Dir + "/" + copyName
	return nil
}
