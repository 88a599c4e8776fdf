package tiny

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// message is a request to rtnetlink(7) being written.
type message struct {
	kind  uint16
	flags int
	body  []byte
}

func newMessage(kind uint16, flags int) *message {
	return &message{kind: kind, flags: flags | unix.NLM_F_REQUEST | unix.NLM_F_ACK}
}

func (m *message) bytes(b ...byte) *message {
	m.body = append(m.body, b...)
	return m
}

func (m *message) uint32(n uint32) *message {
	m.body = binary.NativeEndian.AppendUint32(m.body, n)
	return m
}

// attribute appends a type-length-value, padded to four bytes.
func (m *message) attribute(kind uint16, value []byte) *message {
	m.body = binary.NativeEndian.AppendUint16(m.body, uint16(4+len(value)))
	m.body = binary.NativeEndian.AppendUint16(m.body, kind)
	m.body = append(m.body, value...)
	for len(m.body)%4 != 0 {
		m.body = append(m.body, 0)
	}
	return m
}

func (m *message) text(kind uint16, value string) *message {
	return m.attribute(kind, append([]byte(value), 0))
}

func (m *message) number(kind uint16, n uint32) *message {
	return m.attribute(kind, binary.NativeEndian.AppendUint32(nil, n))
}

// exchange sends the request and gives the answers up to the acknowledgement, or its error.
func (m *message) exchange() (answers []syscall.NetlinkMessage, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	packet := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(m.body)))
	packet = binary.NativeEndian.AppendUint16(packet, m.kind)
	packet = binary.NativeEndian.AppendUint16(packet, uint16(m.flags))
	packet = append(binary.NativeEndian.AppendUint32(packet, 1), 0, 0, 0, 0)
	if err := unix.Sendto(fd, append(packet, m.body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		list, err := syscall.ParseNetlinkMessage(slices.Clone(buf[:n]))
		if err != nil {
			return nil, err
		}
		for _, answer := range list {
			switch answer.Header.Type {
			case unix.NLMSG_DONE:
				return answers, nil
			case unix.NLMSG_ERROR:
				if code := int32(binary.NativeEndian.Uint32(answer.Data)); code != 0 {
					return nil, unix.Errno(-code)
				}
				return answers, nil
			}
			answers = append(answers, answer)
		}
	}
}

func (m *message) do() error {
	_, err := m.exchange()
	return err
}

// dump asks for all objects of a kind, whose fixed part has the given size.
func dump(kind uint16, family byte, size int) ([]syscall.NetlinkMessage, error) {
	m := newMessage(kind, unix.NLM_F_DUMP)
	m.flags &^= unix.NLM_F_ACK
	fixed := make([]byte, size)
	fixed[0] = family
	return m.bytes(fixed...).exchange()
}

// attributes reads the type-length-values behind a fixed part.
func attributes(data []byte, fixed int) map[uint16][]byte {
	found := map[uint16][]byte{}
	for data = data[min(fixed, len(data)):]; len(data) >= 4; {
		size := int(binary.NativeEndian.Uint16(data))
		if size < 4 || size > len(data) {
			break
		}
		found[binary.NativeEndian.Uint16(data[2:])&0x3fff] = data[4:size]
		data = data[min(len(data), (size+3)&^3):]
	}
	return found
}

func u32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

func text0(b []byte) string { return strings.TrimRight(string(b), "\x00") }

// link is a network interface.
type link struct {
	index, master, peer int
	hardware            uint16
	flags               uint32
	name, qdisc, state  string
	mtu, queue          uint32
	address, broadcast  []byte
	otherNamespace      int // of a veth's peer; -1 when it is here
}

