package firewall

import "github.com/google/nftables"

// The sets of table inet. Keys are names of interfaces, since a bridge that was deleted by hand and made anew has another index.
var (
	bridges  = &set{family: inet, id: 1, name: "bridges", why: "the bridges of glassbox's networks", key: joined{iifname}}
	same     = &set{family: inet, id: 2, name: "same", why: "in and out by one and the same bridge", key: joined{iifname, oifname}}
	internal = &set{family: inet, id: 3, name: "internal", why: "nobody outside is reached, and nobody outside reaches it", key: joined{iifname}}
	isolated = &set{family: inet, id: 4, name: "isolated", why: "its containers do not reach one another either", key: joined{iifname}}

	published4  = &set{family: inet, id: 5, name: "published4", why: "published on one address", key: joined{ipDaddr, l4proto, dport}, value: joined{ipDaddr, dport}}
	published6  = &set{family: inet, id: 6, name: "published6", why: "published on one address", key: joined{ip6Daddr, l4proto, dport}, value: joined{ip6Daddr, dport}}
	everywhere4 = &set{family: inet, id: 7, name: "everywhere4", why: "published on all addresses", key: joined{l4proto, dport}, value: joined{ipDaddr, dport}}
	everywhere6 = &set{family: inet, id: 8, name: "everywhere6", why: "published on all addresses", key: joined{l4proto, dport}, value: joined{ip6Daddr, dport}}
	self4       = &set{family: inet, id: 9, name: "self4", why: "a container and a port that is published for it", key: joined{ipSaddr, l4proto, dport}}
	self6       = &set{family: inet, id: 10, name: "self6", why: "a container and a port that is published for it", key: joined{ip6Saddr, l4proto, dport}}
	loopback    = &set{family: inet, id: 11, name: "loopback", why: "published on 127.0.0.0/8: for this host alone", key: joined{ipDaddr, l4proto, dport}}

	masquerade4 = &set{family: inet, id: 12, name: "masquerade4", why: "subnets that go out with the host's address", key: joined{ipSaddr}, interval: true}
	masquerade6 = &set{family: inet, id: 13, name: "masquerade6", why: "subnets that go out with the host's address", key: joined{ip6Saddr}, interval: true}
	sources4    = &set{family: inet, id: 14, name: "sources4", why: "subnets that go out with an address of their own", key: joined{ipSaddr}, value: joined{ipSaddr}, interval: true}
	sources6    = &set{family: inet, id: 15, name: "sources6", why: "subnets that go out with an address of their own", key: joined{ip6Saddr}, value: joined{ip6Saddr}, interval: true}

	inetSets = []*set{bridges, same, internal, isolated, published4, published6, everywhere4, everywhere6, self4, self6, loopback,
		masquerade4, masquerade6, sources4, sources6}
)

const inet = nftables.TableFamilyINet

// inetChains are the rules for what the host routes. A packet that is not of our bridges passes two lookups (forward) and three
// comparisons (guard) that it fails; the nat chains see only the first packet of a connection.
func inetChains() []chain {
	return []chain{
		{"guard", &hook{nftables.ChainTypeFilter, nftables.ChainHookPrerouting, "prerouting", -300, "raw"}, guardRules()},
		{"prerouting", &hook{nftables.ChainTypeNAT, nftables.ChainHookPrerouting, "prerouting", -100, "dstnat"}, []rule{
			because("ports are published on this host's addresses only", toThisHost(), follow("publish"))}},
		{"output", &hook{nftables.ChainTypeNAT, nftables.ChainHookOutput, "output", -100, "-100"}, []rule{
			because("this host uses its published ports, too", toThisHost(), follow("publish"))}},
		{"publish", nil, publishRules()},
		{"forward", &hook{nftables.ChainTypeFilter, nftables.ChainHookForward, "forward", 0, "filter"}, []rule{
			because("what comes from a bridge of ours", is(bridges, iifname), follow("ours")),
			because("what goes to one; all else is not ours to judge", is(bridges, oifname), follow("ours"))}},
		{"ours", nil, oursRules()},
		{"postrouting", &hook{nftables.ChainTypeNAT, nftables.ChainHookPostrouting, "postrouting", 100, "srcnat"}, postroutingRules()},
		{"inward", nil, inwardRules()},
	}
}

