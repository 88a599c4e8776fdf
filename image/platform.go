package image

import (
	"fmt"
	"runtime"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// thisPlatform is what this machine runs.
func thisPlatform() ocispec.Platform {
	p := ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	if p.Architecture == "arm64" {
		p.Variant = "v8"
	}
	return p
}

// parsePlatform reads os/architecture[/variant], or one of the first two, as `--platform` takes it.
func parsePlatform(s string) (ocispec.Platform, error) {
	if s == "" {
		return thisPlatform(), nil
	}
	return platforms.Parse(s)
}

// architecture gives the Go name of an architecture and variant known under others.
func architecture(arch, variant string) (string, string) {
	switch arch {
	case "i386":
		return "386", ""
	case "x86_64", "x86-64":
		return "amd64", variant
	case "aarch64":
		arch = "arm64"
	case "armhf":
		return "arm", "v7"
	case "armel":
		return "arm", "v6"
	}
	if len(variant) == 1 && variant[0] >= '5' && variant[0] <= '9' {
		variant = "v" + variant
	}
	return arch, variant
}

func formatPlatform(p ocispec.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// fit says how well an offer serves: 0 not at all, more is better. An older variant of arm runs on a newer one.
func fit(want ocispec.Platform, offer *ocispec.Platform) int {
	if offer == nil || offer.OS != want.OS {
		return 0
	}
	arch, variant := architecture(offer.Architecture, offer.Variant)
	if arch != want.Architecture {
		return 0
	}
	a, b := level(arch, want.Variant), level(arch, variant)
	if b > a {
		return 0
	}
	return 1 + b
}

// level orders the variants of an architecture; one that is not named is the usual.
func level(arch, variant string) int {
	if variant == "" {
		switch arch {
		case "arm":
			return 7
		case "arm64":
			return 8
		}
		return 1
	}
	n := 0
	fmt.Sscanf(variant, "v%d", &n)
	return n
}

// choose picks the manifest for a platform from a manifest list.
func choose(list []ocispec.Descriptor, want ocispec.Platform) (ocispec.Descriptor, error) {
	best, at := 0, -1
	for i, d := range list {
		if f := fit(want, d.Platform); f > best {
			best, at = f, i
		}
	}
	if at < 0 {
		return ocispec.Descriptor{}, fmt.Errorf("no matching manifest for %s in the manifest list entries", formatPlatform(want))
	}
	return list[at], nil
}
