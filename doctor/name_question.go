package doctor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"glassbox/network"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// reply is what came of one question, or of those with the search list's names.
type reply struct {
	name      string // as it was asked for
	addresses []netip.Addr
	code      dnsmessage.RCode
	err       error
	took      time.Duration
	from, to  netip.AddrPort // the question's packet, as its sender sees it
}

// settles: the server has answered that there is such a name, or that there is none. SERVFAIL and REFUSED have clients ask the next one.
func (r reply) settles() bool {
	return r.err == nil && (r.code == dnsmessage.RCodeSuccess || r.code == dnsmessage.RCodeNameError)
}

// silent: nothing came back.
func (r reply) silent() bool { return errors.Is(r.err, os.ErrDeadlineExceeded) }

func (r reply) result() Result {
	switch {
	case !r.settles():
		return Fail
	case len(r.addresses) == 0:
		return Warn
	}
	return Pass
}

func (r reply) said() string {
	var errno syscall.Errno
	switch {
	case r.silent():
		return "no answer within " + answerTime.String()
	case errors.As(r.err, &errno):
		return named(errno)
	case r.err != nil:
		return r.err.Error()
	case r.code == dnsmessage.RCodeNameError:
		return "no such name (NXDOMAIN)"
	case r.code == dnsmessage.RCodeServerFailure:
		return "it found nobody who knows (SERVFAIL)"
	case r.code == dnsmessage.RCodeRefused:
		return "it refuses to answer (REFUSED)"
	case r.code != dnsmessage.RCodeSuccess:
		return "response code " + r.code.String()
	case len(r.addresses) == 0:
		return "the name has no address"
	}
	var all []string
	for _, a := range r.addresses {
		all = append(all, a.String())
	}
	return strings.Join(all, ", ")
}

func (r reply) String() string {
	if r.err != nil {
		return fmt.Sprintf("for %s: %s", r.name, r.said())
	}
	return fmt.Sprintf("for %s: %s, after %s", r.name, r.said(), r.took.Round(10*time.Microsecond))
}

// question asks a server for the name, as the C library completes it, until an answer has addresses.
func (a *asker) question(ns *network.Namespace, server netip.Addr) (r reply) {
	for _, name := range a.candidates() {
		for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
			if r = ask(ns, server, name, kind); !r.settles() || len(r.addresses) > 0 {
				return r
			}
		}
	}
	return r
}

// candidates are the names that are asked for, resolv.conf(5): one with fewer dots than ndots says is tried with the search list first.
func (a *asker) candidates() []string {
	name, whole := strings.CutSuffix(a.way.Name, ".")
	if whole {
		return []string{name}
	}
	ndots := 1
	for _, o := range a.options {
		fmt.Sscanf(o, "ndots:%d", &ndots) //nolint:errcheck // another option
	}
	var all []string
	for _, domain := range a.search {
		if domain != "." {
			all = append(all, name+"."+strings.TrimSuffix(domain, "."))
		}
	}
	if strings.Count(name, ".") >= ndots {
		return append([]string{name}, all...)
	}
	return append(all, name)
}

// ask sends one question by UDP, from a network namespace; nil is the host's.
func ask(ns *network.Namespace, server netip.Addr, name string, kind dnsmessage.Type) (r reply) {
	r = reply{name: name, to: netip.AddrPortFrom(server, 53)}
	began := time.Now()
	defer func() { r.took = time.Since(began) }()
	message, err := written(name, kind)
	if err != nil {
		r.err = err
		return r
	}
	var c *net.UDPConn
	dial := func() (err error) {
		c, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(r.to))
		return err
	}
	if ns == nil {
		r.err = dial()
	} else {
		r.err = ns.Enter(dial)
	}
	if r.err != nil {
		return r
	}
	defer c.Close()
	r.from = c.LocalAddr().(*net.UDPAddr).AddrPort()
	c.SetDeadline(time.Now().Add(answerTime)) //nolint:errcheck // a UDP socket has deadlines
	if _, r.err = c.Write(message); r.err != nil {
		return r
	}
	answer := make([]byte, 4096)
	n, err := c.Read(answer)
	if r.err = err; err == nil {
		r.read(answer[:n])
	}
	return r
}

