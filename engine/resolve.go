package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"glassbox/image"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"
)

// resolve finds the image, and pulls it where Options.Pull says so.
func (c *Containers) resolve(ctx context.Context, o *Options) (*image.Image, error) {
	switch o.Pull {
	case "", "missing", "never", "always":
	default:
		return nil, invalid(`invalid pull option: '%s': must be one of "always", "missing" or "never"`, o.Pull)
	}
	if o.Pull != "always" {
		img, err := c.images.Resolve(o.Config.Image)
		var missing *image.NotFound
		if err == nil && o.Platform != "" && !runsOn(img, o.Platform) {
			err = &image.NotFound{Ref: o.Config.Image}
		}
		if !errors.As(err, &missing) {
			return img, err
		}
		if o.Pull == "never" {
			return c.unpulled(o, err)
		}
	}
	return c.pull(ctx, o)
}

// unpulled is an image that no registry was to be asked for: the one of that name that this program carries, or none.
func (c *Containers) unpulled(o *Options, missing error) (*image.Image, error) {
	none := &Error{Class: NotFound, Text: missing.Error(), Cause: missing}
	named, err := reference.ParseNormalizedNamed(o.Config.Image)
	if err != nil || o.Platform != "" {
		return nil, none
	}
	img, err := c.builtin(reference.TagNameOnly(named))
	if img == nil && err == nil {
		return nil, none
	}
	return img, err
}

// builtin is the built-in image of that name; nil when there is none.
func (c *Containers) builtin(named reference.Named) (*image.Image, error) {
	if tag, tagged := named.(reference.Tagged); !tagged || tag.Tag() != "latest" {
		return nil, nil
	}
	img, _, err := c.images.Builtin(reference.FamiliarName(named))
	return img, err
}

// BaseOptions say which image a build begins with, or takes files from.
type BaseOptions struct {
	Name     string
	Platform string // empty: any that is here
	Pull     bool   // ask the registry even if it is here
	Here     bool   // never ask it
	Out      io.Writer
}

// BaseImage finds the image, here or at its registry.
func (e *Engine) BaseImage(ctx context.Context, o BaseOptions) (*image.Image, error) {
	q := &Options{Config: &container.Config{Image: o.Name}, Platform: o.Platform, Progress: o.Out}
	if !o.Pull || o.Here {
		q.Pull = "never"
		img, err := e.Containers.resolve(ctx, q)
		if o.Here || !Is(err, NotFound) {
			return img, err
		}
	}
	q.Pull = "always" // which says nothing of images that are not found
	return e.Containers.pull(ctx, q)
}

func runsOn(img *image.Image, platform string) bool {
	have := img.Config.OS + "/" + img.Config.Architecture
	return platform == have || platform == have+"/"+img.Config.Variant || platform == img.Config.Architecture
}

// pull asks the registry. When that cannot be reached, the built-in image of that name serves instead.
func (c *Containers) pull(ctx context.Context, o *Options) (*image.Image, error) {
	named, err := reference.ParseNormalizedNamed(o.Config.Image)
	if err != nil {
		return nil, &Error{Class: InvalidParameter, Text: err.Error(), Cause: err}
	}
	named = reference.TagNameOnly(named)
	out := o.Progress
	if out == nil {
		out = io.Discard
	}
	if o.Pull != "always" && !o.Quiet {
		fmt.Fprintf(out, "Unable to find image '%s' locally\n", reference.FamiliarString(named))
	}
	if o.Quiet {
		out = io.Discard
	}
	img, err := c.images.Pull(ctx, named, image.PullOptions{Platform: o.Platform, Quiet: o.Quiet, Implicit: true, Out: out, Terminal: o.Terminal})
	var unreachable *image.Unreachable
	if errors.As(err, &unreachable) && o.Platform == "" {
		builtin, failed := c.builtin(named)
		if builtin == nil && failed == nil {
			return nil, err
		}
		if o.Progress != nil {
			fmt.Fprintf(o.Progress, "The registry cannot be reached (%v): using the image %s that is built into glassbox\n", unreachable, reference.FamiliarString(named))
		}
		return builtin, failed
	}
	return img, err
}
