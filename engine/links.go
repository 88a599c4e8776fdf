package engine

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
)

// linked is the other end of a link, running.
type linked struct {
	legacyLink
	*record
	at endpoint // on the default bridge
}

// linkedTo finds the containers that r is linked to on the default bridge. They must be running there.
func (c *Containers) linkedTo(r *record) ([]linked, error) {
	var all []linked
	for _, l := range r.Links {
		other, err := c.read(l.ID)
		if err != nil {
			return nil, notLinkable(r, l)
		}
		l.Name = other.Name
		w, err := liveAt(other.place)
		if err != nil {
			return nil, err
		}
		if w == nil {
			return nil, notLinkable(r, l)
		}
		i := slices.IndexFunc(w.Endpoints, func(e endpoint) bool { return e.Name == network.NetworkBridge })
		if i < 0 {
			return nil, conflict("container %s not attached to default bridge network", other.ID)
		}
		all = append(all, linked{l, other, w.Endpoints[i]})
	}
	return all, nil
}

func notLinkable(r *record, l legacyLink) error {
	return conflict("Cannot link to a non running container: /%s AS /%s/%s", l.Name, r.Name, l.Alias)
}

// linkedHosts are the lines of links in /etc/hosts: the alias, the other container's hostname, and its name.
func (c *Containers) linkedHosts(r *record, w *wiring, add func(address, names string)) error {
	if len(r.Links) == 0 {
		return nil
	}
	all, err := c.linkedTo(r)
	if err != nil {
		return err
	}
	for _, l := range all {
		names := l.Alias + " " + l.Config.Hostname
		if l.Alias != l.legacyLink.Name {
			names += " " + l.legacyLink.Name
		}
		for _, v6 := range []bool{false, true} {
			add(l.at.address(v6).Addr().String(), names)
		}
		w.Links = append(w.Links, l.environment(r.Name)...)
		if err := l.note(r); err != nil {
			return err
		}
	}
	return nil
}

// note leaves word with the other container who is linked to it, until the machine is restarted.
func (l linked) note(r *record) error {
	dir := l.place.Linked()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(dir+"/"+r.ID, []byte(l.Alias), 0o600)
}

// tellLinked gives those who are linked to a container its address on the default bridge, which may be another one than before.
func (c *Containers) tellLinked(r *record, w *wiring) error {
	all, err := os.ReadDir(r.place.Linked())
	i := slices.IndexFunc(w.Endpoints, func(e endpoint) bool { return e.Name == network.NetworkBridge })
	if err != nil || i < 0 {
		return gone(err)
	}
	for _, entry := range all {
		alias, err := os.ReadFile(r.place.Linked() + "/" + entry.Name())
		if err != nil {
			return err
		}
		parent := c.root.Container(entry.Name())
		if err := gone(readdress(parent.Hosts(), string(alias), &w.Endpoints[i])); err != nil {
			return err
		}
	}
	return nil
}

// readdress replaces the addresses of a link's lines, in place: the file is mounted in a container.
func readdress(path, alias string, e *endpoint) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		address, names, _ := strings.Cut(line, "\t")
		was, err := netip.ParseAddr(address)
		if now := e.address(was.Is6()).Addr(); err == nil && now.IsValid() && strings.HasPrefix(names, alias+" ") {
			line = now.String() + "\t" + names
		}
		b.WriteString(line)
	}
	if b.String() == string(data) {
		return nil
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// rememberLinks gives a running container's execs the variables that its start had.
func (r *record) rememberLinks() error {
	if len(r.Links) == 0 {
		return nil
	}
	w, err := wiringAt(r.place)
	if w != nil {
		r.linkVars = w.Links
	}
	return err
}

// environment is what a link adds to the environment: where the other container's ports are, and its own environment.
func (l linked) environment(parent string) []string {
	alias := strings.ToUpper(strings.ReplaceAll(l.Alias, "-", "_"))
	env := portVariables(alias, l.at.address(false).Addr().String(), l.linkPorts())
	env = append(env, fmt.Sprintf("%s_NAME=/%s/%s", alias, parent, l.Alias))
	for _, e := range l.Config.Env {
		name, value, ok := strings.Cut(e, "=")
		if ok && name != "HOME" && name != "PATH" {
			env = append(env, fmt.Sprintf("%s_ENV_%s=%s", alias, name, value))
		}
	}
	return env
}

// linkPorts are the exposed ports, those of TCP first.
func (l linked) linkPorts() []nat.Port {
	var ports []nat.Port
	for p := range l.Config.ExposedPorts {
		ports = append(ports, p)
	}
	slices.SortFunc(ports, func(a, b nat.Port) int {
		return cmp.Or(count(b.Proto() == "tcp")-count(a.Proto() == "tcp"), strings.Compare(a.Proto(), b.Proto()), a.Int()-b.Int())
	})
	return ports
}

func portVariables(alias, address string, ports []nat.Port) []string {
	var env []string
	for i, p := range ports {
		url := func(p nat.Port) string { return fmt.Sprintf("%s://%s:%s", p.Proto(), address, p.Port()) }
		if i == 0 {
			env = append(env, alias+"_PORT="+url(p))
		}
		prefix := fmt.Sprintf("%s_PORT_%s_%s", alias, p.Port(), strings.ToUpper(p.Proto()))
		env = append(env, prefix+"="+url(p), prefix+"_ADDR="+address, prefix+"_PORT="+p.Port(), prefix+"_PROTO="+p.Proto())
		// Ports that follow one another are told as a range too, after the first that does not.
		end := i - 1
		if follows(ports, i) {
			if end = i; i < len(ports)-1 {
				continue
			}
		}
		if first := runStart(ports, end); first < end {
			from, to := ports[first], ports[end]
			prefix := fmt.Sprintf("%s_PORT_%s_%s", alias, from.Port(), strings.ToUpper(from.Proto()))
			env = append(env, prefix+"_START="+url(from), prefix+"_PORT_START="+from.Port(), prefix+"_END="+url(to), prefix+"_PORT_END="+to.Port())
		}
	}
	return env
}

// follows: port i is the one after port i-1.
func follows(ports []nat.Port, i int) bool {
	return i > 0 && i < len(ports) && ports[i].Proto() == ports[i-1].Proto() && ports[i].Int() == ports[i-1].Int()+1
}

func runStart(ports []nat.Port, i int) int {
	for follows(ports, i) {
		i--
	}
	return i
}
