package firewall

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Blocker is a rule of somebody else's that keeps our packets from passing.
type Blocker struct {
	What string // "the policy of chain FORWARD of table ip filter is drop"
	Who  string // "Docker", "firewalld", "ufw", ""
	Fix  string // a command
}

// Blockers looks through the foreign tables of nftables and the legacy ones of iptables for what drops forwarded packets
// of these bridges. That one chain accepts does not help: each that hooks into forwarding must let a packet pass.
func Blockers(bridges []string) ([]Blocker, error) {
	if len(bridges) == 0 {
		return nil, nil
	}
	var errs []error // while rules are read, which they are when they are asked
	gates, err := nftGates(&errs)
	legacy, legacyErr := legacyGates()
	var found []Blocker
	for _, g := range append(gates, legacy...) {
		found = append(found, g.blockers(bridges)...)
	}
	return found, errors.Join(append(errs, err, legacyErr)...)
}

// gate is a base chain of somebody else's at the hook where packets are forwarded.
type gate struct {
	where  string // "table ip filter"
	table  string // "filter"
	chain  string
	family byte // NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_INET
	legacy bool
	drops  bool // its policy
	chains []string
	rules  func(chain string) []foreign
}

// blockers are what stops packets of these bridges at this gate, one for each reason.
func (g *gate) blockers(bridges []string) []Blocker {
	var found []Blocker
	blocked := map[string][]string{}
	visited := map[string]bool{}
	for _, bridge := range bridges {
		for _, p := range passersOf(bridge, g.family) {
			if what := g.blocks(p, visited); what != "" && !slices.Contains(blocked[what], bridge) {
				blocked[what] = append(blocked[what], bridge)
				if len(blocked[what]) == 1 {
					found = append(found, Blocker{What: what})
				}
			}
		}
	}
	for i, b := range found {
		var commands []string
		for _, bridge := range blocked[b.What] {
			var some []string
			found[i].Who, some = g.cure(bridge, visited)
			commands = append(commands, some...)
		}
		found[i].Fix = strings.Join(commands, "; ")
	}
	return found
}

// passersOf are the packets that must pass, of the families that both the gate and the bridge have.
func passersOf(bridge string, family byte) []passer {
	outside := defaultInterface()
	var all []passer
	for _, f := range []byte{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
		if family != unix.NFPROTO_INET && family != f || f == unix.NFPROTO_IPV6 && !hasIPv6(bridge) {
			continue
		}
		all = append(all, passer{bridge: bridge, in: bridge, out: outside, family: f}, passer{bridge: bridge, in: outside, out: bridge, family: f, dnat: true})
	}
	return all
}

func hasIPv6(bridge string) bool {
	link, err := net.InterfaceByName(bridge)
	if err != nil {
		return false
	}
	addresses, _ := link.Addrs() // none: nothing to pass
	return slices.ContainsFunc(addresses, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.To4() == nil && !n.IP.IsLinkLocalUnicast()
	})
}

// cure is who owns the gate, and the command of theirs that lets a bridge's packets pass.
func (g *gate) cure(bridge string, visited map[string]bool) (who string, commands []string) {
	both := func(format string) []string {
		return []string{fmt.Sprintf(format, "-i "+bridge), fmt.Sprintf(format, "-o "+bridge)}
	}
	ufw := slices.ContainsFunc(g.chains, func(c string) bool { return strings.Contains(c, "ufw") && strings.HasSuffix(c, "-user-forward") })
	switch iptables := g.iptables(); {
	case visited["DOCKER-USER"]:
		return "Docker", both(iptables + " -I DOCKER-USER %s -j ACCEPT")
	case ufw:
		return "ufw", []string{"ufw route allow in on " + bridge, "ufw route allow out on " + bridge}
	case g.table == "firewalld" || slices.Contains(g.chains, "FORWARD_IN_ZONES"):
		return "firewalld", []string{"firewall-cmd --zone=trusted --add-interface=" + bridge}
	case iptables != "":
		return "", both(iptables + " -I " + g.chain + " %s -j ACCEPT")
	}
	insert := fmt.Sprintf("nft insert rule %s %s", strings.TrimPrefix(g.where, "table "), g.chain)
	return "", []string{fmt.Sprintf("%s iifname %s accept", insert, bridge), fmt.Sprintf("%s oifname %s accept", insert, bridge)}
}

// iptables is the program of that name which manages the gate; none when nft does. Where both kinds are installed, the legacy one has
// another name, or the name alone would mean the wrong rules.
func (g *gate) iptables() string {
	program := "iptables"
	if g.family == unix.NFPROTO_IPV6 {
		program = "ip6tables"
	}
	if g.legacy {
		if _, err := exec.LookPath(program + "-legacy"); err == nil {
			return program + "-legacy"
		}
		return program
	}
	if g.table != "filter" || g.chain != "FORWARD" || g.family == unix.NFPROTO_INET {
		return ""
	}
	return program
}
