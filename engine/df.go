package engine

import (
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/filters"
	"github.com/opencontainers/go-digest"
)

// DiskUsage is what `system df` adds up: images with what they share, containers with what they have written, volumes, what builds keep.
// Layers count once.
func (e *Engine) DiskUsage() (types.DiskUsage, error) {
	var du types.DiskUsage
	images, err := e.ImageSummaries(false, filters.NewArgs())
	if err != nil {
		return du, err
	}
	all, err := e.Images.List()
	if err != nil {
		return du, err
	}
	layers, shared, err := e.Images.Usage(all)
	if err != nil {
		return du, err
	}
	for i := range images {
		images[i].SharedSize = shared[digest.Digest(images[i].ID)]
		du.Images = append(du.Images, &images[i])
	}
	containers, err := e.Containers.List(true, -1, true, filters.NewArgs())
	if err != nil {
		return du, err
	}
	for i := range containers {
		du.Containers = append(du.Containers, &containers[i])
	}
	du.LayersSize = layers
	if du.Volumes, err = e.Volumes.Sizes(); err != nil {
		return du, err
	}
	du.BuildCache, err = e.Builds.Usage(filters.NewArgs())
	return du, err
}
