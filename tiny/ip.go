package tiny

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ipping is an ip command under way.
type ipping struct {
	*call
	family int // AF_UNSPEC, AF_INET or AF_INET6
	brief  bool
	links  []link
}

var errUsage = errors.New("usage")

func ip(c *call) int {
	i := &ipping{call: c}
	args := c.args
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-4":
			i.family = unix.AF_INET
		case "-6":
			i.family = unix.AF_INET6
		case "-br", "-brief", "--brief":
			i.brief = true
		case "-o", "-oneline", "-c", "-d", "-details", "-s", "-color=never", "-n":
			return c.misused("option %s is not supported", args[0])
		default:
			return c.misused("invalid option '%s'", args[0])
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return c.misused("")
	}
	object, args := args[0], args[1:]
	verb := "show"
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	var err error
	if i.links, err = listLinks(); err != nil {
		return c.fail("can't ask the kernel for its interfaces: %s", reason(err))
	}
	switch {
	case prefixOf(object, "address", 1):
		err = i.address(verb, args)
	case prefixOf(object, "link", 1):
		err = i.link(verb, args)
	case prefixOf(object, "route", 1):
		err = i.route(verb, args)
	case prefixOf(object, "neighbour", 1), object == "neighbor":
		err = i.neighbours(verb, args)
	default:
		return c.misused("unknown object '%s'", object)
	}
	switch {
	case err == errUsage:
		return c.misused("")
	case err != nil:
		var errno unix.Errno
		if errors.As(err, &errno) {
			c.errorf("RTNETLINK answers: %s", reason(err))
			return 2
		}
		return c.fail("%v", err)
	}
	return c.bad
}

func prefixOf(word, whole string, least int) bool {
	return len(word) >= least && strings.HasPrefix(whole, word)
}

func (i *ipping) named(name string) (link, error) {
	for _, l := range i.links {
		if l.name == name {
			return l, nil
		}
	}
	return link{}, fmt.Errorf("can't find device '%s'", name)
}

func (i *ipping) name(index int) string {
	for _, l := range i.links {
		if l.index == index {
			return l.name
		}
	}
	return "if" + strconv.Itoa(index)
}

// pairs reads "dev eth0 via 10.0.0.1": a word that is no key goes to first.
func pairs(args []string, keys ...string) (first string, values map[string]string, err error) {
	values = map[string]string{}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if slices.Contains(keys, word) {
			if len(args) == 0 {
				return "", nil, fmt.Errorf("%s needs a value", word)
			}
			values[word], args = args[0], args[1:]
			continue
		}
		if first != "" {
			return "", nil, fmt.Errorf("either \"%s\" is duplicate, or \"%s\" is garbage", first, word)
		}
		first = word
	}
	return first, values, nil
}

func (i *ipping) address(verb string, args []string) error {
	switch {
	case prefixOf(verb, "show", 1), prefixOf(verb, "list", 1):
		return i.showAddresses(args)
	case prefixOf(verb, "add", 1), prefixOf(verb, "delete", 1):
		return i.changeAddress(prefixOf(verb, "add", 1), args)
	case prefixOf(verb, "flush", 1):
		return i.flushAddresses(args)
	}
	if _, err := i.named(verb); err == nil {
		return i.showAddresses([]string{"dev", verb})
	}
	return errUsage
}

func parsePrefix(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err == nil {
		return prefix, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return prefix, fmt.Errorf("an inet prefix is expected rather than \"%s\"", text)
	}
	return netip.PrefixFrom(address, address.BitLen()), nil
}