func listLinks() (list []link, err error) {
	answers, err := dump(unix.RTM_GETLINK, unix.AF_UNSPEC, unix.SizeofIfInfomsg)
	if err != nil {
		return nil, err
	}
	for _, a := range answers {
		if len(a.Data) < unix.SizeofIfInfomsg {
			continue
		}
		t := attributes(a.Data, unix.SizeofIfInfomsg)
		l := link{hardware: binary.NativeEndian.Uint16(a.Data[2:]), index: int(u32(a.Data[4:])), flags: u32(a.Data[8:]), name: text0(t[unix.IFLA_IFNAME]),
			qdisc: text0(t[unix.IFLA_QDISC]), mtu: u32(t[unix.IFLA_MTU]), queue: u32(t[unix.IFLA_TXQLEN]), master: int(u32(t[unix.IFLA_MASTER])),
			address: t[unix.IFLA_ADDRESS], broadcast: t[unix.IFLA_BROADCAST], otherNamespace: -1, state: "UNKNOWN"}
		if states := []string{"UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"}; len(t[unix.IFLA_OPERSTATE]) > 0 {
			if n := int(t[unix.IFLA_OPERSTATE][0]); n < len(states) {
				l.state = states[n]
			}
		}
		if id, ok := t[unix.IFLA_LINK_NETNSID]; ok {
			l.otherNamespace = int(int32(u32(id)))
		}
		if peer, ok := t[unix.IFLA_LINK]; ok {
			l.peer = int(u32(peer))
		}
		list = append(list, l)
	}
	return list, nil
}

// shown is the name with the other end's: eth0@if7.
func (l link) shown(i *ipping) string {
	switch {
	case l.peer == 0 && l.otherNamespace < 0, l.peer == l.index:
		return l.name
	case l.otherNamespace >= 0:
		return l.name + "@if" + strconv.Itoa(l.peer)
	}
	return l.name + "@" + i.name(l.peer)
}

func (l link) flagNames() string {
	var names []string
	add := func(bit uint32, name string) {
		if l.flags&bit != 0 {
			names = append(names, name)
		}
	}
	if l.flags&unix.IFF_UP != 0 && l.flags&unix.IFF_RUNNING == 0 {
		names = append(names, "NO-CARRIER")
	}
	add(unix.IFF_LOOPBACK, "LOOPBACK")
	add(unix.IFF_BROADCAST, "BROADCAST")
	add(unix.IFF_POINTOPOINT, "POINTOPOINT")
	add(unix.IFF_MULTICAST, "MULTICAST")
	add(unix.IFF_NOARP, "NOARP")
	add(unix.IFF_PROMISC, "PROMISC")
	add(unix.IFF_MASTER, "MASTER")
	add(unix.IFF_SLAVE, "SLAVE")
	add(unix.IFF_UP, "UP")
	add(unix.IFF_LOWER_UP, "LOWER_UP")
	return strings.Join(names, ",")
}

func (l link) kind() string {
	switch l.hardware {
	case unix.ARPHRD_ETHER:
		return "ether"
	case unix.ARPHRD_LOOPBACK:
		return "loopback"
	case unix.ARPHRD_NONE:
		return "none"
	case unix.ARPHRD_TUNNEL:
		return "ipip"
	case unix.ARPHRD_TUNNEL6:
		return "tunnel6"
	case unix.ARPHRD_SIT:
		return "sit"
	case unix.ARPHRD_IPGRE:
		return "gre"
	case unix.ARPHRD_PPP:
		return "ppp"
	}
	return strconv.Itoa(int(l.hardware))
}

func (l link) mac() string { return macText(l.address) }

func macText(b []byte) string {
	if len(b) == 4 && slices.Equal(b, []byte{0, 0, 0, 0}) {
		return "0.0.0.0"
	}
	var parts []string
	for _, x := range b {
		parts = append(parts, fmt.Sprintf("%02x", x))
	}
	return strings.Join(parts, ":")
}

// address is one of an interface.
type address struct {
	index               int
	prefix              netip.Prefix
	peer, broadcast     netip.Addr
	scope               byte
	flags               uint32
	label               string
	validFor, preferred uint32
}

