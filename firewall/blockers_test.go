package firewall

import (
	"strings"
	"testing"

	"glassbox/test/need"
)

// walls are what others do to forwarded packets, and what is to be said of it.
var walls = []struct {
	name, script string
	what, who    string // empty: nothing is in our way
}{
	{"nothing", ":", "", ""},
	{"nft-policy", "nft 'add table inet mine; add chain inet mine pass { type filter hook forward priority 0; policy drop; }'",
		"the policy of chain pass of table inet mine is drop", ""},
	{"nft-rule", `nft -f - <<.
		table ip mine {
			chain pass {
				type filter hook forward priority 10; policy accept
				ct state vmap { established : accept, related : accept, invalid : drop }
				iifname { "eth5", "eth6" } accept
				ip daddr 10.0.0.0/8 drop
				jump rest
			}
			chain rest { counter reject with icmp admin-prohibited; }
		}
.`, "a rule of chain rest of table ip mine drops what no rule before it accepts", ""},
	{"nft-allowed", `nft -f - <<.
		table inet mine {
			set good { type ifname; elements = { "glassbox0", "lo" } }
			map ways { type ifname : verdict; elements = { "glassbox0" : jump fine, "eth9" : drop } }
			chain pass {
				type filter hook forward priority 10; policy drop
				ct state established,related accept
				iifname vmap @ways
				oifname @good ct status dnat accept
			}
			chain fine { meta nfproto ipv6 drop; oifname != "glassbox0" accept; }
		}
.`, "", ""},
	{"nft-others", `nft -f - <<.
		table inet mine {
			chain pass { type filter hook forward priority 10; policy accept; iifname "eth9" drop; iifname "virbr*" reject; tcp dport 25 drop; limit rate 1/second drop; }
			chain in { type filter hook input priority 10; policy drop; iifname "lo" accept; }
		}
		table ip6 mine { chain pass { type filter hook forward priority 10; policy drop; }; }
.`, "", ""},
	{"nft-half", `nft 'add table inet mine; add chain inet mine pass { type filter hook forward priority 0; policy drop; }; add rule inet mine pass iifname "glass*" accept; add rule inet mine pass ct state established accept'`,
		"the policy of chain pass of table inet mine is drop", ""},
	{"iptables-nft", "iptables-nft -P FORWARD DROP", "the policy of chain FORWARD of table ip filter is drop", ""},
	{"iptables-nft-reject", "iptables-nft -A FORWARD -m comment --comment mine -j REJECT", "a rule of chain FORWARD of table ip filter drops what no rule before it accepts", ""},
	{"iptables-nft-conditions", "iptables-nft -A FORWARD -i eth9 -j DROP; iptables-nft -A FORWARD -m conntrack --ctstate INVALID -j DROP; iptables-nft -A FORWARD -p tcp --dport 25 -j REJECT; iptables-nft -A FORWARD -s 10.77.0.0/16 -j DROP", "", ""},
	{"docker", docker("iptables-nft"), "the policy of chain FORWARD of table ip filter is drop", "Docker"},
	{"docker-legacy", docker("iptables-legacy"), "the policy of chain FORWARD of legacy table ip filter is drop", "Docker"},
	{"legacy", "iptables-legacy -P FORWARD DROP", "the policy of chain FORWARD of legacy table ip filter is drop", ""},
	{"legacy-rule", "iptables-legacy -N mine; iptables-legacy -A FORWARD -i eth+ -j ACCEPT; iptables-legacy -A FORWARD -g mine; iptables-legacy -A mine -p udp -j ACCEPT; iptables-legacy -A mine -j REJECT",
		"a rule of chain mine of legacy table ip filter drops what no rule before it accepts", ""},
	{"legacy-others", "iptables-legacy -A FORWARD -i eth9 -j DROP; iptables-legacy -A FORWARD ! -i eth9 -p tcp -j DROP; iptables-legacy -N mine; iptables-legacy -A FORWARD -s 10.77.0.0/16 -j mine; iptables-legacy -A mine -j DROP; ip6tables-legacy -P FORWARD DROP", "", ""},
	{"legacy-allowed", "iptables-legacy -P FORWARD DROP; iptables-legacy -A FORWARD -i glassbox+ -j ACCEPT; iptables-legacy -A FORWARD -o glassbox0 -m conntrack --ctstate NEW -j ACCEPT", "", ""},
	{"ufw", ufw, "the policy of chain FORWARD of table ip filter is drop", "ufw"},
	{"firewalld", strings.ReplaceAll(firewalld, `oifname "eth0" accept;`, ""), "a rule of chain filter_FWD_public of table inet firewalld drops what no rule before it accepts", "firewalld"},
	{"firewalld-forward", firewalld, "", ""}, // its default: what is in one zone may speak to one another
}

