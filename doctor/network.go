package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"glassbox/engine"
	"glassbox/firewall"
	"glassbox/network"

	"github.com/google/nftables"
)

const modules = "modprobe bridge veth nf_tables nft_chain_nat nft_masq; in a container: the machine around it must have them loaded"

func networkProbes() []probe {
	return []probe{
		stage(stageSpaces, "each container has a network namespace", "net-namespace", "made three: a host, a container, somebody outside", modules),
		stage(stageBridge, "a network of containers is a bridge, a switch in the kernel", "bridge-nat", "made, with the gateway's address", modules),
		stage(stageVeth, "a container is plugged in by a veth pair", "bridge-nat", "plugged in, with address and route", modules),
		stage(stageForward, "the host routes between containers and the world", "bridge-nat", "turned on there; sources filtered as on this machine (rp_filter)", "make /proc/sys/net writable: in a container, run that one with --privileged"),
		stage(stageFirewall, "one table of nftables decides who speaks to whom, and holds the published ports", "bridge-nat", "made the tables, sets and maps that a start makes", modules),
		stage(stagePublish, "run -p: DNAT in the kernel", "bridge-nat", "connected from outside and from 127.0.0.1 to a published port", modules+" nft_nat nf_conntrack"),
		stage(stageOut, "containers reach the world by the host's address", "bridge-nat", "connected out of the container; outside the host's address was seen", modules),
		stage(stageNames, "containers find each other by name at 127.0.0.11", "names-dns", "redirected port 53 of 127.0.0.11 in the container", modules+" nft_redir"),
		{"network", "ip_forward", "the first container on a bridge turns it on for this machine, and says so", "bridge-nat", tryForwardFile},
		{"network", "foreign-rules", "each firewall that looks at forwarded packets must let them pass", "bridge-nat", tryBlockers},
		{"network", "iptables-legacy", "rules in two places: iptables-legacy and nft do not show each other's", "bridge-nat", tryLegacy},
		{"network", "bridge-nf", "with bridge-nf-call-iptables packets between containers of one bridge go through FORWARD too", "bridge-nat", tryBridgeNf},
		{"network", "subnets", "a new network takes a subnet that this machine has no route to", "bridge-nat", trySubnets},
		{"network", "resolver", "containers ask the name servers of this machine (read, not asked)", "names-dns", tryResolver},
		{"network", "conntrack", "each connection through NAT has an entry", "bridge-nat", tryConntrack},
	}
}

func stage(name, why, lab, found, fix string) probe {
	return probe{"network", name, why, lab, func(m *machine) finding { return m.town().stage(name, found, fix) }}
}

func tryForwardFile(*machine) finding {
	const path = "/proc/sys/net/ipv4/ip_forward"
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	switch now := text(path); {
	case err == nil:
		f.Close()
		return pass("net.ipv4.ip_forward=" + now + ", and can be set")
	case now == "1":
		return pass("net.ipv4.ip_forward=1")
	}
	return fail(named(err)+"; it is off", "as root, sysctl -w net.ipv4.ip_forward=1 on this machine; in a container: where that one is started")
}

// tryBlockers looks for rules of others that drop what our bridges forward: of the default network and those that there are.
func tryBlockers(*machine) finding {
	bridges := []string{"glassbox0"}
	present, err := network.Interfaces()
	for _, i := range present {
		if i.Kind == "bridge" && i.Name != "glassbox0" && strings.HasPrefix(i.Name, "gb-") {
			bridges = append(bridges, i.Name)
		}
	}
	found, lost := firewall.Blockers(bridges)
	if len(found) == 0 {
		if err = errors.Join(err, lost); err != nil {
			return warn("could not read all rules: "+named(err), asRoot)
		}
		return pass("no rule of others drops what is forwarded by " + strings.Join(bridges, ", "))
	}
	var what, fix []string
	for _, b := range found {
		whose := b.What
		if b.Who != "" {
			whose += " (" + b.Who + ")"
		}
		what, fix = append(what, whose), append(fix, b.Fix)
	}
	return fail(strings.Join(what, "; "), strings.Join(fix, "; ")).
		because("that one chain accepts does not help: each that hooks into forwarding must let a packet pass. glassbox changes no rules of others")
}

