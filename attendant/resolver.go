package attendant

import (
	"net/netip"
	"strings"
	"sync"
)

// resolver answers names as Docker's does (libnetwork/resolver.go).
type resolver struct {
	path     string // of the configuration
	errands  errands
	clients  places // by TCP
	tidier   *tidier
	mu       sync.Mutex
	seen     stamp // of the configuration
	zones    []*directory
	servers  []netip.AddrPort
	internal bool
	ndots    bool
	links    []Link
	turn     int
}

func newResolver(path string, n Names, t *tidier) *resolver {
	r := &resolver{path: path, tidier: t, clients: make(places, mostClients)}
	r.configure(n)
	return r
}

// idle says whether nobody waits for an answer.
func (r *resolver) idle() bool { return len(r.clients) == 0 && r.errands.idle() }

// configure keeps what is known of zones that stay.
func (r *resolver) configure(n Names) {
	known := r.zones
	r.zones = nil
	for _, z := range n.Zones {
		d := &directory{Zone: z}
		for _, k := range known {
			if k.Zone == z {
				d = k
			}
		}
		r.zones = append(r.zones, d)
	}
	r.servers, r.internal, r.ndots, r.links = servers(n.Servers), n.Internal, n.Ndots, n.Links
}

// refresh brings everything to the state of this moment, so that whatever was changed before a question was asked is in its answer.
func (r *resolver) refresh() {
	if now, settled := look(r.path); now != r.seen || now == (stamp{}) {
		r.seen = stamp{}
		if c, err := readConfig(r.path); err == nil && c.Names != nil {
			r.configure(*c.Names)
			if settled {
				r.seen = now
			}
		}
	}
	for _, z := range r.zones {
		z.refresh()
	}
}

// ask answers what we know. When others are to be asked the answer is nil and servers are given. limit is that of the way back.
func (r *resolver) ask(q *question, limit int) (answer []byte, servers []netip.AddrPort) {
	r.tidier.worked()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	if answer = r.local(q, limit); answer != nil {
		return answer, nil
	}
	if r.ndots && (q.kind == typeA || q.kind == typeAAAA) && !strings.Contains(q.name, ".") {
		return q.failure(success), nil // the client goes on with its search list
	}
	if r.internal || len(r.servers) == 0 {
		return q.failure(serverFailure), nil
	}
	return nil, r.servers
}

// local answers a question about the containers of our networks.
func (r *resolver) local(q *question, limit int) []byte {
	if q.class != classIN {
		return nil
	}
	switch q.kind {
	case typeA, typeAAAA, typeMX:
		addresses, found := r.find(q.name)
		if !found {
			return nil
		}
		r.turn++
		return q.addresses(family(addresses, q.kind), r.turn, limit)
	case typePTR:
		return r.name(q, limit)
	}
	return nil
}

// find looks for a name in all zones, then, in turn, for what stands before each of its dots in the network whose name stands after it.
func (r *resolver) find(name string) (addresses []netip.Addr, found bool) {
	for _, z := range r.zones {
		if addresses, found = r.in(z, name); found {
			return addresses, true
		}
	}
	for i := len(name) - 1; i > 0; i-- {
		if name[i] != '.' {
			continue
		}
		for _, z := range r.zones {
			if !strings.EqualFold(z.Network, name[i+1:]) {
				continue
			}
			if addresses, found = r.in(z, name[:i]); found {
				return addresses, true
			}
		}
	}
	return nil, false
}

// in looks for a name in a zone. An alias of this container's own means what it stands for, also where somebody else is called so.
func (r *resolver) in(z *directory, name string) (addresses []netip.Addr, found bool) {
	for _, l := range r.links {
		if l.Alias == name && l.Network == z.Network {
			name = l.Name
			break
		}
	}
	addresses, found = z.names[name]
	return addresses, found
}

// family leaves the addresses of the type that is asked for. A name that has none has the empty answer, and so has one that is asked
// for its mail server: that is then the host itself (RFC 5321, 5.1).
func family(all []netip.Addr, kind uint16) (some []netip.Addr) {
	for _, a := range all {
		if a.Is4() && kind == typeA || a.Is6() && kind == typeAAAA {
			some = append(some, a)
		}
	}
	return some
}

func (r *resolver) name(q *question, limit int) []byte {
	address, ok := reverse(q.name)
	if !ok {
		return nil
	}
	for _, z := range r.zones {
		if name, found := z.reverse[address]; found {
			return q.pointer(name+"."+z.Network, limit)
		}
	}
	return nil
}