func (i *ipping) changeAddress(add bool, args []string) error {
	text, values, err := pairs(args, "dev", "broadcast", "brd", "label", "peer")
	if err != nil || text == "" || values["dev"] == "" {
		return errors.Join(err, errorUnless(err, errUsage))
	}
	prefix, err := parsePrefix(text)
	if err != nil {
		return err
	}
	dev, err := i.named(values["dev"])
	if err != nil {
		return err
	}
	peer := prefix.Addr()
	if values["peer"] != "" {
		p, err := parsePrefix(values["peer"])
		if err != nil {
			return err
		}
		peer, prefix = p.Addr(), netip.PrefixFrom(prefix.Addr(), p.Bits())
	}
	m := newMessage(unix.RTM_DELADDR, 0)
	if add {
		m = newMessage(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	}
	scope := byte(unix.RT_SCOPE_UNIVERSE)
	if prefix.Addr().IsLoopback() {
		scope = unix.RT_SCOPE_HOST
	}
	m.bytes(family(prefix.Addr()), byte(prefix.Bits()), 0, scope).uint32(uint32(dev.index))
	m.attribute(unix.IFA_LOCAL, prefix.Addr().AsSlice()).attribute(unix.IFA_ADDRESS, peer.AsSlice())
	if broadcast := values["broadcast"] + values["brd"]; broadcast != "" && prefix.Addr().Is4() {
		address := lastAddress(prefix)
		if broadcast != "+" {
			if address, err = netip.ParseAddr(broadcast); err != nil {
				return err
			}
		}
		m.attribute(unix.IFA_BROADCAST, address.AsSlice())
	}
	if label := values["label"]; label != "" {
		m.text(unix.IFA_LABEL, label)
	}
	return m.do()
}

func errorUnless(err, other error) error {
	if err != nil {
		return nil
	}
	return other
}

func lastAddress(prefix netip.Prefix) netip.Addr {
	b := prefix.Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(b)
}

func family(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func (i *ipping) flushAddresses(args []string) error {
	first, values, err := pairs(args, "dev")
	if err != nil {
		return err
	}
	dev, err := i.named(first + values["dev"])
	if err != nil {
		return err
	}
	list, err := listAddresses(i.family)
	for _, a := range list {
		if a.index == dev.index {
			err = errors.Join(err, i.changeAddress(false, []string{a.prefix.String(), "dev", dev.name}))
		}
	}
	return err
}

func (i *ipping) showAddresses(args []string) error {
	first, values, err := pairs(args, "dev")
	if err != nil {
		return err
	}
	only := first + values["dev"]
	if only != "" {
		if _, err := i.named(only); err != nil {
			return err
		}
	}
	list, err := listAddresses(i.family)
	if err != nil {
		return err
	}
	for _, l := range i.links {
		if only != "" && l.name != only {
			continue
		}
		mine := slices.DeleteFunc(slices.Clone(list), func(a address) bool { return a.index != l.index })
		if i.family != 0 && len(mine) == 0 {
			continue
		}
		if i.brief {
			var texts []string
			for _, a := range mine {
				texts = append(texts, a.prefix.String())
			}
			i.printf("%-16s %-14s %s\n", l.shown(i), l.state, strings.Join(texts, " "))
			continue
		}
		i.printLink(l, i.family == 0)
		for _, a := range mine {
			i.print(a.line(l), "\n")
		}
	}
	return nil
}

func (i *ipping) link(verb string, args []string) error {
	switch {
	case prefixOf(verb, "show", 2), prefixOf(verb, "list", 1):
		first, values, err := pairs(args, "dev")
		only := first + values["dev"]
		if err == nil && only != "" {
			_, err = i.named(only)
		}
		if err != nil {
			return err
		}
		for _, l := range i.links {
			if only != "" && l.name != only {
				continue
			}
			if i.brief {
				i.printf("%-16s %-14s %s <%s>\n", l.shown(i), l.state, l.mac(), l.flagNames())
			} else {
				i.printLink(l, true)
			}
		}
		return nil
	case prefixOf(verb, "set", 2):
		return i.setLink(args)
	case prefixOf(verb, "add", 1):
		return i.addLink(args)
	case prefixOf(verb, "delete", 1):
		first, values, err := pairs(args, "dev")
		if err != nil {
			return err
		}
		l, err := i.named(first + values["dev"])
		if err != nil {
			return err
		}
		return linkMessage(unix.RTM_DELLINK, 0, l.index).do()
	}
	return errUsage
}

func linkMessage(kind uint16, flags int, index int) *message {
	return newMessage(kind, flags).bytes(unix.AF_UNSPEC, 0, 0, 0).uint32(uint32(index)).uint32(0).uint32(0)
}

func (i *ipping) setLink(args []string) error {
	if len(args) > 0 && args[0] == "dev" {
		args = args[1:]
	}
	if len(args) == 0 {
		return errUsage
	}
	l, err := i.named(args[0])
	if err != nil {
		return err
	}
	m := newMessage(unix.RTM_NEWLINK, 0)
	flags, change := uint32(0), uint32(0)
	attributes := newMessage(0, 0)
	for args = args[1:]; len(args) > 0; args = args[1:] {
		if args[0] == "up" || args[0] == "down" {
			change |= unix.IFF_UP
			if args[0] == "up" {
				flags |= unix.IFF_UP
			}
			continue
		}
		if args[0] == "nomaster" {
			attributes.number(unix.IFLA_MASTER, 0)
			continue
		}
		if len(args) < 2 {
			return errUsage
		}
		key, value := args[0], args[1]
		args = args[1:]
		switch key {
		case "name":
			attributes.text(unix.IFLA_IFNAME, value)
		case "mtu":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return fmt.Errorf("invalid mtu '%s'", value)
			}
			attributes.number(unix.IFLA_MTU, uint32(n))
		case "master":
			master, err := i.named(value)
			if err != nil {
				return err
			}
			attributes.number(unix.IFLA_MASTER, uint32(master.index))
		case "address":
			mac, err := parseMAC(value)
			if err != nil {
				return err
			}
			attributes.attribute(unix.IFLA_ADDRESS, mac)
		case "netns":
			if err := attributes.netns(value); err != nil {
				return err
			}
		default:
			return fmt.Errorf("unknown command \"%s\"", key)
		}
	}
	m.bytes(unix.AF_UNSPEC, 0, 0, 0).uint32(uint32(l.index)).uint32(flags).uint32(change)
	m.body = append(m.body, attributes.body...)
	return m.do()
}

func parseMAC(text string) ([]byte, error) {
	var mac []byte
	for part := range strings.SplitSeq(text, ":") {
		n, err := strconv.ParseUint(part, 16, 8)
		if err != nil {
			return nil, fmt.Errorf("invalid address '%s'", text)
		}
		mac = append(mac, byte(n))
	}
	return mac, nil
}

// netns names a namespace by a pid or by a file in /run/netns; the descriptor stays open until the message is sent.
func (m *message) netns(value string) error {
	if pid, err := strconv.Atoi(value); err == nil {
		m.number(unix.IFLA_NET_NS_PID, uint32(pid))
		return nil
	}
	path := value
	if !strings.Contains(value, "/") {
		path = "/run/netns/" + value
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("can't open '%s': %s", path, reason(err))
	}
	m.number(unix.IFLA_NET_NS_FD, uint32(fd))
	return nil
}

// addLink makes links: ip link add NAME type bridge|dummy|veth [peer name NAME]|vlan|macvlan...
func (i *ipping) addLink(args []string) error {
	name, kind, peer, parent := "", "", "", ""
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch {
		case word == "peer":
			if len(args) > 0 && args[0] == "name" {
				args = args[1:]
			}
			if len(args) == 0 {
				return errUsage
			}
			peer, args = args[0], args[1:]
		case word == "type" || word == "name" || word == "dev" || word == "link":
			if len(args) == 0 {
				return errUsage
			}
			switch word {
			case "type":
				kind = args[0]
			case "link":
				parent = args[0]
			default:
				name = args[0]
			}
			args = args[1:]
		case name == "":
			name = word
		default:
			return fmt.Errorf("unknown argument \"%s\"", word)
		}
	}
	if name == "" || kind == "" {
		return errUsage
	}
	m := linkMessage(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, 0).text(unix.IFLA_IFNAME, name)
	if parent != "" {
		l, err := i.named(parent)
		if err != nil {
			return err
		}
		m.number(unix.IFLA_LINK, uint32(l.index))
	}
	info := newMessage(0, 0).text(unix.IFLA_INFO_KIND, kind)
	if kind == "veth" && peer != "" {
		other := newMessage(0, 0).bytes(make([]byte, unix.SizeofIfInfomsg)...).text(unix.IFLA_IFNAME, peer)
		info.attribute(unix.IFLA_INFO_DATA, newMessage(0, 0).attribute(1, other.body).body) // VETH_INFO_PEER
	}
	return m.attribute(unix.IFLA_LINKINFO, info.body).do()
}