func listAddresses(only int) (list []address, err error) {
	answers, err := dump(unix.RTM_GETADDR, byte(only), unix.SizeofIfAddrmsg)
	if err != nil {
		return nil, err
	}
	for _, answer := range answers {
		d := answer.Data
		if len(d) < unix.SizeofIfAddrmsg || only != 0 && int(d[0]) != only {
			continue
		}
		t := attributes(d, unix.SizeofIfAddrmsg)
		a := address{index: int(u32(d[4:])), scope: d[3], flags: uint32(d[2]), label: text0(t[unix.IFA_LABEL]), validFor: 1<<32 - 1, preferred: 1<<32 - 1}
		there, ok := netip.AddrFromSlice(t[unix.IFA_ADDRESS])
		here := there
		if local, has := netip.AddrFromSlice(t[unix.IFA_LOCAL]); has {
			here = local
		}
		if !ok {
			continue
		}
		if a.prefix = netip.PrefixFrom(here, int(d[1])); here != there {
			a.peer = there
		}
		a.broadcast, _ = netip.AddrFromSlice(t[unix.IFA_BROADCAST])
		if info := t[unix.IFA_CACHEINFO]; len(info) >= 8 {
			a.preferred, a.validFor = u32(info), u32(info[4:])
		}
		if f, ok := t[unix.IFA_FLAGS]; ok {
			a.flags = u32(f)
		}
		list = append(list, a)
	}
	return list, nil
}

// line is the address as ip addr shows it.
func (a address) line(l link) string {
	word := "inet"
	if a.prefix.Addr().Is6() {
		word = "inet6"
	}
	text := "    " + word + " " + a.prefix.String()
	if a.peer.IsValid() {
		text = "    " + word + " " + a.prefix.Addr().String() + " peer " + a.peer.String() + "/" + strconv.Itoa(a.prefix.Bits())
	}
	if a.broadcast.IsValid() {
		text += " brd " + a.broadcast.String()
	}
	text += " scope " + scopeName(a.scope)
	for _, f := range []struct {
		bit  uint32
		name string
	}{{unix.IFA_F_SECONDARY, "secondary"}, {unix.IFA_F_TENTATIVE, "tentative"}, {unix.IFA_F_DEPRECATED, "deprecated"}, {unix.IFA_F_DADFAILED, "dadfailed"}} {
		if a.flags&f.bit != 0 {
			text += " " + f.name
		}
	}
	if a.flags&unix.IFA_F_PERMANENT == 0 {
		text += " dynamic"
	}
	if a.label != "" {
		text += " " + a.label
	}
	return text + "\n       valid_lft " + lifetime(a.validFor) + " preferred_lft " + lifetime(a.preferred)
}

func lifetime(seconds uint32) string {
	if seconds == 1<<32-1 {
		return "forever"
	}
	return strconv.FormatUint(uint64(seconds), 10) + "sec"
}

func scopeName(scope byte) string {
	switch scope {
	case unix.RT_SCOPE_UNIVERSE:
		return "global"
	case unix.RT_SCOPE_SITE:
		return "site"
	case unix.RT_SCOPE_LINK:
		return "link"
	case unix.RT_SCOPE_HOST:
		return "host"
	case unix.RT_SCOPE_NOWHERE:
		return "nowhere"
	}
	return strconv.Itoa(int(scope))
}

// route is one of the routing table.
type route struct {
	to                    netip.Prefix
	via, source           netip.Addr
	index                 int
	metric                uint32
	table                 uint32
	family                byte
	protocol, scope, kind byte
	flags                 uint32
}

