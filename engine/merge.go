package engine

import (
	"strings"

	"glassbox/image"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// merge fills in what the user left open with what the image says, as Docker does: an entrypoint of the user's drops
// the image's command, environment is merged by name, labels, ports and volumes are united.
func merge(c *container.Config, img ocispec.ImageConfig, d image.DockerConfig) {
	c.User = either(c.User, img.User)
	c.WorkingDir = either(c.WorkingDir, img.WorkingDir)
	c.StopSignal = either(c.StopSignal, img.StopSignal)
	c.Env = mergeEnv(c.Env, img.Env)
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	for k, v := range img.Labels {
		if _, ok := c.Labels[k]; !ok {
			c.Labels[k] = v
		}
	}
	if len(c.Entrypoint) == 0 {
		if len(c.Cmd) == 0 {
			c.Cmd = img.Cmd
		}
		if c.Entrypoint == nil {
			c.Entrypoint = img.Entrypoint
		}
	}
	for port := range img.ExposedPorts {
		if c.ExposedPorts == nil {
			c.ExposedPorts = nat.PortSet{}
		}
		c.ExposedPorts[exposed(port)] = struct{}{}
	}
	for v := range img.Volumes {
		if c.Volumes == nil {
			c.Volumes = map[string]struct{}{}
		}
		c.Volumes[v] = struct{}{}
	}
	mergeHealth(c, d.Healthcheck)
}

// exposed is an image's port as Docker writes it: images may say 80 for 80/tcp.
func exposed(port string) nat.Port {
	if !strings.Contains(port, "/") {
		port += "/tcp"
	}
	return nat.Port(port)
}

func either(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func mergeEnv(user, img []string) []string {
	if len(user) == 0 {
		return img
	}
	names := map[string]bool{}
	for _, e := range user {
		name, _, _ := strings.Cut(e, "=")
		names[name] = true
	}
	for _, e := range img {
		if name, _, _ := strings.Cut(e, "="); !names[name] {
			user = append(user, e)
		}
	}
	return user
}

func mergeHealth(c *container.Config, img *container.HealthConfig) {
	if img == nil {
		return
	}
	if c.Healthcheck == nil {
		c.Healthcheck = img
		return
	}
	h := c.Healthcheck
	if len(h.Test) == 0 {
		h.Test = img.Test
	}
	for mine, theirs := range map[*int64]int64{
		(*int64)(&h.Interval): int64(img.Interval), (*int64)(&h.Timeout): int64(img.Timeout),
		(*int64)(&h.StartPeriod): int64(img.StartPeriod), (*int64)(&h.StartInterval): int64(img.StartInterval),
	} {
		if *mine == 0 {
			*mine = theirs
		}
	}
	if h.Retries == 0 {
		h.Retries = img.Retries
	}
}

// replaceEnv puts overrides over defaults by name; a name without = takes a variable away.
func replaceEnv(defaults, overrides []string) []string {
	index := map[string]int{}
	for i, e := range defaults {
		name, _, _ := strings.Cut(e, "=")
		index[name] = i
	}
	for _, e := range overrides {
		name, _, assigned := strings.Cut(e, "=")
		i, exists := index[name]
		switch {
		case !assigned && exists:
			defaults[i] = ""
		case !assigned:
		case exists:
			defaults[i] = e
		default:
			index[name] = len(defaults)
			defaults = append(defaults, e)
		}
	}
	kept := defaults[:0]
	for _, e := range defaults {
		if e != "" {
			kept = append(kept, e)
		}
	}
	return kept
}
