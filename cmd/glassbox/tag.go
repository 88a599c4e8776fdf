package main

import (
	"context"

	"github.com/distribution/reference"
)

func tagVerb() verb {
	return verb{
		use: "tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", same: "image tag, tag",
		short: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE", min: 2, max: 2, bare: true, group: commands, offers: offerImages,
		prepare: func(c *call) action {
			return func(ctx context.Context, args []string) error {
				if err := checkTag(args[0], args[1]); err != nil {
					return err
				}
				b, err := c.backend()
				if err != nil {
					return err
				}
				return engineFailure(b.images.Tag(args[0], args[1]))
			}
		},
	}
}

// checkTag words what Docker's client says before it asks the engine.
func checkTag(source, target string) error {
	if _, err := reference.ParseAnyReference(source); err != nil {
		return plainFailure("Error parsing reference: %q is not a valid repository/tag: %w", source, err)
	}
	if _, err := reference.ParseNormalizedNamed(target); err != nil {
		return plainFailure("Error parsing reference: %q is not a valid repository/tag: %w", target, err)
	}
	return nil
}
