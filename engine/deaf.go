package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// Deaf says of which published ports nothing is heard, because the container's process listens on its own loopback only: the classic
// of development servers. Each sentence is for people; there are none as long as nothing listens at all.
func (c *Containers) Deaf(id string) ([]string, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, err
	}
	w, err := liveAt(r.place)
	if err != nil || w == nil {
		return nil, err
	}
	var sentences []string
	said := map[string]bool{}
	for _, b := range w.Bound {
		port := fmt.Sprintf("%d/%s", b.Target, b.Port.Proto)
		if said[port] {
			continue
		}
		said[port] = true
		if at := b.published().Listeners(w.Pid); Deafened(at) {
			sentences = append(sentences, fmt.Sprintf("port %s is published, but the process listens on %s only, which is the container's own loopback: have it listen on 0.0.0.0", port, at[len(at)-1]))
		}
	}
	return sentences, nil
}

// Published is a port of the host that leads into a container.
type Published struct {
	Host   netip.AddrPort
	Proto  string
	Target uint16 // the container's port
}

func (b bound) published() Published { return Published{b.Host, b.Port.Proto, b.Target} }

// Listeners are the addresses at which somebody listens to the port in the network namespace of a process.
func (p Published) Listeners(pid int) (at []netip.AddrPort) {
	for _, s := range socketsAt("/proc/"+strconv.Itoa(pid)+"/net/", p.Proto) {
		if s.local.Port() == p.Target && s.listens(p.Proto) {
			at = append(at, s.local)
		}
	}
	return at
}

// Deafened: somebody listens, but on loopback only, where nothing arrives that was sent to a published port.
func Deafened(at []netip.AddrPort) bool {
	outside := func(a netip.AddrPort) bool { return !a.Addr().Unmap().IsLoopback() }
	return len(at) > 0 && !slices.ContainsFunc(at, outside)
}