func readRoute(d []byte) (r route, ok bool) {
	if len(d) < unix.SizeofRtMsg {
		return r, false
	}
	t := attributes(d, unix.SizeofRtMsg)
	r = route{family: d[0], table: uint32(d[4]), protocol: d[5], scope: d[6], kind: d[7], flags: u32(d[8:]), index: int(u32(t[unix.RTA_OIF])), metric: u32(t[unix.RTA_PRIORITY])}
	if table, ok := t[unix.RTA_TABLE]; ok {
		r.table = u32(table)
	}
	to, valid := netip.AddrFromSlice(t[unix.RTA_DST])
	if !valid {
		to = netip.IPv4Unspecified()
		if r.family == unix.AF_INET6 {
			to = netip.IPv6Unspecified()
		}
	}
	r.to = netip.PrefixFrom(to, int(d[1]))
	r.via, _ = netip.AddrFromSlice(t[unix.RTA_GATEWAY])
	r.source, _ = netip.AddrFromSlice(t[unix.RTA_PREFSRC])
	return r, true
}

func (i *ipping) showRoutes(args []string) error {
	first, values, err := pairs(args, "dev", "table")
	if err != nil {
		return err
	}
	if first != "" && first != "default" {
		return fmt.Errorf("routes are shown by dev and table, or only the default: \"%s\" is none of these", first)
	}
	table := uint32(unix.RT_TABLE_MAIN)
	if name := values["table"]; name != "" {
		n, known := map[string]uint32{"main": unix.RT_TABLE_MAIN, "local": unix.RT_TABLE_LOCAL, "default": unix.RT_TABLE_DEFAULT, "all": 0}[name]
		if !known {
			number, err := strconv.ParseUint(name, 10, 32)
			if err != nil {
				return fmt.Errorf("invalid table '%s'", name)
			}
			n = uint32(number)
		}
		table = n
	}
	only := i.family
	if only == 0 {
		only = unix.AF_INET
	}
	answers, err := dump(unix.RTM_GETROUTE, byte(only), unix.SizeofRtMsg)
	if err != nil {
		return err
	}
	for _, a := range answers {
		r, ok := readRoute(a.Data)
		if !ok || int(r.family) != only || table != 0 && r.table != table || r.flags&unix.RTM_F_CLONED != 0 {
			continue
		}
		if first == "default" && r.to.IsValid() && r.to.Bits() > 0 {
			continue
		}
		if dev := values["dev"]; dev != "" && i.name(r.index) != dev {
			continue
		}
		i.print(i.routeText(r), "\n")
	}
	return nil
}

func (i *ipping) routeText(r route) string {
	text := ""
	switch r.kind {
	case unix.RTN_BLACKHOLE:
		text = "blackhole "
	case unix.RTN_UNREACHABLE:
		text = "unreachable "
	case unix.RTN_PROHIBIT:
		text = "prohibit "
	case unix.RTN_LOCAL:
		text = "local "
	case unix.RTN_BROADCAST:
		text = "broadcast "
	case unix.RTN_MULTICAST:
		text = "multicast "
	}
	switch {
	case r.to.Bits() == 0:
		text += "default"
	case r.to.IsSingleIP():
		text += r.to.Addr().String()
	default:
		text += r.to.String()
	}
	if r.via.IsValid() {
		text += " via " + r.via.String()
	}
	if r.index != 0 {
		text += " dev " + i.name(r.index)
	}
	if r.protocol == unix.RTPROT_KERNEL {
		text += " proto kernel"
	}
	if r.scope != unix.RT_SCOPE_UNIVERSE {
		text += " scope " + scopeName(r.scope)
	}
	if r.source.IsValid() {
		text += " src " + r.source.String()
	}
	if r.metric != 0 {
		text += " metric " + strconv.Itoa(int(r.metric))
	}
	return text
}

