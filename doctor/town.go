package doctor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"glassbox/firewall"
	"glassbox/network"
	"glassbox/program"

	"golang.org/x/sys/unix"
)

// town is a machine made of three network namespaces: a host, a container on its bridge, and somebody outside. They end with the
// descriptors that hold them.
type town struct {
	done  map[string]chan struct{} // closed when the stage was tried, or will not be
	err   map[string]error
	spent string // the stage that failed, after which nothing was tried
}

// The stages, in the order in which they build on each other. They are the checks' names.
const (
	stageSpaces   = "namespace"
	stageBridge   = "bridge"
	stageVeth     = "veth"
	stageForward  = "forwarding"
	stageFirewall = "nftables"
	stagePublish  = "published-port"
	stageOut      = "masquerade"
	stageNames    = "names"
)

var stages = []string{stageSpaces, stageBridge, stageVeth, stageForward, stageFirewall, stagePublish, stageOut, stageNames}

// townsfolk is what the stages have made so far.
type townsfolk struct {
	host, container, outside *network.Namespace
	bridge                   network.Bridge
	inside                   network.Interface
}

const answerTime = 2 * time.Second

// buildTown begins to build; who wants to know of a stage waits for it.
func buildTown() *town {
	t := &town{done: map[string]chan struct{}{}, err: map[string]error{}}
	for _, s := range stages {
		t.done[s] = make(chan struct{})
	}
	go t.build()
	return t
}

func (t *town) build() {
	var f townsfolk
	defer f.leave()
	do := map[string]func() error{
		stageSpaces: f.spaces, stageBridge: f.raise, stageVeth: f.plug, stageForward: f.forward, stageFirewall: f.wall,
		stagePublish: f.publish, stageOut: f.leaveTown, stageNames: f.names,
	}
	for _, s := range stages {
		if t.spent == "" {
			t.err[s] = do[s]()
		}
		if t.err[s] != nil && s != stagePublish && s != stageOut { // on these nothing builds
			t.spent = s
		}
		close(t.done[s])
	}
}

func (t *town) stage(name, found, fix string) finding {
	<-t.done[name]
	switch err := t.err[name]; {
	case err == nil && t.spent != "" && slices.Index(stages, name) > slices.Index(stages, t.spent):
		return fail("not tried, since "+t.spent+" failed", cure(t.err[t.spent], "glassbox doctor network: cure "+t.spent+" first"))
	case err == nil:
		return pass(found)
	default:
		return fail(said(err), cure(err, fix))
	}
}

func (f *townsfolk) leave() {
	for _, n := range []*network.Namespace{f.host, f.container, f.outside} {
		if n != nil {
			n.Close() //nolint:errcheck // the namespace goes with it either way
		}
	}
}

func (f *townsfolk) spaces() (err error) {
	for _, n := range []**network.Namespace{&f.host, &f.container, &f.outside} {
		if *n, err = newSpace(); err != nil {
			return err
		}
	}
	return nil
}

// newSpace is a network namespace that only its descriptor holds.
func newSpace() (*network.Namespace, error) {
	var file *os.File
	made := make(chan error)
	program.Apart(func() {
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err != nil {
			err = os.NewSyscallError("unshare(CLONE_NEWNET)", err)
		} else if err = loopback(); err == nil {
			file, err = os.Open("/proc/thread-self/ns/net")
		}
		made <- err
	})
	if err := <-made; err != nil {
		return nil, err
	}
	defer file.Close()
	return network.OpenPath(fmt.Sprintf("/proc/self/fd/%d", file.Fd()))
}

// loopback sets lo up in the calling thread's namespace, netdevice(7).
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return os.NewSyscallError("ioctl(SIOCSIFFLAGS, lo)", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r))
}

var (
	townGateway = netip.MustParsePrefix("172.30.255.1/24")
	townInside  = netip.MustParsePrefix("172.30.255.2/24")
	townUplink  = netip.MustParsePrefix("198.51.100.1/24") // of those reserved for documentation, RFC 5737
	townOutside = netip.MustParsePrefix("198.51.100.2/24")
)

// carry carries out requests in the host's namespace.
func (f *townsfolk) carry(ask func() ([]program.Request, error)) error {
	return f.host.Enter(func() error {
		requests, err := ask()
		if err != nil {
			return err
		}
		return new(program.Ledger).Carry(requests...)
	})
}

func (f *townsfolk) raise() error {
	f.bridge = network.Bridge{Name: "gb-doctor", Addresses: []netip.Prefix{townGateway}}
	if err := f.carry(f.bridge.Raise); err != nil {
		return err
	}
	return f.carry(network.Bridge{Name: "uplink", Addresses: []netip.Prefix{townUplink}}.Raise)
}

