package why

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var networkErrors = []Known{
	{
		Errno: unix.EADDRINUSE, Calls: []string{"bind", "listen", "connect"}, Objects: "[PORT[/udp]]", Manual: "bind(2), ip(7)",
		Causes: []Cause{
			{
				Name: "port in use", Why: "in one network namespace one socket listens on a port of an address; 0.0.0.0 means all addresses. Containers of their own network have ports of their own", Check: "ss -ltnp 'sport = :PORT'",
				Fix: "end the holder, or publish at another port: -p 8081:80", Learn: "bridge-nat", test: portHeld,
			},
			{
				Name: "connection that is over", Why: "for a minute after its end a connection keeps its port (TIME_WAIT) from who binds without SO_REUSEADDR", Check: "ss -tan state time-wait 'sport = :PORT'", Fix: "wait, or set SO_REUSEADDR", Learn: "bridge-nat", test: timeWait,
			},
		},
	},
	{
		Errno: unix.EACCES, Calls: []string{"bind"}, Objects: "[PORT]", Manual: "ip(7)",
		Causes: []Cause{
			{
				Name: "privileged port", Why: "ports below net.ipv4.ip_unprivileged_port_start want CAP_NET_BIND_SERVICE in the user namespace that owns the network namespace; Docker's containers begin at 0", Check: "sysctl net.ipv4.ip_unprivileged_port_start; grep CapEff /proc/self/status",
				Fix: "a port from 1024 on; or --sysctl net.ipv4.ip_unprivileged_port_start=0", Learn: "bridge-nat", test: privilegedPort,
			},
			socketModule,
		},
	},
	{
		Errno: unix.EADDRNOTAVAIL, Calls: []string{"bind", "connect"}, Objects: "[ADDRESS]", Manual: "bind(2)",
		Causes: []Cause{{
			Name: "address of another host", Why: "a socket is bound to addresses that this network namespace has; publishing at an address means one of the host", Check: "ip -br addr", Fix: "publish without an address, or at one that is there", Learn: "bridge-nat", test: foreignAddress,
		}},
	},
	{
		Errno: unix.ECONNREFUSED, Calls: []string{"connect"}, Objects: "[PORT]", Manual: "connect(2)",
		Causes: []Cause{
			{
				Name: "nobody listens", Why: "the host is there, and no socket of that network namespace listens on the port; localhost is each container's own", Check: "ss -ltn; nsenter -t PID -n ss -ltn", Fix: "start the server; from a container name the other one, not localhost", Learn: "net-namespace", test: nobodyListens,
			},
			{
				Name: "listens on loopback only", Why: "a server on 127.0.0.1 is heard in its own network namespace alone, published or not", Check: "ss -ltn", Fix: "have it listen on 0.0.0.0", Learn: "bridge-nat", test: loopbackOnly,
			},
		},
	},
	{
		Errno: unix.ENETUNREACH, Calls: []string{"connect", "sendto"}, Manual: "ip-route(8)",
		Causes: []Cause{{
			Name: "no route", Why: "no line of the routing table fits the address: a network namespace begins with none, and --network none stays so", Check: "ip route", Fix: "ip route add default via GATEWAY; --network bridge", Learn: "net-namespace", test: noDefaultRoute,
		}},
	},
}

// socket is one line of proc_net_tcp(5) and its like.
type socket struct {
	local netip.AddrPort
	state string
	inode string
	table string
}

func (p *probe) sockets(tables ...string) (all []socket) {
	for _, table := range tables {
		f, err := os.Open(p.net() + table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			w := strings.Fields(lines.Text())
			if len(w) < 10 {
				continue
			}
			if at, ok := hexAddress(w[1]); ok {
				all = append(all, socket{at, w[3], w[9], table})
			}
		}
		f.Close()
	}
	return all
}

// net is the directory of the network namespace's tables.
func (p *probe) net() string {
	if p.self() {
		return "/proc/thread-self/net/"
	}
	return p.proc("net/")
}

// hexAddress reads 0100007F:1F90: words in the machine's byte order, all of ours are little endian, and the port.
func hexAddress(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	raw, bad := hex.DecodeString(host)
	if err != nil || bad != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		raw[i], raw[i+1], raw[i+2], raw[i+3] = raw[i+3], raw[i+2], raw[i+1], raw[i]
	}
	a, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), true
}

// port reads 8080, :8080, 8080/udp and 127.0.0.1:8080.
func (p *probe) port() (n uint16, udp, known bool) {
	text, proto, _ := strings.Cut(p.object(0), "/")
	text = text[strings.LastIndexByte(text, ':')+1:]
	v, err := strconv.ParseUint(text, 10, 16)
	return uint16(v), proto == "udp", err == nil && v > 0
}

// The states of TCP's sockets, include/net/tcp_states.h.
const (
	tcpTimeWait = "06"
	tcpListen   = "0A"
)

func portHeld(p *probe) verdict {
	port, udp, known := p.port()
	if !known {
		return unknown("name the port: why EADDRINUSE bind 8080")
	}
	tables := []string{"tcp", "tcp6"}
	if udp {
		tables = []string{"udp", "udp6"}
	}
	for _, s := range p.sockets(tables...) {
		if s.local.Port() == port && (udp || s.state == tcpListen) {
			return verdict{Yes, append([]string{fmt.Sprintf("/proc/net/%s: %s, held by %s", s.table, s.local, ownerOf(s.inode))}, publisher(s.inode)...)}
		}
	}
	return no("/proc/net/%s, %s: nobody in this network namespace has port %d", tables[0], tables[1], port)
}

