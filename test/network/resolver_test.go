package network

import (
	"os"
	"os/exec"
	"testing"

	"glassbox/test/need"
)

// upstream is dnsmasq on the other machine: the resolver that the host's resolv.conf names. It knows names with one address, with both
// families, a long TXT record that takes TCP, and a name below a search domain.
func (s *site) upstream() {
	s.t.Helper()
	_, err := s.other.Daemon(func() error {
		_, err := s.other.Output("dig", "+short", "+tries=1", "+time=1", "@"+otherAddress, "one.test")
		return err
	},
		"dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--local=/#/", "-u", "root", "--log-queries", "--log-facility="+s.other.Dir+"/queries",
		"--host-record=one.test,203.0.113.1", "--host-record=both.test,203.0.113.2,2001:db8:f::2", "--host-record=deep.corp.test,203.0.113.3",
		"--txt-record=long.test,"+long(250)+","+long(250)+","+long(250)+","+long(250)+","+long(250)+","+long(250)+","+long(250),
		"--srv-host=_ldap._tcp.test,one.test,389", "--mx-host=test,one.test,10")
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.Nameservers("nameserver "+otherAddress, "search corp.test", "options ndots:1"); err != nil {
		s.t.Fatal(err)
	}
}

func long(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return string(b)
}

// Names that no container has are asked of the host's servers, whatever is asked and however.
func TestForwarding(t *testing.T) {
	s := newSite(t)
	s.upstream()
	s.OK("glassbox network create shop && glassbox run -d --name box --network shop kit sleep 1000")
	in := "glassbox exec box "
	s.Is(in+"dig +short one.test", "203.0.113.1")
	s.Is(in+"dig +short +tcp one.test", "203.0.113.1")
	s.Is(in+"dig +short +noedns one.test", "203.0.113.1")
	s.Is(in+"dig +short both.test AAAA", "2001:db8:f::2")
	s.Is(in+"dig +short _ldap._tcp.test SRV", "0 0 389 one.test.")
	s.Is(in+"dig +short test MX", "10 one.test.")
	s.Is(in+"dig nobody.test | grep -o 'status: [A-Z]*'", "status: NXDOMAIN")
	s.Is(in+"dig one.test AAAA | grep -o 'status: [A-Z]*'", "status: NOERROR")
	// A container's name is never asked of others, and has no answer of a family that it lacks.
	s.Is(in+"dig box AAAA | grep -o -e 'status: [A-Z]*' -e 'ANSWER: [0-9]*'", "status: NOERROR\nANSWER: 0")
	s.Is("grep -c ' box ' "+s.other.Dir+"/queries || true", "0")
	// 1.8 kB: with EDNS and room enough by UDP, without by TCP after a truncated answer.
	for _, how := range []string{"+bufsize=4096", "+noedns", "+bufsize=512", "+tcp"} {
		s.Is(in+"dig +short "+how+" long.test TXT | wc -c", "1771")
	}
	s.Is(in+"dig +noedns +ignore long.test TXT | grep -o 'flags:.* tc '", "flags: qr aa tc")
	s.Is(in+"dig +bufsize=4096 long.test TXT | grep -c EDNS", "1")
	// Search lists and ndots, through glibc's resolver.
	s.Is(in+"getent ahostsv4 deep | awk '{print $1; exit}'", "203.0.113.3")
	s.Is(in+"getent ahostsv4 deep.corp.test. | awk '{print $1; exit}'", "203.0.113.3")
	s.Is(in+"getent ahosts both.test | awk '{print $1}' | sort -u", "203.0.113.2") // AI_ADDRCONFIG: it has no IPv6 address
	s.Is(in+"nslookup one.test | grep -c 203.0.113.1", "1")
	s.Is("glassbox run --rm --network shop --dns-search test --dns-option ndots:3 kit getent ahostsv4 both | awk '{print $1; exit}'", "203.0.113.2")
	s.Is("glassbox run --rm --network shop --dns-search test --dns-option ndots:3 kit grep -v '^#' /etc/resolv.conf | grep -v '^$'",
		"nameserver 127.0.0.11\nsearch test\noptions ndots:3")
	// The default bridge has the host's servers themselves.
	s.Is("glassbox run --rm kit getent ahostsv4 one.test | awk '{print $1; exit}'", "203.0.113.1")
	// Other servers than the host's, and none that answers.
	s.Is("glassbox run --rm --network shop --dns "+otherAddress+" kit dig +short one.test", "203.0.113.1")
	s.Is("glassbox run --rm --network shop --dns 192.0.2.99 kit dig +tries=1 +time=6 one.test | grep -o 'status: [A-Z]*'", "status: SERVFAIL")
	s.OK("glassbox rm -f box && glassbox network rm shop")
}

