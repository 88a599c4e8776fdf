package engine

import (
	"errors"

	"glassbox/store"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
)

var errStub = errors.New("engine: stub")

// Networks is everything that can be done with networks. A network is named by name, full id or unique prefix.
type Networks struct {
	root       store.Root
	containers *Containers

	// Warn is told what a user should know but no error is; may be nil.
	Warn func(message string)
}

func (n *Networks) Create(name string, o network.CreateOptions) (network.CreateResponse, error) {
	return network.CreateResponse{}, errStub
}
func (n *Networks) List(f filters.Args) ([]network.Summary, error) { return nil, errStub }
func (n *Networks) Inspect(ref string) (network.Inspect, error)    { return network.Inspect{}, errStub }
func (n *Networks) Remove(ref string) error                        { return errStub }
func (n *Networks) Prune(f filters.Args) (network.PruneReport, error) {
	return network.PruneReport{}, errStub
}
func (n *Networks) Connect(ref, container string, e *network.EndpointSettings) error { return errStub }
func (n *Networks) Disconnect(ref, container string, force bool) error               { return errStub }
