package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"glassbox/image"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/manifest/store"
	"github.com/docker/cli/cli/manifest/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// manifestVerbs are about lists of images for several platforms. Those that are being made lie where Docker's client keeps them.
func manifestVerbs() []verb {
	return []verb{manifestAnnotateVerb(), manifestCreateVerb(), manifestInspectVerb(), manifestPushVerb(), manifestRmVerb()}
}

func manifestLists() store.Store { return store.NewStore(filepath.Join(config.Dir(), "manifests")) }

// manifestRef reads a name: without tag or digest, the tag latest.
func manifestRef(name string) (reference.Named, error) {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, err
	}
	if _, digested := ref.(reference.Canonical); digested {
		return ref, nil
	}
	return reference.TagNameOnly(ref), nil
}

func manifestCreateVerb() verb {
	return verb{
		use: "create MANIFEST_LIST MANIFEST [MANIFEST...]", short: "Create a local manifest list for annotating and pushing to a registry", min: 2, max: -1,
		prepare: func(c *call) action {
			amend := c.flags.BoolP("amend", "a", false, "Amend an existing manifest list")
			insecure := c.flags.Bool("insecure", false, "Allow communication with an insecure registry")
			return func(ctx context.Context, args []string) error {
				return c.createManifest(ctx, args[0], args[1:], *amend, *insecure)
			}
		},
	}
}

func (c *call) createManifest(ctx context.Context, name string, images []string, amend, insecure bool) error {
	list, err := manifestRef(name)
	if err != nil {
		return plainFailure("error parsing name for manifest list %s: %w", name, err)
	}
	lists := manifestLists()
	if _, err := lists.GetList(list); err == nil && !amend {
		return plainFailure("refusing to amend an existing manifest list with no --amend flag")
	} else if err != nil && !store.IsNotFound(err) {
		return plainFailure("%w", err)
	}
	for _, name := range images {
		ref, err := manifestRef(name)
		if err != nil {
			return plainFailure("%w", err)
		}
		one, err := lists.Get(list, ref)
		if err != nil && !store.IsNotFound(err) {
			return plainFailure("%w", err)
		}
		if err != nil || len(one.Raw) == 0 {
			if one, err = c.oneManifest(ctx, ref, insecure); err != nil {
				return err
			}
		}
		if err := lists.Save(list, ref, one); err != nil {
			return plainFailure("%w", err)
		}
	}
	fmt.Fprintln(c.stdout, "Created manifest list", list)
	return nil
}

// oneManifest asks the registry for one image.
func (c *call) oneManifest(ctx context.Context, ref reference.Named, insecure bool) (one types.ImageManifest, err error) {
	b, err := c.backend()
	if err != nil {
		return one, err
	}
	all, isList, err := b.images.Manifests(ctx, ref, insecure)
	if err != nil {
		return one, manifestFailure(ctx, err)
	}
	if isList {
		return one, plainFailure("%s is a manifest list", ref)
	}
	return all[0], nil
}

// manifestFailure is an error that Docker's client, which talks to registries itself here, prints as it is.
func manifestFailure(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return plainFailure("%w", err)
}

func manifestInspectVerb() verb {
	return verb{
		use: "inspect [OPTIONS] [MANIFEST_LIST] MANIFEST", short: "Display an image manifest, or manifest list", min: 1, max: 2, offers: offerImages,
		prepare: func(c *call) action {
			insecure := c.flags.Bool("insecure", false, "Allow communication with an insecure registry")
			verbose := c.flags.BoolP("verbose", "v", false, "Output additional info including layers and platform")
			return func(ctx context.Context, args []string) error {
				slices.Reverse(args)
				return c.inspectManifest(ctx, args[0], append(args, "")[1], *verbose, *insecure)
			}
		},
	}
}

func (c *call) inspectManifest(ctx context.Context, name, list string, verbose, insecure bool) error {
	ref, err := manifestRef(name)
	if err != nil {
		return plainFailure("%w", err)
	}
	if list != "" {
		of, err := manifestRef(list)
		if err != nil {
			return plainFailure("%w", err)
		}
		one, err := manifestLists().Get(of, ref)
		if err != nil {
			return plainFailure("%w", err)
		}
		return c.printManifest(one, verbose)
	}
	if all, err := manifestLists().GetList(ref); err == nil {
		return c.printManifests(ref, all, verbose)
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	all, isList, err := b.images.Manifests(ctx, ref, insecure)
	if err != nil {
		return manifestFailure(ctx, err)
	}
	if isList {
		return c.printManifests(ref, all, verbose)
	}
	return c.printManifest(all[0], verbose)
}

func (c *call) printManifest(one types.ImageManifest, verbose bool) error {
	if verbose {
		return c.printIndented(one)
	}
	_, raw, err := one.Payload()
	var b bytes.Buffer
	if err == nil {
		err = json.Indent(&b, raw, "", "\t")
	}
	if err != nil {
		return plainFailure("%w", err)
	}
	fmt.Fprintln(c.stdout, b.String())
	return nil
}

func (c *call) printManifests(ref reference.Named, all []types.ImageManifest, verbose bool) error {
	if verbose {
		return c.printIndented(all)
	}
	list, err := image.ManifestList(ref, all)
	if err != nil {
		return plainFailure("failed to assemble ManifestDescriptor: %w", err)
	}
	raw, err := list.MarshalJSON()
	if err != nil {
		return plainFailure("%w", err)
	}
	fmt.Fprintln(c.stdout, string(raw))
	return nil
}

func (c *call) printIndented(v any) error {
	raw, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return plainFailure("%w", err)
	}
	fmt.Fprintln(c.stdout, string(raw))
	return nil
}

