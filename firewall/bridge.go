package firewall

import (
	"hash/fnv"

	"github.com/google/nftables"
)

// The sets of table bridge, keyed by bridge ports, which are the host's ends of veth pairs. An address is taken within its network: a
// container that routes between two networks carries the one's addresses into the other. Which network a port belongs to is looked up
// (meta ibrname would tell, but many kernels are built without it) and stands in the packet's mark while it is judged; what comes
// out of another network namespace has no mark (skb_scrub_packet).
var (
	ports         = &set{family: bridged, id: 101, name: "ports", why: "bridge ports of glassbox's containers", key: joined{iifname}}
	networks      = &set{family: bridged, id: 102, name: "networks", why: "the network of each, by a number", key: joined{iifname}, value: joined{mark}}
	separated     = &set{family: bridged, id: 103, name: "separated", why: "ports on bridges whose containers do not reach one another", key: joined{iifname}}
	ownHardware   = &set{family: bridged, id: 104, name: "own_hardware", why: "a port and its hardware address", key: joined{iifname, etherSaddr}}
	takenHardware = &set{family: bridged, id: 105, name: "taken_hardware", why: "hardware addresses that somebody has", key: joined{mark, etherSaddr}}
	own4          = &set{family: bridged, id: 106, name: "own4", why: "a port and its address", key: joined{iifname, ipSaddr}}
	taken4        = &set{family: bridged, id: 107, name: "taken4", why: "addresses that somebody has, gateways too", key: joined{mark, ipSaddr}}
	own6          = &set{family: bridged, id: 108, name: "own6", why: "a port and its address", key: joined{iifname, ip6Saddr}}
	taken6        = &set{family: bridged, id: 109, name: "taken6", why: "addresses that somebody has, gateways too", key: joined{mark, ip6Saddr}}
	ownTarget     = &set{family: bridged, id: 110, name: "own_target", why: "own6, as neighbour advertisements have it", key: joined{iifname, target}}
	takenTarget   = &set{family: bridged, id: 111, name: "taken_target", why: "taken6, as neighbour advertisements have it", key: joined{mark, target}}

	bridgeSets = []*set{ports, networks, separated, ownHardware, takenHardware, own4, taken4, own6, taken6, ownTarget, takenTarget}
)

const bridged = nftables.TableFamilyBridge

// bridgeChains are the rules for frames between the ports of a bridge, which the host does not route. Addresses that nobody has are let
// through: a container may have further ones.
func bridgeChains() []chain {
	return []chain{
		{"prerouting", &hook{nftables.ChainTypeFilter, nftables.ChainHookPrerouting, "prerouting", -300, "-300"}, []rule{
			because("frames that a container sends", is(ports, iifname), follow("sender"))}},
		{"sender", nil, senderRules()},
		{"suspect", nil, suspectRules()},
		{"forward", &hook{nftables.ChainTypeFilter, nftables.ChainHookForward, "forward", -200, "-200"}, []rule{
			because("without br_netfilter no other table sees what stays within a bridge", is(separated, iifname), drop())}},
	}
}

// senderRules let pass what carries the sender's own addresses: nearly all, at the price of three lookups.
func senderRules() []rule {
	return []rule{
		because("not from its own hardware address", isnt(ownHardware, iifname, etherSaddr), follow("suspect")),
		because("not from an address of its own", isnt(own4, iifname, ipSaddr), follow("suspect")),
		because("says that it has another address", isnt(own4, iifname, arpSaddr), follow("suspect")),
		because("says that it has another address", advertisement(), isnt(ownTarget, iifname, target), follow("suspect")),
		because("not from an address of its own", isnt(own6, iifname, ip6Saddr), follow("suspect")),
	}
}

// suspectRules drop what carries another's address. Gateways are taken and no port's own: only this host, which does not send through a
// port, speaks for them.
func suspectRules() []rule {
	return []rule{
		because("which network's", marked(networks, iifname)),
		because("the bridge would send us another's frames", isnt(ownHardware, iifname, etherSaddr), is(takenHardware, mark, etherSaddr), drop()),
		because("another's address", isnt(own4, iifname, ipSaddr), is(taken4, mark, ipSaddr), drop()),
		because("another's address", isnt(own4, iifname, arpSaddr), is(taken4, mark, arpSaddr), drop()),
		because("another's address", isnt(own6, iifname, ip6Saddr), is(taken6, mark, ip6Saddr), drop()),
		because("another's address", advertisement(), isnt(ownTarget, iifname, target), is(takenTarget, mark, target), drop()),
		because("the mark was ours alone", unmarked()),
	}
}

// numberOf makes a mark of a network's bridge.
func numberOf(bridge string) datum {
	h := fnv.New32a()
	h.Write([]byte(bridge))
	return number(h.Sum32())
}
