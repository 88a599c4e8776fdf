package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/go-connections/nat"
)

var psFilters = map[string]bool{
	"ancestor": true, "before": true, "exited": true, "id": true, "isolation": true, "label": true, "name": true, "status": true, "health": true,
	"since": true, "volume": true, "network": true, "is-task": true, "publish": true, "expose": true,
}

// sieve is `ps --filter`, read once.
type sieve struct {
	args          filters.Args
	byStatus      bool
	exited        []int
	images        map[string]bool // nil: any ancestor
	before, since time.Time       // creation times of the neighbours that were named
	publish       map[nat.Port]bool
	expose        map[nat.Port]bool
	ids           []string // prefixes
}

func (c *Containers) sieve(f filters.Args) (*sieve, error) {
	if err := f.Validate(psFilters); err != nil {
		return nil, &Error{Class: InvalidParameter, Text: err.Error(), Cause: err}
	}
	s := &sieve{args: f, byStatus: f.Contains("status"), ids: f.Get("id"), publish: map[nat.Port]bool{}, expose: map[nat.Port]bool{}}
	for _, v := range f.Get("exited") {
		code, err := strconv.Atoi(v)
		if err != nil {
			return nil, invalid("invalid filter 'exited=%s': %w", v, err)
		}
		s.exited = append(s.exited, code)
	}
	for _, v := range f.Get("status") {
		if err := container.ValidateContainerState(v); err != nil {
			return nil, invalid("invalid filter 'status=%s': %w", v, err)
		}
	}
	for _, v := range f.Get("health") {
		if err := container.ValidateHealthStatus(v); err != nil {
			return nil, invalid("invalid filter 'health=%s': %w", v, err)
		}
	}
	if _, err := f.GetBoolOrDefault("is-task", false); err != nil {
		return nil, invalid("%w", err)
	}
	for name, set := range map[string]map[nat.Port]bool{"publish": s.publish, "expose": s.expose} {
		for _, v := range f.Get(name) {
			if err := parsePorts(name, v, set); err != nil {
				return nil, err
			}
		}
	}
	if f.Contains("ancestor") {
		s.images = c.descendants(f.Get("ancestor"))
	}
	return s, nil
}

func parsePorts(name, value string, set map[nat.Port]bool) error {
	if strings.Contains(value, ":") {
		return invalid("filter for '%s' should not contain ':': %s", name, value)
	}
	proto, port := nat.SplitProtoPort(value)
	start, end, err := nat.ParsePortRange(port)
	if err != nil {
		return invalid("error while looking up for %s %s: %s", name, value, err)
	}
	for i := start; i <= end; i++ {
		p, err := nat.NewPort(proto, strconv.FormatUint(i, 10))
		if err != nil {
			return invalid("error while looking up for %s %s: %s", name, value, err)
		}
		set[p] = true
	}
	return nil
}

// descendants are the images named, and those made from them: whose layers begin with theirs.
func (c *Containers) descendants(refs []string) map[string]bool {
	found := map[string]bool{}
	all, err := c.images.List()
	if err != nil {
		return found
	}
	for _, ref := range refs {
		parent, err := c.images.Resolve(ref)
		if err != nil {
			continue // Docker, too, finds no container then
		}
		found[string(parent.ID)] = true
		base := parent.Config.RootFS.DiffIDs
		for _, img := range all {
			own := img.Config.RootFS.DiffIDs
			if len(own) > len(base) && slices.Equal(own[:len(base)], base) {
				found[string(img.ID)] = true
			}
		}
	}
	return found
}

// neighbours looks up the containers of before= and since=.
func (s *sieve) neighbours(c *Containers) error {
	for name, t := range map[string]*time.Time{"before": &s.before, "since": &s.since} {
		for _, v := range s.args.Get(name) {
			r, err := c.load(v)
			if err != nil {
				return err
			}
			*t = r.Created
		}
	}
	return nil
}

func (s *sieve) passes(l listed) bool {
	f := s.args
	task, _ := f.GetBoolOrDefault("is-task", false)
	switch {
	case !s.before.IsZero() && !l.Created.Before(s.before), !s.since.IsZero() && !l.Created.After(s.since):
		return false
	case !f.Match("name", "/"+l.Name) && !f.Match("name", l.Name), !s.id(l.ID):
		return false
	case task: // none of ours belongs to a swarm
		return false
	case !f.MatchKVList("label", l.Config.Labels):
		return false
	case len(s.exited) > 0 && (l.now.Running || l.now.StartedAt.IsZero() || !slices.Contains(s.exited, l.now.ExitCode)):
		return false
	case !f.Match("status", string(l.now.word())), !f.ExactMatch("health", string(l.now.health())):
		return false
	case s.images != nil && !s.images[string(l.Image)]:
		return false
	}
	return s.volume(l) && s.network(l) && s.ports(l)
}

func (s *sieve) id(id string) bool {
	return len(s.ids) == 0 || slices.ContainsFunc(s.ids, func(p string) bool { return strings.HasPrefix(id, p) })
}

func (s *sieve) volume(l listed) bool {
	if !s.args.Contains("volume") {
		return true
	}
	for _, m := range l.Mounts {
		if s.args.ExactMatch("volume", m.Destination) || s.args.ExactMatch("volume", either(m.Name, m.Source)) {
			return true
		}
	}
	return false
}

func (s *sieve) network(l listed) bool {
	if !s.args.Contains("network") {
		return true
	}
	for name, e := range l.shortNetworks() {
		if s.args.ExactMatch("network", name) || e.NetworkID != "" && s.args.ExactMatch("network", e.NetworkID) {
			return true
		}
	}
	return false
}

func (s *sieve) ports(l listed) bool {
	if len(s.publish)+len(s.expose) == 0 {
		return true
	}
	for _, p := range l.ports() {
		if s.publish[nat.Port(fmt.Sprintf("%d/%s", p.PublicPort, p.Type))] || s.expose[nat.Port(fmt.Sprintf("%d/%s", p.PrivatePort, p.Type))] {
			return true
		}
	}
	return false
}