func written(name string, kind dnsmessage.Type) ([]byte, error) {
	n, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return nil, fmt.Errorf("%s is no name of DNS: %w", name, err)
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: uint16(time.Now().UnixNano()), RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: kind, Class: dnsmessage.ClassINET}},
	}
	return m.Pack()
}

// read takes the addresses of an answer. One that was cut short has some.
func (r *reply) read(message []byte) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err == nil {
		err = p.SkipAllQuestions()
	}
	if r.code, r.err = header.RCode, err; err != nil {
		return
	}
	for {
		one, err := p.Answer()
		if err != nil { // the end, of it or of what can be read
			return
		}
		switch body := one.Body.(type) {
		case *dnsmessage.AResource:
			r.addresses = append(r.addresses, netip.AddrFrom4(body.A))
		case *dnsmessage.AAAAResource:
			r.addresses = append(r.addresses, netip.AddrFrom16(body.AAAA))
		}
	}
}

// route asks the kernel which way packets to an address take, ip-route(8): get. False: there is none.
func (a *asker) route(ns *network.Namespace, to netip.Addr) bool {
	station, who := to.String()+", the way there", "from the host"
	why, fix := "this host has no route to the server: it is not connected", "ip route; ip -br addr; or a server that is in reach: --dns ADDRESS"
	if ns != nil {
		who, why = "from the container", "a packet leaves by a route, and a container that is on no network has none (--network none)"
		fix = fmt.Sprintf("glassbox network disconnect none %s; glassbox network connect bridge %[1]s", a.sight.Name)
	} else if a.sight != nil {
		station = to.String() + ", the host's way"
	}
	words := ""
	look := func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		routes, err := h.RouteGet(to.AsSlice())
		if err == nil && len(routes) == 0 {
			err = unix.ENETUNREACH
		}
		if err != nil {
			return err
		}
		words = routeWords(h, routes[0])
		return nil
	}
	var err error
	if ns == nil {
		err = look()
	} else {
		err = ns.Enter(look)
	}
	if err != nil {
		a.tell(station, Fail, "%s there is none: %s", who, named(err))
		a.way.Why, a.way.Fix = why, fix
		return false
	}
	a.tell(station, Pass, "%s %s", who, words)
	return true
}

func routeWords(h *netlink.Handle, r netlink.Route) string {
	words := "by interface " + fmt.Sprint(r.LinkIndex)
	if l, err := h.LinkByIndex(r.LinkIndex); err == nil {
		words = "by " + l.Attrs().Name
	}
	if r.Gw != nil {
		words += ", gateway " + r.Gw.String()
	}
	if r.Src != nil {
		words += ", as " + r.Src.String()
	}
	return words
}

// packet finds the question in the kernel's table of connections, which knows under which address it has left the host.
func (a *asker) packet(r reply) {
	if !r.from.IsValid() || !r.from.Addr().Unmap().Is4() {
		return
	}
	flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
	if err != nil {
		a.tell("the packet", Warn, "the kernel's table of connections cannot be read: %s", named(err))
		return
	}
	i := slices.IndexFunc(flows, func(f *netlink.ConntrackFlow) bool {
		return f.Forward.Protocol == unix.IPPROTO_UDP && f.Forward.SrcPort == r.from.Port() && f.Forward.DstPort == r.to.Port() &&
			f.Forward.SrcIP.Equal(r.from.Addr().AsSlice()) && f.Forward.DstIP.Equal(r.to.Addr().AsSlice())
	})
	switch {
	case i < 0 && r.err == nil:
		a.tell("the packet", Pass, "%s to %s: the host tracks no such connection, and has changed nothing in it", r.from, r.to)
		return
	case i < 0:
		a.tell("the packet", Warn, "%s to %s is not in the host's table of connections: a firewall has dropped it, or none tracks it", r.from, r.to)
		return
	}
	back := flows[i].Reverse
	if back.DstIP.Equal(r.from.Addr().AsSlice()) {
		a.tell("the packet", Pass, "%s to %s has left the host as it was", r.from, r.to)
		return
	}
	a.tell("the packet", Pass, "%s to %s has left the host as %s:%d (masquerade): answers come there, and are sent on", r.from, r.to, back.DstIP, back.DstPort)
}