func (i *ipping) route(verb string, args []string) error {
	switch {
	case prefixOf(verb, "show", 1), prefixOf(verb, "list", 1):
		return i.showRoutes(args)
	case prefixOf(verb, "add", 1), prefixOf(verb, "delete", 1), prefixOf(verb, "replace", 1):
		return i.changeRoute(verb, args)
	case prefixOf(verb, "get", 1):
		return i.routeTo(args)
	}
	return errUsage
}

func (i *ipping) changeRoute(verb string, args []string) error {
	text, values, err := pairs(args, "dev", "via", "src", "metric")
	if err != nil || text == "" {
		return errors.Join(err, errorUnless(err, errUsage))
	}
	r := route{table: unix.RT_TABLE_MAIN}
	if via := values["via"]; via != "" {
		if r.via, err = netip.ParseAddr(via); err != nil {
			return fmt.Errorf("an inet address is expected rather than \"%s\"", via)
		}
	}
	if text == "default" {
		r.to = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if r.via.Is6() || i.family == unix.AF_INET6 {
			r.to = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
	} else if r.to, err = parsePrefix(text); err != nil {
		return err
	}
	if dev := values["dev"]; dev != "" {
		l, err := i.named(dev)
		if err != nil {
			return err
		}
		r.index = l.index
	}
	if src := values["src"]; src != "" {
		if r.source, err = netip.ParseAddr(src); err != nil {
			return fmt.Errorf("an inet address is expected rather than \"%s\"", src)
		}
	}
	if metric := values["metric"]; metric != "" {
		n, err := strconv.ParseUint(metric, 10, 32)
		if err != nil {
			return fmt.Errorf("invalid metric '%s'", metric)
		}
		r.metric = uint32(n)
	}
	return r.send(verb)
}

func (i *ipping) neighbours(verb string, args []string) error {
	if !prefixOf(verb, "show", 1) && !prefixOf(verb, "list", 1) {
		return errUsage
	}
	first, values, err := pairs(args, "dev")
	if err != nil {
		return err
	}
	list, err := listNeighbours(i.family)
	if err != nil {
		return err
	}
	for _, n := range list {
		if only := first + values["dev"]; only != "" && i.name(n.index) != only {
			continue
		}
		i.printf("%s dev %s", n.address, i.name(n.index))
		if len(n.mac) > 0 {
			i.print(" lladdr ", macText(n.mac))
		}
		i.print(" ", n.state(), "\n")
	}
	return nil
}

func (i *ipping) printLink(l link, ether bool) {
	i.printf("%d: %s: <%s> mtu %d qdisc %s", l.index, l.shown(i), l.flagNames(), l.mtu, l.qdisc)
	if l.master != 0 {
		i.print(" master ", i.name(l.master))
	}
	i.printf(" state %s", l.state)
	if l.queue > 0 {
		i.printf(" qlen %d", l.queue)
	}
	i.print("\n")
	if ether {
		i.printf("    link/%s", l.kind())
		if mac := l.mac(); mac != "" {
			i.printf(" %s brd %s", mac, macText(l.broadcast))
		}
		if l.otherNamespace >= 0 {
			i.printf(" link-netnsid %d", l.otherNamespace)
		}
		i.print("\n")
	}
}