// guardRules keep 127.0.0.0/8 inside this host. Our bridges have route_localnet=1, without which the kernel would not send what
// came from 127.0.0.1 to a container; that setting also lets such packets in (ip-sysctl, CVE-2020-8558).
func guardRules() []rule {
	return []rule{
		because("no container is 127.0.0.1", within(ipSaddr, "127.0.0.0/8"), is(bridges, iifname), drop()),
		because("no container reaches this host's 127.0.0.1", within(ipDaddr, "127.0.0.0/8"), is(bridges, iifname), drop()),
		because("published on 127.0.0.1 means for this host alone, even with route_localnet elsewhere", within(ipDaddr, "127.0.0.0/8"), notLoopback(),
			is(loopback, ipDaddr, l4proto, dport), drop()),
	}
}

// publishRules send published ports to their containers; an address of its own wins over all addresses. What is not sent on here
// reaches the listening socket that the container's attendant holds. A container that calls itself must take that way: where br_netfilter is
// loaded the bridge itself carries packets whose destination was changed to one of its ports, and never back out by the port they came from.
func publishRules() []rule {
	return []rule{
		because("::1 cannot leave this host: the attendant answers", within(ip6Daddr, "::1/128"), back()),
		because("link-local addresses mean nothing behind a router: the attendant answers", within(ip6Daddr, "fe80::/10"), back()),
		because("a container that calls itself: the attendant answers", is(self4, ipSaddr, l4proto, dport), back()),
		because("a container that calls itself: the attendant answers", is(self6, ip6Saddr, l4proto, dport), back()),
		because("published on this address", dnat("ip", published4, ipDaddr, l4proto, dport)),
		because("published on this address", dnat("ip6", published6, ip6Daddr, l4proto, dport)),
		because("published on all addresses", dnat("ip", everywhere4, l4proto, dport)),
		because("published on all addresses", dnat("ip6", everywhere6, l4proto, dport)),
	}
}

// oursRules say who may speak to whom. With br_netfilter loaded they see what stays within a bridge, too.
func oursRules() []rule {
	return []rule{
		because("answers, and what belongs to a connection", known(), accept()),
		because("neighbours on one bridge", is(same, iifname, oifname), isnt(isolated, iifname), accept()),
		because("internal: nobody outside is reached", is(internal, iifname), drop()),
		because("internal: nobody outside reaches it", is(internal, oifname), drop()),
		because("published ports, from wherever", redirected(), accept()),
		because("all other ports: neither from other networks nor from other machines", is(bridges, oifname), drop()),
	}
}

// postroutingRules choose the source address of what leaves a subnet.
func postroutingRules() []rule {
	return []rule{
		because("into a bridge of ours clients keep their address, as a rule", is(bridges, oifname), follow("inward")),
		because("networks with a source address of their own", snat("ip", sources4, ipSaddr)),
		because("networks with a source address of their own", snat("ip6", sources6, ip6Saddr)),
		because("the world does not know the way to our subnets", is(masquerade4, ipSaddr), masquerade()),
		because("the world does not know the way to our subnets", is(masquerade6, ip6Saddr), masquerade()),
	}
}

// inwardRules are the two cases in which the answer would not come back to who changed the destination.
func inwardRules() []rule {
	return []rule{
		because("a container would answer 127.0.0.1 to itself", within(ipSaddr, "127.0.0.0/8"), masquerade()),
		because("a neighbour would be answered directly, by an address that it never called", redirected(), is(same, iifname, oifname), masquerade()),
	}
}