// send adds or deletes the route. Without a gateway it reaches its own link only, and says so by its scope.
func (r route) send(verb string) error {
	m, scope, kind := newMessage(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL), byte(unix.RT_SCOPE_UNIVERSE), byte(unix.RTN_UNICAST)
	if !r.via.IsValid() && r.to.Addr().Is4() {
		scope = unix.RT_SCOPE_LINK
	}
	switch {
	case prefixOf(verb, "replace", 1):
		m = newMessage(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	case prefixOf(verb, "delete", 1):
		m, scope, kind = newMessage(unix.RTM_DELROUTE, 0), unix.RT_SCOPE_NOWHERE, 0
	}
	protocol := byte(unix.RTPROT_BOOT)
	if kind == 0 {
		protocol = 0
	}
	m.bytes(family(r.to.Addr()), byte(r.to.Bits()), 0, 0, unix.RT_TABLE_MAIN, protocol, scope, kind).uint32(0)
	if r.to.Bits() > 0 {
		m.attribute(unix.RTA_DST, r.to.Masked().Addr().AsSlice())
	}
	if r.via.IsValid() {
		m.attribute(unix.RTA_GATEWAY, r.via.AsSlice())
	}
	if r.source.IsValid() {
		m.attribute(unix.RTA_PREFSRC, r.source.AsSlice())
	}
	if r.index != 0 {
		m.number(unix.RTA_OIF, uint32(r.index))
	}
	if r.metric != 0 {
		m.number(unix.RTA_PRIORITY, r.metric)
	}
	return m.do()
}

// routeTo asks the kernel which route it would take.
func (i *ipping) routeTo(args []string) error {
	text, values, err := pairs(args, "oif", "dev")
	if err != nil {
		return err
	}
	to, err := netip.ParseAddr(text)
	if err != nil {
		return fmt.Errorf("an inet address is expected rather than \"%s\"", text)
	}
	m := newMessage(unix.RTM_GETROUTE, 0)
	m.flags &^= unix.NLM_F_ACK
	m.bytes(family(to), byte(to.BitLen()), 0, 0, 0, 0, 0, 0).uint32(0).attribute(unix.RTA_DST, to.AsSlice())
	if dev := values["oif"] + values["dev"]; dev != "" {
		l, err := i.named(dev)
		if err != nil {
			return err
		}
		m.number(unix.RTA_OIF, uint32(l.index))
	}
	m.flags |= unix.NLM_F_ACK
	answers, err := m.exchange()
	if err != nil {
		return err
	}
	for _, a := range answers {
		if r, ok := readRoute(a.Data); ok {
			r.scope = unix.RT_SCOPE_UNIVERSE
			i.print(i.routeText(r), "\n")
		}
	}
	return nil
}

// neighbour is an entry of the ARP or neighbour-discovery table.
type neighbour struct {
	index   int
	address netip.Addr
	mac     []byte
	nud     uint16
}

func listNeighbours(only int) (list []neighbour, err error) {
	answers, err := dump(unix.RTM_GETNEIGH, byte(only), unix.SizeofNdMsg)
	if err != nil {
		return nil, err
	}
	for _, a := range answers {
		if len(a.Data) < unix.SizeofNdMsg {
			continue
		}
		t := attributes(a.Data, unix.SizeofNdMsg)
		n := neighbour{index: int(u32(a.Data[4:])), nud: binary.NativeEndian.Uint16(a.Data[8:]), mac: t[unix.NDA_LLADDR]}
		var ok bool
		if n.address, ok = netip.AddrFromSlice(t[unix.NDA_DST]); ok && n.nud&unix.NUD_NOARP == 0 {
			list = append(list, n)
		}
	}
	return list, nil
}

func (n neighbour) state() string {
	switch {
	case n.nud&unix.NUD_REACHABLE != 0:
		return "REACHABLE"
	case n.nud&unix.NUD_STALE != 0:
		return "STALE"
	case n.nud&unix.NUD_DELAY != 0:
		return "DELAY"
	case n.nud&unix.NUD_PROBE != 0:
		return "PROBE"
	case n.nud&unix.NUD_FAILED != 0:
		return "FAILED"
	case n.nud&unix.NUD_PERMANENT != 0:
		return "PERMANENT"
	case n.nud&unix.NUD_INCOMPLETE != 0:
		return "INCOMPLETE"
	}
	return "NONE"
}
