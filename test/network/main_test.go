// Package network holds glassbox's networks against real components: nginx, redis, dnsmasq, tcpdump, on machines made of network
// namespaces (test/machines) with images collected from this Debian (test/debian). The same tests can be asked of real Docker:
//
//	go test ./test/network -engine docker
package network

import (
	"testing"

	"glassbox/test/debian"
	"glassbox/test/machines"
	"glassbox/test/need"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestMain(m *testing.M) {
	kit := debian.Kit
	if need.VM() { // where reading and unpacking sixty megabytes takes minutes
		kit = debian.SmallKit
	}
	machines.Main(m, machines.Image{Name: "kit", Files: kit, Config: ocispec.ImageConfig{
		Cmd: []string{"sh"}, ExposedPorts: map[string]struct{}{"80/tcp": {}},
	}})
}

// site is a host with glassbox and another machine beside it.
type site struct {
	*machines.Host
	other *machines.Host
	t     *testing.T
}

// Addresses of documentation: RFC 5737, RFC 3849.
const (
	hostAddress   = "192.0.2.1"
	hostAddress6  = "2001:db8::1"
	otherAddress  = "192.0.2.2"
	otherAddress6 = "2001:db8::2"
)

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{machines.WithGlassbox(t, "host"), machines.Bare(t, "other"), t}
	s.connect()
	return s
}

// connect lays the cable; the other machine is the host's way to everywhere else.
func (s *site) connect() {
	s.t.Helper()
	err := machines.Cable(
		machines.Plug{Machine: s.Machine, Interface: "eth0", Addresses: []string{hostAddress + "/24", hostAddress6 + "/64"}},
		machines.Plug{Machine: s.other.Machine, Interface: "eth0", Addresses: []string{otherAddress + "/24", otherAddress6 + "/64"}})
	if err == nil {
		err = s.Route("default", otherAddress)
	}
	if err == nil {
		err = s.Route("default", otherAddress6)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}
