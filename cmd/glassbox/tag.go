package main

import "context"

func tagVerb() verb {
	return verb{
		use: "tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", same: "image tag, tag",
		short: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE", min: 2, max: 2, bare: true, group: commands, offers: offerImages,
		prepare: func(c *call) action {
			return func(ctx context.Context, args []string) error {
				b, err := c.backend()
				if err != nil {
					return err
				}
				return engineFailure(b.images.Tag(args[0], args[1]))
			}
		},
	}
}