// ownerOf names the process that has a socket open.
func ownerOf(inode string) string {
	if pid := ownerPid(inode); pid != 0 {
		return "process " + named(pid)
	}
	return "a process that cannot be seen from here (socket:[" + inode + "])"
}

// ownerPid is the first process that has the socket open; 0: none is seen.
func ownerPid(inode string) int {
	want := "socket:[" + inode + "]"
	for _, pid := range pids() {
		names, _ := filepath.Glob("/proc/" + itoa(pid) + "/fd/*")
		for _, n := range names {
			if to, err := os.Readlink(n); err == nil && to == want {
				return pid
			}
		}
	}
	return 0
}

// publisher names the container for which a process of glassbox holds a published port.
func publisher(inode string) []string {
	line, err := read("/proc/" + itoa(ownerPid(inode)) + "/cmdline")
	words := strings.Split(strings.TrimRight(line, "\x00"), "\x00")
	id := filepath.Base(words[len(words)-1])
	if err != nil || filepath.Base(words[0]) != "glassrun" || len(id) != 64 {
		return nil
	}
	return []string{"that is glassbox's, for container " + id[:12] + ", which publishes the port: glassbox port " + id[:12]}
}

func timeWait(p *probe) verdict {
	port, _, known := p.port()
	if !known {
		return unknown("name the port: why EADDRINUSE bind 8080")
	}
	n := 0
	for _, s := range p.sockets("tcp", "tcp6") {
		if s.local.Port() == port && s.state == tcpTimeWait {
			n++
		}
	}
	return when(n > 0, "/proc/net/tcp: %d connections in TIME_WAIT at port %d", n, port)
}

func privilegedPort(p *probe) verdict {
	if !p.self() {
		return unknown("net.ipv4.ip_unprivileged_port_start is each network namespace's own: nsenter -t %s -n sysctl net.ipv4.ip_unprivileged_port_start", p.pid)
	}
	first, known := number("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if !known {
		return unknown("net.ipv4.ip_unprivileged_port_start could not be read")
	}
	line := fmt.Sprintf("net.ipv4.ip_unprivileged_port_start = %d", first)
	lacks := p.lacks(unix.CAP_NET_BIND_SERVICE)
	if lacks.holds != Yes {
		lacks = p.foreign("net")
	}
	evidence := append([]string{line}, lacks.evidence...)
	port, _, named := p.port()
	switch {
	case lacks.holds == No || first == 0 || named && uint64(port) >= first:
		return verdict{No, evidence}
	case !named:
		return verdict{Unknown, append(evidence, "name the port: why EACCES bind 80")}
	}
	return verdict{Yes, evidence}
}

func foreignAddress(p *probe) verdict {
	a, err := netip.ParseAddr(p.object(0))
	if err != nil {
		return unknown("name the address: why EADDRNOTAVAIL bind 192.0.2.1")
	}
	if !p.self() {
		return p.elsewhere()
	}
	fd, err := tryBind(netip.AddrPortFrom(a, 0))
	if err == nil {
		unix.Close(fd)
	}
	return when(errors.Is(err, unix.EADDRNOTAVAIL), "tried to bind a socket to %s, port 0: %s", a, orBound(err))
}

func orBound(err error) string {
	if err == nil {
		return "it may be"
	}
	return err.Error()
}

func tryBind(at netip.AddrPort) (int, error) {
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: at.Addr().As16(), Port: int(at.Port())})
	if at.Addr().Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, to); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func nobodyListens(p *probe) verdict {
	port, _, known := p.port()
	if !known {
		return unknown("name the port: why ECONNREFUSED connect 8080")
	}
	for _, s := range p.sockets("tcp", "tcp6") {
		if s.local.Port() == port && s.state == tcpListen {
			return no("/proc/net/%s: %s is listened at", s.table, s.local)
		}
	}
	return yes("/proc/net/tcp, tcp6: nobody in this network namespace listens at port %d", port)
}

func loopbackOnly(p *probe) verdict {
	port, _, known := p.port()
	if !known {
		return unknown("name the port: why ECONNREFUSED connect 8080")
	}
	at := ""
	for _, s := range p.sockets("tcp", "tcp6") {
		if s.local.Port() != port || s.state != tcpListen {
			continue
		}
		if !s.local.Addr().IsLoopback() {
			return no("/proc/net/%s: %s is listened at", s.table, s.local)
		}
		at = s.local.String()
	}
	return when(at != "", "listened at: %s", orElse(at, "nothing"))
}

func noDefaultRoute(p *probe) verdict {
	text, err := read(p.net() + "route")
	if err != nil {
		return unknown("%v", err)
	}
	routes := 0
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 || f[0] == "Iface" {
			continue
		}
		routes++
		if f[1] == "00000000" && f[7] == "00000000" {
			return no("/proc/net/route: a default route by %s", f[0])
		}
	}
	return yes("/proc/net/route: %d routes, none of them a default route", routes)
}
