package main

import (
	"context"
	"os"

	"glassbox/image"

	"github.com/distribution/reference"
)

func pullVerb() verb {
	return verb{
		use: "pull [OPTIONS] NAME[:TAG|@DIGEST]", same: "image pull, pull",
		short: "Download an image from a registry", min: 1, max: 1, group: common, offers: offerImages,
		prepare: func(c *call) action {
			all := c.flags.BoolP("all-tags", "a", false, "Download all tagged images in the repository")
			quiet := c.flags.BoolP("quiet", "q", false, "Suppress verbose output")
			platform := c.flags.String("platform", os.Getenv("DOCKER_DEFAULT_PLATFORM"), "Set platform if server is multi-platform capable")
			trusting := c.flags.Bool("disable-content-trust", true, "Skip image verification")
			_ = c.flags.MarkHidden("disable-content-trust")
			own(c.flags, "disable-content-trust", "Skip image verification")
			return func(ctx context.Context, args []string) error {
				if !*trusting {
					return plainFailure("--disable-content-trust=false: this build verifies digests, not Notary signatures")
				}
				return c.pull(ctx, args[0], *platform, *quiet, *all)
			}
		},
	}
}

func (c *call) pull(ctx context.Context, name, platform string, quiet, all bool) error {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return plainFailure("%w", err)
	}
	if all && !reference.IsNameOnly(ref) {
		return plainFailure("tag can't be used with --all-tags/-a")
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	if _, err := b.images.Pull(ctx, ref, image.PullOptions{
		Platform: platform, All: all, Quiet: quiet, Out: c.stdout, Terminal: isTerminal(c.stdout),
	}); err != nil {
		return waitFailure(ctx, err)
	}
	return nil
}