func manifestPushVerb() verb {
	return verb{
		use: "push [OPTIONS] MANIFEST_LIST", short: "Push a manifest list to a repository", min: 1, max: 1,
		prepare: func(c *call) action {
			insecure := c.flags.Bool("insecure", false, "Allow push to an insecure registry")
			purge := c.flags.BoolP("purge", "p", false, "Remove the local manifest list after push")
			return func(ctx context.Context, args []string) error { return c.pushManifest(ctx, args[0], *purge, *insecure) }
		},
	}
}

func (c *call) pushManifest(ctx context.Context, name string, purge, insecure bool) error {
	ref, err := manifestRef(name)
	if err != nil {
		return plainFailure("%w", err)
	}
	all, err := manifestLists().GetList(ref)
	if err != nil {
		return plainFailure("%w", err)
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	if err := b.images.PushManifests(ctx, ref, all, insecure, c.stdout); err != nil {
		return manifestFailure(ctx, err)
	}
	if purge {
		return manifestFailure(ctx, manifestLists().Remove(ref))
	}
	return nil
}

func manifestRmVerb() verb {
	return verb{
		use: "rm MANIFEST_LIST [MANIFEST_LIST...]", short: "Delete one or more manifest lists from local storage", min: 1, max: -1,
		prepare: func(c *call) action {
			return func(ctx context.Context, args []string) error {
				var errs []error
				for _, name := range args {
					if err := removeManifest(name); err != nil {
						errs = append(errs, plainFailure("%w", err))
					}
				}
				return errors.Join(errs...)
			}
		},
	}
}

func removeManifest(name string) error {
	ref, err := manifestRef(name)
	if err == nil {
		_, err = manifestLists().GetList(ref)
	}
	if err != nil {
		return err
	}
	return manifestLists().Remove(ref)
}

func manifestAnnotateVerb() verb {
	return verb{
		use: "annotate [OPTIONS] MANIFEST_LIST MANIFEST", short: "Add additional information to a local image manifest", min: 2, max: 2,
		prepare: func(c *call) action {
			var p ocispec.Platform
			c.flags.StringVar(&p.Architecture, "arch", "", "Set architecture")
			c.flags.StringVar(&p.OS, "os", "", "Set operating system")
			c.flags.StringSliceVar(&p.OSFeatures, "os-features", []string{}, "Set operating system feature")
			c.flags.StringVar(&p.OSVersion, "os-version", "", "Set operating system version")
			c.flags.StringVar(&p.Variant, "variant", "", "Set architecture variant")
			return func(ctx context.Context, args []string) error { return annotateManifest(args[0], args[1], p) }
		},
	}
}

func annotateManifest(list, name string, set ocispec.Platform) error {
	of, err := manifestRef(list)
	if err != nil {
		return plainFailure("annotate: error parsing name for manifest list %s: %w", list, err)
	}
	ref, err := manifestRef(name)
	if err != nil {
		return plainFailure("annotate: error parsing name for manifest %s: %w", name, err)
	}
	one, err := manifestLists().Get(of, ref)
	if store.IsNotFound(err) {
		return plainFailure("manifest for image %s does not exist in %s", name, list)
	}
	if err != nil {
		return plainFailure("%w", err)
	}
	if one.Descriptor.Platform == nil {
		one.Descriptor.Platform = &ocispec.Platform{}
	}
	p := one.Descriptor.Platform
	for _, f := range []struct{ to, from *string }{{&p.OS, &set.OS}, {&p.Architecture, &set.Architecture}, {&p.Variant, &set.Variant}, {&p.OSVersion, &set.OSVersion}} {
		if *f.from != "" {
			*f.to = *f.from
		}
	}
	for _, f := range set.OSFeatures {
		if !slices.Contains(p.OSFeatures, f) {
			p.OSFeatures = append(p.OSFeatures, f)
		}
	}
	if !slices.Contains(platformsKnown[p.OS], p.Architecture) {
		return plainFailure("manifest entry for image has unsupported os/arch combination: %s/%s", set.OS, set.Architecture)
	}
	if err := manifestLists().Save(of, ref, one); err != nil {
		return plainFailure("%w", err)
	}
	return nil
}

// platformsKnown are the systems and architectures that Docker lets a list name.
var platformsKnown = map[string][]string{
	"darwin":    {"386", "amd64", "arm", "arm64"},
	"dragonfly": {"amd64"},
	"freebsd":   {"386", "amd64", "arm"},
	"linux":     {"386", "amd64", "arm", "arm64", "ppc64le", "mips64", "mips64le", "riscv64", "s390x"},
	"netbsd":    {"386", "amd64", "arm"},
	"openbsd":   {"386", "amd64", "arm"},
	"plan9":     {"386", "amd64"},
	"solaris":   {"amd64"},
	"windows":   {"386", "amd64"},
}
