package engine

import (
	"glassbox/firewall"
	"glassbox/program"
)

// raise carries out what plugging a container in needs of the network: its bridge, forwarding, its parent, the firewall's table
// and the network's elements in it.
func (n *Networks) raise(r *networkRecord, l *program.Ledger) error {
	requests, err := n.lacks(r)
	if err != nil {
		return err
	}
	return l.Carry(requests...)
}

// lacks are the requests that raise carries out; none when all is there.
func (n *Networks) lacks(r *networkRecord) ([]program.Request, error) { return nil, errStub }

// desired is all that the firewall shall hold: every network and what the wirings of running containers say.
func (n *Networks) desired() (firewall.Desired, error) { return firewall.Desired{}, errStub }