// docker is what Docker 28.5.2 has in table filter, as `iptables -S` shows it, without its sets (ipset), which are of no matter.
func docker(iptables string) string {
	return strings.ReplaceAll(`for c in DOCKER DOCKER-BRIDGE DOCKER-CT DOCKER-FORWARD DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2 DOCKER-USER; do I -N $c; done
I -P FORWARD DROP
I -A FORWARD -j DOCKER-USER
I -A FORWARD -j DOCKER-FORWARD
I -A DOCKER ! -i docker0 -o docker0 -j DROP
I -A DOCKER-BRIDGE -o docker0 -j DOCKER
I -A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
I -A DOCKER-FORWARD -j DOCKER-CT
I -A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
I -A DOCKER-FORWARD -j DOCKER-BRIDGE
I -A DOCKER-FORWARD -i docker0 -j ACCEPT
I -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
I -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
`, "I ", iptables+" ")
}

const ufw = `for c in ufw-before-forward ufw-user-forward ufw-after-forward ufw-reject-forward; do iptables-nft -N $c; done
iptables-nft -P FORWARD DROP
for c in ufw-before-forward ufw-after-forward ufw-reject-forward; do iptables-nft -A FORWARD -j $c; done
iptables-nft -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables-nft -A ufw-before-forward -p icmp --icmp-type 8 -j ACCEPT
iptables-nft -A ufw-before-forward -j ufw-user-forward`

// firewalld is what firewalld 1.3 has in its table for forwarded packets.
const firewalld = `nft -f - <<.
table inet firewalld {
	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		ct state invalid drop
		ip6 daddr { ::/96, ::ffff:0.0.0.0/96 } reject with icmpv6 addr-unreachable
		jump filter_FORWARD_ZONES
		reject with icmpx admin-prohibited
	}
	chain filter_FORWARD_ZONES {
		iifname "eth0" goto filter_FWD_public
		goto filter_FWD_public
	}
	chain filter_FWD_public {
		jump filter_FWD_public_allow
		reject with icmpx admin-prohibited
	}
	chain filter_FWD_public_allow { oifname "eth0" accept; }
	chain filter_FWD_trusted { accept; }
}
.`

func TestBlockers(t *testing.T) {
	need.Program(t, "iptables-legacy")
	for _, w := range walls {
		t.Run(w.name, func(t *testing.T) {
			s := newSpace(t)
			s.run(t, "ip link add glassbox0 type bridge; ip addr add 172.30.0.1/16 dev glassbox0; ip link add eth0 type bridge; ip addr add 10.9.0.1/24 dev eth0; ip link set eth0 up; ip route add default via 10.9.0.2")
			s.do(t, Rebuild(all).Do)
			s.run(t, w.script)
			found := s.blockers(t)
			if w.what == "" {
				if len(found) != 0 {
					t.Fatalf("in the way: %+v", found)
				}
				return
			}
			if len(found) != 1 || found[0].What != w.what || found[0].Who != w.who {
				t.Fatalf("found %+v\n%s", found, s.ruleset(t))
			}
			t.Log(found[0].Fix)
			if strings.HasPrefix(found[0].Fix, "ufw ") || strings.HasPrefix(found[0].Fix, "firewall-cmd ") {
				found[0].Fix = typed[found[0].Fix]
			}
			s.run(t, found[0].Fix)
			if left := s.blockers(t); len(left) != 0 {
				t.Errorf("after %s: %+v", found[0].Fix, left)
			}
		})
	}
}

// typed is what the commands of ufw and firewalld, which are not installed here, add to the rules.
var typed = map[string]string{
	"ufw route allow in on glassbox0; ufw route allow out on glassbox0": "iptables-nft -A ufw-user-forward -i glassbox0 -j ACCEPT; iptables-nft -A ufw-user-forward -o glassbox0 -j ACCEPT",
	"firewall-cmd --zone=trusted --add-interface=glassbox0":             "nft insert rule inet firewalld filter_FORWARD_ZONES iifname glassbox0 goto filter_FWD_trusted",
}

func (s *space) blockers(t *testing.T) []Blocker {
	t.Helper()
	var found []Blocker
	s.do(t, func() (err error) { found, err = Blockers([]string{"glassbox0"}); return })
	return found
}
