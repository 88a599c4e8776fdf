package firewall

import (
	"fmt"
	"os"
	"strings"
)

// passer is a packet that begins a connection through one of our bridges: out of it, or in to a published port.
type passer struct {
	bridge  string
	in, out string // interfaces; empty: we do not know which
	family  byte
	dnat    bool
}

// certainty is whether a rule's conditions hold for a packet of which not everything is known.
type certainty int

const (
	no certainty = iota
	perhaps
	yes
)

// deed is what a rule does with a packet that it matches.
type deed struct {
	kind  deedKind
	chain string
}

type deedKind int

const (
	nothing deedKind = iota
	accepts
	drops
	returns
	jumps
	goes
)

// foreign is somebody else's rule: whether it matches, whether it names the bridge, and what it does.
type foreign func(passer) (match certainty, named bool, does deed)

// outcome is what becomes of a packet in a chain.
type outcome struct {
	decided, passes bool
	by              string // the chain whose rule decided
}

// blocks says what drops the packet at this gate; empty when it passes.
func (g *gate) blocks(p passer, visited map[string]bool) string {
	o := g.walk(p, g.chain, visited, 0)
	switch {
	case o.decided && !o.passes:
		return fmt.Sprintf("a rule of chain %s of %s drops what no rule before it accepts", o.by, g.where)
	case !o.decided && g.drops:
		return fmt.Sprintf("the policy of chain %s of %s is drop", g.chain, g.where)
	}
	return ""
}

// walk takes a packet through a chain. Conditions of which we cannot know whether they hold count as not held, but where a rule accepts what
// belongs to the bridge by name: somebody has thought of it.
func (g *gate) walk(p passer, chain string, visited map[string]bool, depth int) outcome {
	const deepest = 16 // of nftables: NFT_JUMP_STACK_SIZE
	visited[chain] = true
	for _, rule := range g.rules(chain) {
		match, named, does := rule(p)
		if match == no || match == perhaps && !(named && does.kind == accepts) {
			continue
		}
		switch does.kind {
		case accepts, drops:
			return outcome{true, does.kind == accepts, chain}
		case returns:
			return outcome{}
		case jumps, goes:
			if depth >= deepest {
				return outcome{}
			}
			if o := g.walk(p, does.chain, visited, depth+1); o.decided || does.kind == goes {
				return o
			}
		}
	}
	return outcome{}
}

// defaultInterface is where the default route leads, by route(8)'s file; empty when there is none.
func defaultInterface() string {
	table, _ := os.ReadFile("/proc/thread-self/net/route") // without it, we do not know
	for line := range strings.Lines(string(table)) {
		if w := strings.Fields(line); len(w) > 7 && w[1] == "00000000" && w[7] == "00000000" {
			return w[0]
		}
	}
	return ""
}
