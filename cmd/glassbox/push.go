package main

import (
	"context"
	"errors"
	"fmt"

	"glassbox/image"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
)

// pushFlags are those of push.
type pushFlags struct {
	all, quiet, untrusted bool
	platform              string
}

func pushVerb() verb {
	return verb{
		use: "push [OPTIONS] NAME[:TAG]", same: "image push, push",
		short: "Upload an image to a registry", min: 1, max: 1, group: common, offers: offerImages,
		prepare: func(c *call) action {
			var f pushFlags
			c.flags.BoolVarP(&f.all, "all-tags", "a", false, "Push all tags of an image to the repository")
			c.flags.BoolVarP(&f.quiet, "quiet", "q", false, "Suppress verbose output")
			c.flags.BoolVar(&f.untrusted, "disable-content-trust", true, "Skip image signing")
			_ = c.flags.MarkHidden("disable-content-trust")
			own(c.flags, "disable-content-trust", "Skip image signing")
			c.flags.StringVar(&f.platform, "platform", "", `Push a platform-specific manifest as a single-platform image to the registry.
Image index won't be pushed, meaning that other manifests, including attestations won't be preserved.
'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)`)
			return func(ctx context.Context, args []string) error { return c.push(ctx, args[0], f) }
		},
	}
}

func (c *call) push(ctx context.Context, name string, f pushFlags) error {
	if !f.untrusted {
		return plainFailure("--disable-content-trust=false: this build does not sign with Notary")
	}
	if f.platform != "" {
		if _, err := platforms.Parse(f.platform); err != nil {
			fmt.Fprintf(c.stderr, "Invalid platform %s", f.platform)
			return plainFailure("%w", err)
		}
		c.note(c.stdout, `Using --platform pushes only the specified platform manifest of a multi-platform image index.
Other components, like attestations, will not be included.
To push the complete multi-platform image, remove the --platform flag.
`)
	}
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return plainFailure("%w", err)
	}
	if _, digested := ref.(reference.Digested); digested {
		return plainFailure("cannot push a digest reference")
	}
	switch {
	case f.all && !reference.IsNameOnly(ref):
		return plainFailure("tag can't be used with --all-tags/-a")
	case !f.all && reference.IsNameOnly(ref):
		ref = reference.TagNameOnly(ref)
		if !f.quiet {
			fmt.Fprintln(c.stdout, "Using default tag: latest")
		}
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	pushed, err := b.images.Push(ctx, ref, image.PushOptions{
		All: f.all, Platform: f.platform, Quiet: f.quiet, Out: c.stdout, Terminal: isTerminal(c.stdout),
	})
	for _, p := range pushed {
		if p.Instead != "" {
			c.note(c.stdout, fmt.Sprintf("Not all multiplatform-content is present and only the available single-platform image was pushed\n%s -> %s", p.Instead, p.Digest))
		}
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	var unstarted *image.Unstarted
	if err == nil || errors.As(err, &unstarted) {
		return engineFailure(err)
	}
	return plainFailure("%w", err) // Docker tells it where the progress was
}