func (f *townsfolk) plug() error {
	f.inside = network.Interface{
		Kind: network.KindBridge, Master: "gb-doctor", Host: "gb-inside", Name: "eth0", MAC: network.HardwareAddressOf(townInside.Addr()),
		Addresses: []netip.Prefix{townInside}, Gateways: []netip.Addr{townGateway.Addr()},
	}
	out := network.Interface{
		Kind: network.KindBridge, Master: "uplink", Host: "gb-outside", Name: "eth0", MAC: network.HardwareAddressOf(townOutside.Addr()),
		Addresses: []netip.Prefix{townOutside},
	}
	return f.carry(func() ([]program.Request, error) {
		return append(f.inside.Plug(f.container), out.Plug(f.outside)...), nil
	})
}

// forward turns forwarding on in the town, and filters sources as this machine does.
func (f *townsfolk) forward() error {
	const strict = "/proc/sys/net/ipv4/conf/all/rp_filter"
	here := text(strict)
	return f.carry(func() ([]program.Request, error) {
		if here != "" {
			if err := os.WriteFile(strict, []byte(here), 0o644); err != nil {
				return nil, err
			}
		}
		return network.Forwarding(false)
	})
}

// wall is the table that containers get, with one published port.
func (f *townsfolk) wall() error {
	return f.carry(func() ([]program.Request, error) {
		return []program.Request{firewall.Rebuild(firewall.Desired{
			Networks: []firewall.Network{{Bridge: f.bridge.Name, Subnets: []netip.Prefix{townGateway.Masked()}, Gateways: []netip.Addr{townGateway.Addr()}}},
			Members:  []firewall.Member{{Bridge: f.bridge.Name, Host: f.inside.Host, MAC: f.inside.MAC, Addresses: []netip.Addr{townInside.Addr()}}},
			Ports: []firewall.Port{{
				Proto: "tcp", Listen: netip.AddrPortFrom(netip.IPv4Unspecified(), 8080), To: netip.AddrPortFrom(townInside.Addr(), 80), Bridge: f.bridge.Name,
			}},
		})}, nil
	})
}

// publish has somebody outside, and the host itself, connect to the published port, and the container answer. It listens once: the processes of
// other checks may hold a listener that was closed here for a moment longer, and its port with it.
func (f *townsfolk) publish() error {
	l, err := listen(f.container, ":80")
	if err != nil {
		return err
	}
	defer l.Close()
	got, err := meet(l, f.outside, netip.AddrPortFrom(townUplink.Addr(), 8080))
	if err == nil && got != townOutside.Addr() {
		err = fmt.Errorf("the container sees %s, not %s", got, townOutside.Addr())
	}
	if err != nil {
		return fmt.Errorf("from outside: %w", err)
	}
	if _, err := meet(l, f.host, netip.MustParseAddrPort("127.0.0.1:8080")); err != nil {
		return fmt.Errorf("from the host's 127.0.0.1: %w", err)
	}
	return nil
}

// leaveTown has the container connect to somebody outside, who must see the host's address.
func (f *townsfolk) leaveTown() error {
	l, err := listen(f.outside, ":9")
	if err != nil {
		return err
	}
	defer l.Close()
	got, err := meet(l, f.container, netip.AddrPortFrom(townOutside.Addr(), 9))
	if err == nil && got != townUplink.Addr() {
		err = fmt.Errorf("somebody outside sees %s, not the host's address %s", got, townUplink.Addr())
	}
	return err
}

// names redirects the container's questions at 127.0.0.11 to a socket there.
func (f *townsfolk) names() error {
	l, err := listen(f.container, "127.0.0.11:0")
	if err != nil {
		return err
	}
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	requests, err := firewall.Redirect(f.container.File, port, port)
	if err == nil {
		err = new(program.Ledger).Carry(requests...)
	}
	if err == nil {
		_, err = meet(l, f.container, netip.MustParseAddrPort("127.0.0.11:53"))
	}
	return err
}

// listen listens in a namespace.
func listen(there *network.Namespace, at string) (l net.Listener, err error) {
	err = there.Enter(func() error {
		l, err = net.Listen("tcp4", at)
		return err
	})
	return l, err
}

// meet connects to a listener from a namespace; it returns the address that the listener sees.
func meet(l net.Listener, from *network.Namespace, to netip.AddrPort) (seen netip.Addr, err error) {
	l.(*net.TCPListener).SetDeadline(time.Now().Add(answerTime)) //nolint:errcheck // a TCP socket has deadlines
	heard := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			seen = c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
			_, err = io.WriteString(c, "ok")
			c.Close()
		}
		heard <- err
	}()
	said := from.Enter(func() error {
		c, err := net.DialTimeout("tcp4", to.String(), answerTime)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(answerTime)) //nolint:errcheck // a TCP socket has deadlines
		_, err = io.ReadFull(c, make([]byte, 2))
		return err
	})
	if said != nil {
		l.Close()
	}
	return seen, errors.Join(said, <-heard)
}
