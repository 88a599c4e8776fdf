package firewall

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// xtables is where the structures of a family's iptables have their fields: linux/netfilter_ipv4/ip_tables.h, netfilter_ipv6/ip6_tables.h.
type xtables struct {
	family     byte
	names      string // the file that lists tables which the network namespace has; asking for another would make it
	level      int
	domain     int
	label      string
	addresses  int // their bytes, with masks, at an entry's begin
	interfaces int
	proto      int // 2 bytes; then, in IPv6 after one of TOS, flags and invflags
	flags      int
	target     int  // target_offset and next_offset
	entry      int  // size of the entry without matches
	leave      byte // IPT_F_GOTO, IP6T_F_GOTO
}

var legacyFamilies = []xtables{
	{family: unix.NFPROTO_IPV4, names: "/proc/thread-self/net/ip_tables_names", level: unix.SOL_IP, domain: unix.AF_INET, label: "legacy table ip filter",
		addresses: 16, interfaces: 16, proto: 80, flags: 82, target: 88, entry: 112, leave: 2},
	{family: unix.NFPROTO_IPV6, names: "/proc/thread-self/net/ip6_tables_names", level: unix.SOL_IPV6, domain: unix.AF_INET6, label: "legacy table ip6 filter",
		addresses: 64, interfaces: 64, proto: 128, flags: 131, target: 140, entry: 168, leave: 4},
}

// legacyGates are the chains FORWARD of iptables-legacy.
func legacyGates() ([]*gate, error) {
	var gates []*gate
	for _, x := range legacyFamilies {
		names, err := os.ReadFile(x.names)
		if err != nil || !slices.Contains(strings.Fields(string(names)), "filter") {
			continue // the kernel has no such tables, or nobody here used them
		}
		g, err := x.gate()
		if err != nil {
			return gates, fmt.Errorf("reading the %s: %w", x.label, err)
		}
		gates = append(gates, g)
	}
	return gates, nil
}

const (
	getInfo    = 64 // IPT_SO_GET_INFO and IP6T_SO_GET_INFO
	getEntries = 65
	infoSize   = 84 // name, valid_hooks, hook_entry[5], underflow[5], num_entries, size
	headSize   = 40 // of ipt_get_entries, with padding
)

