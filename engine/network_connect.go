package engine

import (
	"context"
	"errors"

	dockernetwork "github.com/docker/docker/api/types/network"
)

// Connect plugs a container into one more network: now if it runs, else at its next start.
func (n *Networks) Connect(ref, container string, e *dockernetwork.EndpointSettings) error {
	r, lock, err := n.containers.locked(context.Background(), container)
	if err != nil {
		return err
	}
	defer lock.Release()
	s, err := n.containers.state(r)
	if err != nil {
		return err
	}
	if s.Running && r.HostConfig.NetworkMode.IsContainer() {
		return errSharedNetwork
	}
	if s.Restarting {
		return restarting(r.ID)
	}
	to, err := n.load(ref)
	if err != nil {
		return err
	}
	if e == nil {
		e = &dockernetwork.EndpointSettings{}
	}
	if err := validateEndpoint(to, to.Name, e); err != nil {
		return err
	}
	if err := n.joinable(r, to); err != nil {
		return err
	}
	if _, already := r.networks()[to.Name]; already {
		if s.Running {
			return forbidden("endpoint with name %s already exists in network %s", r.Name, to.Name)
		}
		return nil
	}
	return n.containers.connect(r, to, e)
}

var (
	errSharedNetwork = invalid("container sharing network namespace with another container or host cannot be connected to any other network")
	errConfigOnly    = forbidden("cannot create endpoint on configuration-only network")
	errNoneNetwork   = invalid("container cannot be connected to multiple networks with one of the networks in private (none) mode")
)

// joinable says whether a container may be on one more network, given those that it is on.
func (n *Networks) joinable(r *record, to *networkRecord) error {
	if to.ConfigOnly {
		return errConfigOnly
	}
	if to.Driver == driverHost && !r.HostConfig.NetworkMode.IsHost() {
		return invalid("cannot connect container to host network - container must be created in host network mode")
	}
	if r.HostConfig.NetworkMode.IsContainer() {
		return errSharedNetwork
	}
	for name := range r.networks() {
		switch {
		case name == to.Name:
			return nil
		case name == dockernetwork.NetworkHost || to.Driver == driverHost:
			return errSharedNetwork
		case name == dockernetwork.NetworkNone || to.Driver == driverNull:
			return errNoneNetwork
		}
	}
	return nil
}

// Disconnect takes a container off a network.
func (n *Networks) Disconnect(ref, container string, force bool) error {
	r, lock, err := n.containers.locked(context.Background(), container)
	if err != nil {
		return n.forgotten(ref, container, force, err)
	}
	defer lock.Release()
	s, err := n.containers.state(r)
	if err != nil {
		return err
	}
	if s.Restarting {
		return restarting(r.ID)
	}
	from, missing := n.load(ref)
	if missing != nil && !Is(missing, NotFound) {
		return missing
	}
	if !s.Running || from == nil && force {
		return n.unwish(r, from, ref, force)
	}
	if missing != nil {
		return missing
	}
	if from.Driver == driverHost && r.HostConfig.NetworkMode.IsHost() {
		return invalid("cannot disconnect container from host network - container was created in host network mode")
	}
	if _, on := r.networks()[from.Name]; !on || r.HostConfig.NetworkMode.IsContainer() {
		return errors.New("container " + r.ID + " is not connected to network " + from.Name)
	}
	return n.containers.disconnect(r, from, force)
}

// forgotten: Docker lets an endpoint be removed by force though its container is gone. Here none outlives it.
func (n *Networks) forgotten(ref, container string, force bool, err error) error {
	if !force || !Is(err, NotFound) {
		return err
	}
	if _, err := n.load(ref); err != nil {
		return err
	}
	return &Error{Class: NotFound, Text: "endpoint " + container + " not found"}
}

// unwish takes a network off the list of those that a container will be plugged into; from is nil where it does not exist any more.
func (n *Networks) unwish(r *record, from *networkRecord, ref string, force bool) error {
	if from != nil {
		ref = from.Name
	}
	if _, on := r.networks()[ref]; !on {
		return errors.New("container " + r.ID + " is not connected to the network " + ref)
	}
	if from != nil {
		return n.containers.disconnect(r, from, force)
	}
	r.Networks = r.networks()
	delete(r.Networks, ref)
	return r.save()
}
