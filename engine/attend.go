package engine

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"glassbox/attendant"
	"glassbox/firewall"
	"glassbox/network"
	"glassbox/program"
)

// resolverAddress is where a container on a network of the user's asks for names, as in Docker.
const resolverAddress = "127.0.0.11"

// attend starts the process that answers names and holds the ports, where the container needs one.
// It serves when p.serves has returned.
func (p *plugging) attend() error {
	if !p.w.attended() {
		return nil
	}
	program, err := glassrun()
	if err != nil {
		return err
	}
	config, err := p.c.attendance(p.r, p.w)
	if err != nil {
		return err
	}
	sockets := p.sockets
	if config.Names != nil {
		resolver, err := listenForNames(p.ns, &p.done)
		if err != nil {
			return err
		}
		defer closeAll(resolver)
		sockets = append(append([]*os.File{}, sockets...), resolver...)
	}
	return p.done.Carry(p.attending(program, config, sockets))
}

func (p *plugging) attending(glassrun string, config attendant.Config, sockets []*os.File) program.Request {
	dir := p.r.place.Run
	return program.Request{
		Call: "glassrun attend " + dir,
		Why:  "a process of the host's answers names and holds the published ports",
		Do: func() (err error) {
			p.attendant, err = attendant.Spawn(glassrun, dir, config, sockets)
			return err
		},
		Undo: func() error {
			p.serves() //nolint:errcheck // only one that has come up can be stopped
			return attendant.Stop(dir)
		},
	}
}

// serves returns when the attendant serves.
func (p *plugging) serves() error {
	if p == nil || p.attendant == nil {
		return nil
	}
	coming := p.attendant
	p.attendant = nil
	return coming.Ready()
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// attendance is what the attendant is told.
func (c *Containers) attendance(r *record, w *wiring) (attendant.Config, error) {
	config := attendant.Config{ID: r.ID, Pid: w.Pid, Alive: r.place.Alive(), State: r.place.State()}
	for _, b := range w.Bound {
		config.Ports = append(config.Ports, attendant.Port{Proto: b.Port.Proto, Listen: b.Port.Listen, To: b.Port.To})
	}
	if !w.Resolver {
		return config, nil
	}
	servers, err := r.upstream(os.ReadFile)
	if err != nil {
		return config, err
	}
	config.Names = &attendant.Names{
		Servers: servers, Internal: w.provider(false) == nil && w.provider(true) == nil, Ndots: r.searchesFirst(os.ReadFile),
	}
	for i := range w.Endpoints {
		e := &w.Endpoints[i]
		if !e.named() {
			continue
		}
		n, err := c.networks.read(e.Network)
		if err != nil {
			return config, err
		}
		config.Names.Zones = append(config.Names.Zones, attendant.Zone{Network: n.Name, Dir: n.zone()})
		config.Names.Links = append(config.Names.Links, r.aliases(n)...)
	}
	return config, nil
}

// aliases are the links on a network of the user's: names that are looked up when somebody asks for them.
func (r *record) aliases(n *networkRecord) []attendant.Link {
	var all []attendant.Link
	if e := r.networks()[n.Name]; e != nil {
		for _, text := range e.Links {
			if name, alias, err := parseLink(text); err == nil {
				all = append(all, attendant.Link{Network: n.Name, Alias: strings.ToLower(alias), Name: strings.ToLower(name)})
			}
		}
	}
	return all
}

// upstream are the servers that are asked for names which no container has.
func (r *record) upstream(read func(string) ([]byte, error)) ([]string, error) {
	if len(r.HostConfig.DNS) > 0 {
		return r.HostConfig.DNS, nil
	}
	data, err := read(hostResolv)
	return parseResolv(string(data)).servers, gone(err)
}

// searchesFirst: names without a dot are asked for with the search list first, since somebody has set ndots above 0.
func (r *record) searchesFirst(read func(string) ([]byte, error)) bool {
	options := r.HostConfig.DNSOptions
	if len(options) == 0 {
		data, _ := read(hostResolv)
		options = parseResolv(string(data)).options
	}
	for _, o := range options {
		if n, is := strings.CutPrefix(o, "ndots:"); is && n != "0" {
			return true
		}
	}
	return false
}

// listenForNames opens the resolver's sockets inside the namespace, on ports that the container is unlikely to want, and has port
// 53 lead to them.
func listenForNames(ns *network.Namespace, l *program.Ledger) (sockets []*os.File, err error) {
	any := netip.AddrPortFrom(netip.MustParseAddr(resolverAddress), 0)
	err = ns.Enter(func() error {
		for _, proto := range []string{"udp", "tcp"} {
			f, err := listen(proto, any)
			if err != nil {
				return fmt.Errorf("opening the resolver's %s socket: %w", proto, err)
			}
			sockets = append(sockets, f)
		}
		return nil
	})
	var ports [2]uint16
	for i := 0; err == nil && i < len(sockets); i++ {
		ports[i], err = portOf(sockets[i])
	}
	if err == nil {
		var requests []program.Request
		if requests, err = firewall.Redirect(ns.File, ports[0], ports[1]); err == nil {
			err = l.Carry(requests...)
		}
	}
	if err != nil {
		closeAll(sockets)
		return nil, err
	}
	return sockets, nil
}