func (x xtables) gate() (*gate, error) {
	fd, err := unix.Socket(x.domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	info := make([]byte, infoSize)
	copy(info, "filter")
	if err := getsockopt(fd, x.level, getInfo, info); err != nil {
		return nil, err
	}
	size := binary.NativeEndian.Uint32(info[80:])
	all := make([]byte, headSize+int(size))
	copy(all, "filter")
	binary.NativeEndian.PutUint32(all[32:], size)
	if err := getsockopt(fd, x.level, getEntries, all); err != nil {
		return nil, err
	}
	const forward = 4 * unix.NF_INET_FORWARD
	return x.parse(all[headSize:], binary.NativeEndian.Uint32(info[36+forward:]), binary.NativeEndian.Uint32(info[56+forward:]))
}

func getsockopt(fd, level, option int, b []byte) error {
	n := uint32(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// parse reads the entries. FORWARD stands from its hook's entry to its underflow, which is the policy; chains of users begin
// behind an entry that carries their name.
func (x xtables) parse(b []byte, hook, underflow uint32) (*gate, error) {
	g := &gate{where: x.label, table: "filter", chain: "FORWARD", family: x.family, legacy: true}
	entries, err := x.entries(b)
	if err != nil {
		return nil, err
	}
	heads := map[int]string{int(hook): g.chain}
	for _, e := range entries {
		if e.head() != "" {
			heads[e.at+len(e.bytes)] = e.head()
			g.chains = append(g.chains, e.head())
		}
	}
	rules := map[string][]foreign{}
	chain := ""
	for _, e := range entries {
		if heads[e.at] != "" {
			chain = heads[e.at]
		}
		switch {
		case e.at == int(underflow):
			g.drops, chain = e.deed(heads).kind == drops, ""
		case chain != "" && e.head() == "":
			rules[chain] = append(rules[chain], e.rule(heads))
		}
	}
	g.rules = func(chain string) []foreign { return rules[chain] }
	return g, nil
}

func (x xtables) entries(b []byte) ([]entry, error) {
	var all []entry
	for at := 0; at+x.entry <= len(b); {
		next := int(binary.NativeEndian.Uint16(b[at+x.target+2:]))
		if next < x.entry || at+next > len(b) {
			return nil, fmt.Errorf("entry at %d has %d bytes", at, next)
		}
		all = append(all, entry{x, at, b[at : at+next]})
		at += next
	}
	return all, nil
}

// entry is one rule of iptables-legacy.
type entry struct {
	x     xtables
	at    int // its place in the table
	bytes []byte
}

// aim is the target: size, name and revision in 32 bytes, then its own.
func (e entry) aim() (string, []byte) {
	return part(e.bytes[binary.NativeEndian.Uint16(e.bytes[e.x.target:]):])
}

func part(b []byte) (string, []byte) {
	if len(b) < 32 {
		return "", nil
	}
	n, _, _ := bytes.Cut(b[2:31], []byte{0})
	return string(n), b[32:]
}

// head is the name of the chain that this entry begins, if it is such a one.
func (e entry) head() string {
	if n, data := e.aim(); n == "ERROR" {
		h, _, _ := bytes.Cut(data, []byte{0})
		if string(h) != "ERROR" { // the table's end
			return string(h)
		}
	}
	return ""
}

func (e entry) deed(heads map[int]string) deed {
	n, data := e.aim()
	if n == "REJECT" {
		return deed{kind: drops}
	}
	if n != "" || len(data) < 4 {
		return deed{}
	}
	switch v := int32(binary.NativeEndian.Uint32(data)); {
	case v == -1: // -NF_DROP-1
		return deed{kind: drops}
	case v == -2: // -NF_ACCEPT-1
		return deed{kind: accepts}
	case v == -5: // XT_RETURN
		return deed{kind: returns}
	case v >= 0 && e.flags()[0]&e.x.leave != 0:
		return deed{goes, heads[int(v)]}
	case v >= 0:
		return deed{jumps, heads[int(v)]}
	}
	return deed{}
}

func (e entry) flags() []byte { return e.bytes[e.x.flags:] }

func (e entry) rule(heads map[int]string) foreign {
	does := e.deed(heads)
	return func(p passer) (certainty, bool, deed) {
		in, inNamed := e.link(p, p.in, 0)
		out, outNamed := e.link(p, p.out, 1)
		return min(in, out, e.rest()), inNamed || outNamed, does
	}
}

// link compares an interface, under the mask that leaves out what a + stands for.
func (e entry) link(p passer, link string, which int) (match certainty, named bool) {
	b := e.bytes[e.x.interfaces:]
	want, mask := b[16*which:16*which+16], b[32+16*which:32+16*which+16]
	if !slices.ContainsFunc(mask, func(m byte) bool { return m != 0 }) {
		return yes, false
	}
	if link == "" {
		return perhaps, false
	}
	same := true
	for i, c := range name(link).bytes {
		same = same && (c^want[i])&mask[i] == 0
	}
	if inverted := e.flags()[1]&(1<<which) != 0; same == inverted { // IPT_INV_VIA_IN, IPT_INV_VIA_OUT
		return no, false
	}
	return yes, same && link == p.bridge
}

// rest is what we cannot know: addresses, protocols, fragments, and what matches of their own look at.
func (e entry) rest() certainty {
	anything := func(b []byte) bool { return slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }
	masks := e.bytes[e.x.addresses/2 : e.x.addresses]
	if anything(masks) || anything(e.bytes[e.x.proto:e.x.proto+2]) || e.flags()[0]&1 != 0 && e.x.family == unix.NFPROTO_IPV4 {
		return perhaps
	}
	target := int(binary.NativeEndian.Uint16(e.bytes[e.x.target:]))
	for at := e.x.entry; at+32 <= target; {
		if n, _ := part(e.bytes[at:]); n != "comment" {
			return perhaps
		}
		size := int(binary.NativeEndian.Uint16(e.bytes[at:]))
		if size < 32 {
			break
		}
		at += size
	}
	return yes
}
