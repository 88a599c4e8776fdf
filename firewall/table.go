// Package firewall keeps glassbox's table of nftables: which bridges there are, who may speak to whom, which ports of the host
// are whose, and what is masqueraded. The rules stand still; what comes and goes are elements of sets and maps, so that the hundredth
// container costs what the first did. Every change is one atomic batch, told as nft(8) would be given it.
package firewall

import (
	"fmt"
	"hash/fnv"
	"strings"
	"sync"

	"github.com/google/nftables"
)

// table is one table of ours. The same value is printed for people and sent to the kernel.
type table struct {
	family nftables.TableFamily
	sets   []*set
	chains []chain
}

const tableName = "glassbox"

func (t *table) nft() *nftables.Table { return &nftables.Table{Name: tableName, Family: t.family} }

// String is how nft(8) calls it.
func (t *table) String() string { return families[t.family] + " " + tableName }

var families = map[nftables.TableFamily]string{
	nftables.TableFamilyINet: "inet", nftables.TableFamilyBridge: "bridge",
	nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6",
}

// chain is a list of rules; with a hook the kernel enters it by itself.
type chain struct {
	name  string
	hook  *hook
	rules []rule
}

// hook is where in the kernel a chain stands. Every policy is accept: what is not ours is nobody's business of ours.
type hook struct {
	kind     nftables.ChainType
	at       *nftables.ChainHook
	where    string
	priority nftables.ChainPriority
	rank     string // the priority as nft prints it
}

// rule is what is matched and then done, and the reason, which the kernel keeps as the rule's comment.
type rule struct {
	why     string
	clauses []clause
}

func because(why string, clauses ...clause) rule { return rule{why, clauses} }

// tables are what the host's network namespace gets. The last chain of the first is empty: its name tells which version of the rules
// this is.
var tables = sync.OnceValue(func() []*table {
	inet := &table{family: nftables.TableFamilyINet, sets: inetSets, chains: inetChains()}
	bridge := &table{family: nftables.TableFamilyBridge, sets: bridgeSets, chains: bridgeChains()}
	h := fnv.New32a()
	h.Write([]byte(inet.script(nil) + bridge.script(nil)))
	inet.chains = append(inet.chains, chain{name: fmt.Sprintf("version_%08x", h.Sum32())})
	return []*table{inet, bridge}
})

// script is the table as `nft -f` reads it, with these elements in its sets.
func (t *table) script(elements []element) string {
	var b strings.Builder
	fmt.Fprintf(&b, "table %s {\n", t)
	for _, s := range t.sets {
		b.WriteString(s.script(elements))
	}
	for _, c := range t.chains {
		b.WriteString(c.script())
	}
	return b.String() + "}\n"
}

func (c chain) script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\tchain %s {\n", c.name)
	if h := c.hook; h != nil {
		fmt.Fprintf(&b, "\t\ttype %s hook %s priority %s; policy accept;\n", h.kind, h.where, h.rank)
	}
	for _, r := range c.rules {
		fmt.Fprintf(&b, "\t\t%s\n", r)
	}
	return b.String() + "\t}\n"
}

func (r rule) String() string {
	var words []string
	for _, c := range r.clauses {
		words = append(words, c.text)
	}
	if r.why != "" {
		words = append(words, fmt.Sprintf("comment %q", r.why))
	}
	return strings.Join(words, " ")
}
