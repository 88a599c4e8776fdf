package engine

import (
	"glassbox/store"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/volume"
)

// Volumes is everything that can be done with volumes.
type Volumes struct {
	root       store.Root
	containers *Containers
}

func (v *Volumes) Create(o volume.CreateOptions) (volume.Volume, error) {
	return volume.Volume{}, errStub
}
func (v *Volumes) List(f filters.Args) (volume.ListResponse, error) {
	return volume.ListResponse{}, errStub
}
func (v *Volumes) Inspect(name string) (volume.Volume, error) { return volume.Volume{}, errStub }
func (v *Volumes) Remove(name string, force bool) error       { return errStub }
func (v *Volumes) Prune(f filters.Args) (volume.PruneReport, error) {
	return volume.PruneReport{}, errStub
}
