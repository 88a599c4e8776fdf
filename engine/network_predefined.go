package engine

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"glassbox/network"
	"glassbox/store"

	dockernetwork "github.com/docker/docker/api/types/network"
)

// defaultBridge is the interface of the network bridge.
const defaultBridge = "glassbox0"

// ensure reads one of the networks that are always there, and makes it at its first use.
func (n *Networks) ensure(name string) (*networkRecord, error) {
	r, err := n.named(name)
	if r != nil || err != nil {
		return r, err
	}
	lock, err := n.alone(n.root.LockNetworks)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	if r, err := n.named(name); r != nil || err != nil {
		return r, err
	}
	r, err = n.predefine(name)
	if err != nil {
		return nil, err
	}
	return r, n.establish(r)
}

func (n *Networks) predefine(name string) (*networkRecord, error) {
	r := n.draft(name)
	r.EnableIPv4 = true
	r.IPAM = dockernetwork.IPAM{Driver: "default"}
	switch name {
	case dockernetwork.NetworkHost:
		r.Driver = driverHost
	case dockernetwork.NetworkNone:
		r.Driver = driverNull
	default:
		r.Driver, r.Bridge = driverBridge, defaultBridge
		r.Options = map[string]string{
			optDefault: "true", optICC: "true", optMasquerade: "true", optBinding: "0.0.0.0", optBridgeName: defaultBridge, optMTU: "1500",
		}
		return r, n.chooseDefault(r)
	}
	return r, nil
}

func (n *Networks) draft(name string) *networkRecord {
	r := &networkRecord{ID: store.NewID(), Name: name, Created: time.Now().UTC(), Options: map[string]string{}, Labels: map[string]string{}}
	r.place = n.root.Network(r.ID)
	return r
}

// chooseDefault gives the network bridge its subnet.
func (n *Networks) chooseDefault(r *networkRecord) error {
	others, err := n.others(r)
	if err != nil {
		return err
	}
	a := &allotment{r: r, others: others}
	r.Pools = nil
	return a.family(false, nil)
}

// settle gives the default network another subnet when the host got a route since that leads there too, and nobody is on the network.
// Other networks stay where users know them to be.
func (n *Networks) settle(r *networkRecord) error {
	if r.Name != dockernetwork.NetworkBridge || len(r.Pools) == 0 {
		return nil
	}
	if claims, err := r.place.Addresses().All(); err != nil || len(claims) > 0 {
		return err
	}
	if hidden, err := r.hides(); err != nil || !hidden {
		return err
	}
	lock, err := n.alone(n.root.LockNetworks)
	if err != nil {
		return err
	}
	defer lock.Release()
	now, err := n.read(r.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return noNetwork(r.Name)
	}
	if err != nil {
		return err
	}
	if slices.Equal(now.subnets(), r.subnets()) {
		err = n.move(now)
	}
	*r = *now
	return err
}

// hides: a route of the host's leads into the subnet, and it is not the one of the network's own bridge.
func (r *networkRecord) hides() (bool, error) {
	routed, err := network.Routed()
	return slices.ContainsFunc(routed, func(s network.Subnet) bool {
		return s.Interface != r.Bridge && s.Prefix.Overlaps(r.Pools[0].Subnet)
	}), err
}

// move chooses the subnet anew. Where none is better the old one stays.
func (n *Networks) move(r *networkRecord) error {
	before := r.Pools
	err := n.chooseDefault(r)
	if errors.Is(err, network.ErrExhausted) || err == nil && r.Pools[0].Subnet == before[0].Subnet {
		r.Pools = before
		return nil
	}
	if err != nil {
		return err
	}
	n.warn("the network bridge moves from " + before[0].Subnet.String() + " to " + r.Pools[0].Subnet.String() + ": the host has a route there now")
	old := *r
	old.Pools = before
	return errors.Join(n.lower(&old), r.save())
}