// Musl's resolver asks both families at once from one socket, and takes no answer whose question differs.
func TestResolverOfMusl(t *testing.T) {
	compiler := need.Program(t, "musl-gcc")
	s := newSite(t)
	s.upstream()
	if out, err := exec.Command(compiler, "-static", "-O1", "-o", s.Dir+"/resolve", "testdata/resolve.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.OK("glassbox network create --ipv6 --subnet 10.85.0.0/24 --subnet fd85::/64 shop && glassbox run -d --name web --network shop kit sleep 1000")
	in := "glassbox run --rm --network shop -v " + s.Dir + "/resolve:/resolve kit /resolve "
	s.Is(in+"web | sort", "10.85.0.2\nfd85::2")
	s.Is(in+"web.shop | sort", "10.85.0.2\nfd85::2")
	s.Is(in+"one.test", "203.0.113.1")
	s.Is(in+"both.test | sort", "2001:db8:f::2\n203.0.113.2")
	s.Is(in+"deep", "203.0.113.3")
	s.Fails(1, in+"nobody.test", "Name does not resolve")
	s.OK("glassbox rm -f web && glassbox network rm shop")
}

// A container that serves names on port 53 itself keeps its port, on all its addresses.
func TestServingNamesItself(t *testing.T) {
	s := newSite(t)
	s.upstream()
	s.OK("glassbox network create shop && glassbox run -d --name dns --network shop kit dnsmasq -k -u root --no-resolv --no-hosts --address=/mine.test/203.0.113.9")
	s.Soon("glassbox exec dns dig +short +tries=1 +time=1 @127.0.0.1 mine.test", "203.0.113.9")
	s.Is("glassbox exec dns dig +short +tcp @127.0.0.1 mine.test", "203.0.113.9")
	s.Is("glassbox run --rm --network shop kit sh -c 'dig +short @$(dig +short dns) mine.test'", "203.0.113.9")
	s.Is("glassbox exec dns dig +short one.test", "203.0.113.1")
	s.OK("glassbox rm -f dns && glassbox network rm shop")
}

func TestHostsFile(t *testing.T) {
	s := newSite(t)
	s.OK("busybox httpd -p 80 && glassbox network create --subnet 10.86.0.0/24 shop")
	s.OK("glassbox run --rm --network shop --add-host box:host-gateway kit curl -s -m 3 http://box/")
	s.Is("glassbox run --rm --network shop --add-host box:203.0.113.5 --add-host six:2001:db8::5 kit getent hosts box six", "203.0.113.5     box\n2001:db8::5     six")
	s.Is("glassbox run --rm --network shop --hostname me --domainname my.test kit hostname -f", "me.my.test")
	s.Is("glassbox run --rm --network shop --ip 10.86.0.42 --hostname me kit getent hosts me", "10.86.0.42      me")
	s.OK("glassbox run -d --name old kit nginx && glassbox run --rm --link old:new kit curl -s --retry 3 --retry-connrefused http://new/health")
	s.OK("glassbox rm -f old && glassbox network rm shop")
}

// Ten thousand questions at once, to the resolver and through it: every one is answered.
func TestTenThousandQuestions(t *testing.T) {
	s := newSite(t)
	s.upstream()
	s.OK("glassbox network create shop && glassbox run -d --name web --network shop kit sleep 1000")
	for _, name := range []string{"web", "one.test"} {
		script := "for i in 1 2 3 4 5 6 7 8 9 10; do (yes " + name + " | head -n 1000 >/tmp/q$i; dig +short +tries=3 -f /tmp/q$i >/tmp/a$i) & done; wait; cat /tmp/a* | grep -v '^;' | sort | uniq -c | awk '{print $1}'"
		if err := os.WriteFile(s.Dir+"/ask", []byte(script), 0o644); err != nil {
			t.Fatal(err)
		}
		s.Is("glassbox exec -i web sh -s <"+s.Dir+"/ask", "10000")
	}
	s.OK("glassbox rm -f web && glassbox network rm shop")
}