func tryLegacy(*machine) finding {
	var legacy []string
	for _, v := range []string{"ip", "ip6"} {
		for _, t := range strings.Fields(text("/proc/net/" + v + "_tables_names")) {
			legacy = append(legacy, v+"tables "+t)
		}
	}
	if len(legacy) == 0 {
		return pass("no tables of iptables-legacy")
	}
	c, err := nftables.New()
	if err != nil {
		return warn(named(err), asRoot)
	}
	tables, err := c.ListTables()
	if err != nil {
		return warn(named(err), asRoot)
	}
	if len(tables) == 0 {
		return pass("only iptables-legacy has tables: " + strings.Join(legacy, ", "))
	}
	return warn(fmt.Sprintf("both have tables: iptables-legacy (%s) and nftables (%d)", strings.Join(legacy, ", "), len(tables)),
		"look at both: iptables-legacy-save; nft list ruleset; then keep one: update-alternatives --config iptables")
}

func tryBridgeNf(m *machine) finding {
	const path = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	switch text(path) {
	case "":
		return pass("the module br_netfilter is not loaded")
	case "0":
		return pass("off")
	}
	if tryBlockers(m).result == Fail {
		return fail("on, and a rule of others drops forwarded packets", "sysctl -w net.bridge.bridge-nf-call-iptables=0, or let the bridges pass (see foreign-rules)").
			because("containers of one network cannot talk to each other either")
	}
	return pass("on; no rule of others drops what our bridges forward")
}

func trySubnets(*machine) finding {
	routed, err := network.Routed()
	if err != nil {
		return warn(named(err), asRoot)
	}
	var taken []netip.Prefix
	var names []string
	for _, s := range routed {
		taken = append(taken, s.Prefix)
		for _, p := range network.DefaultPools() {
			if s.Interface != "" && s.Prefix.Overlaps(p.Base) && s.Prefix.Bits() < 32 {
				names = append(names, s.Prefix.String()+" ("+s.Interface+")")
				break
			}
		}
	}
	free, err := network.Free(network.DefaultPools(), taken)
	if err != nil {
		return fail("routes cover every subnet that networks are cut from: "+strings.Join(names, ", "), "glassbox network create --subnet 10.99.0.0/24 NAME")
	}
	if len(names) > 0 {
		return pass("next free: " + free.String() + "; passed over, since routed: " + strings.Join(names, ", "))
	}
	return pass("next free: " + free.String())
}

func tryResolver(*machine) finding {
	servers, notes, err := engine.Resolvers()
	found := "containers will ask " + strings.Join(servers, ", ")
	switch {
	case err != nil:
		return fail(named(err), "make /etc/resolv.conf readable")
	case len(notes) > 0:
		found += ": " + strings.Join(notes, " ")
	}
	if strings.Contains(found, "8.8.8.8") && len(notes) > 0 {
		return warn(found, "name servers that containers can reach: run --dns ADDRESS, or in /etc/resolv.conf")
	}
	return pass(found)
}

func tryConntrack(*machine) finding {
	used, err1 := strconv.Atoi(text("/proc/sys/net/netfilter/nf_conntrack_count"))
	most, err2 := strconv.Atoi(text("/proc/sys/net/netfilter/nf_conntrack_max"))
	if err := errors.Join(err1, err2); err != nil || most == 0 {
		return pass("not counted yet: the kernel begins with the first rule that needs it")
	}
	found := fmt.Sprintf("%d of %d entries used", used, most)
	if used > most/10*9 {
		return warn(found, fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", 2*most))
	}
	return pass(found)
}
