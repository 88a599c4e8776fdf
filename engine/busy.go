package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// busy words why a port could not be bound, as Docker does, and says who has it.
func (p *plugging) busy(g publishing, w binding, at netip.AddrPort, together []bound, cause error) error {
	if !errors.Is(cause, unix.EADDRINUSE) {
		return &Error{Text: fmt.Sprintf("failed to bind host port for %s: %v", g.mapping(w, at), cause), Cause: cause}
	}
	for _, b := range together {
		if b.overlaps(g.proto, at) {
			return &Error{Class: Conflict, Text: "failed to listen on TCP socket: address already in use", Cause: cause}
		}
	}
	for _, b := range p.w.Bound {
		if b.overlaps(g.proto, at) {
			return allocated(b, cause, &Hint{Why: "the same container publishes it already"})
		}
	}
	if name, b, found := p.c.publisherOf(g.proto, at); found {
		return allocated(b, cause, &Hint{Why: "the container " + name + " publishes it", Check: "glassbox port " + name})
	}
	return &Error{Text: fmt.Sprintf("failed to bind host port for %s: %v", g.mapping(w, at), cause), Cause: cause, Hint: holder(g.proto, at)}
}

func allocated(b bound, cause error, h *Hint) error {
	return &Error{Class: Conflict, Text: fmt.Sprintf("Bind for %s:%d failed: port is already allocated", b.Host.Addr(), b.Host.Port()), Cause: cause, Hint: h}
}

// mapping is how Docker prints a port binding.
func (g publishing) mapping(w binding, at netip.AddrPort) string {
	host := strconv.Itoa(int(at.Port()))
	if g.first != g.last {
		host = fmt.Sprintf("%d-%d", g.first, g.last)
	}
	return fmt.Sprintf("%s:%s:%s/%s", bracketed(at.Addr()), host, netip.AddrPortFrom(w.to.Addr(), g.target), g.proto)
}

func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// overlaps: both want the same port of one address at least.
func (b bound) overlaps(proto string, at netip.AddrPort) bool {
	mine, theirs := b.Host.Addr(), at.Addr()
	return b.Port.Proto == proto && b.Host.Port() == at.Port() && mine.Is4() == theirs.Is4() &&
		(mine == theirs || mine.IsUnspecified() || theirs.IsUnspecified())
}

// publisherOf finds the running container that has published the port.
func (c *Containers) publisherOf(proto string, at netip.AddrPort) (name string, b bound, found bool) {
	all, err := c.wirings()
	if err != nil {
		return "", b, false
	}
	for _, w := range all {
		for _, b := range w.Bound {
			if !b.overlaps(proto, at) {
				continue
			}
			name := w.id[:12]
			if r, err := c.read(w.id); err == nil {
				name = r.Name
			}
			return name, b, true
		}
	}
	return "", b, false
}

// tidyPort unplugs containers that have ended and still hold the port.
func (c *Containers) tidyPort(proto string, at netip.AddrPort) bool {
	ids, err := c.root.RunIDs()
	if err != nil {
		return false
	}
	for _, id := range ids {
		w, err := wiringAt(c.root.Container(id))
		if err != nil || w == nil || w.alive() {
			continue
		}
		for _, b := range w.Bound {
			if b.overlaps(proto, at) {
				c.tidy(id)
				return true
			}
		}
	}
	return false
}

// holder names the process that holds the port.
func holder(proto string, at netip.AddrPort) *Hint {
	h := &Hint{
		Check: fmt.Sprintf("ss -%snp 'sport = :%d'", map[string]string{"tcp": "lt", "udp": "lu", "sctp": "lS"}[proto], at.Port()),
		Fix:   "end that process, or publish at another port of the host",
	}
	for _, s := range socketsAt("/proc/thread-self/net/", proto) {
		if s.local.Port() != at.Port() || !s.listens(proto) {
			continue
		}
		if pid, command := ownerOf(s.inode); pid != 0 {
			h.Why = fmt.Sprintf("process %d (%s) holds port %d/%s at %s", pid, command, at.Port(), proto, s.local.Addr())
			return h
		}
	}
	h.Why = fmt.Sprintf("another process holds port %d/%s", at.Port(), proto)
	return h
}

// openSocket is one line of proc_net_tcp(5) and its like.
type openSocket struct {
	local netip.AddrPort
	state string
	inode string
}

// listens: TCP's state 0A is LISTEN; a UDP socket that is bound hears.
func (s openSocket) listens(proto string) bool { return proto != "tcp" || s.state == "0A" }

// socketsAt reads the sockets of both families from dir, which is /proc/thread-self/net/ or /proc/PID/net/.
func socketsAt(dir, proto string) []openSocket {
	var all []openSocket
	for _, file := range []string{proto, proto + "6"} {
		data, err := os.ReadFile(dir + file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if s, ok := parseSocket(strings.Fields(line)); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

func parseSocket(fields []string) (openSocket, bool) {
	if len(fields) < 10 {
		return openSocket{}, false
	}
	local, ok := parseHexAddress(fields[1])
	return openSocket{local, fields[3], fields[9]}, ok
}

// parseHexAddress reads 0100007F:1F90: the address in words of the machine's byte order, the port as it is.
func parseHexAddress(text string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(text, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || len(host) != 8 && len(host) != 32 {
		return netip.AddrPort{}, false
	}
	var raw []byte
	for i := 0; i < len(host); i += 8 {
		word, err := strconv.ParseUint(host[i:i+8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, false
		}
		raw = binary.NativeEndian.AppendUint32(raw, uint32(word))
	}
	a, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a, uint16(number)), true
}

// ownerOf finds the process that has the socket open; of several, which have inherited it, the first.
func ownerOf(inode string) (pid int, command string) {
	want := "socket:[" + inode + "]"
	all, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, ""
	}
	for _, fd := range all {
		if target, err := os.Readlink(fd); err == nil && target == want {
			if n, _ := strconv.Atoi(strings.Split(fd, "/")[2]); pid == 0 || n < pid {
				pid = n
			}
		}
	}
	if pid == 0 {
		return 0, ""
	}
	return pid, commandName(pid)
}

// commandName is the command line of a process, or its name where it has none.
func commandName(pid int) string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	words := strings.TrimSpace(string(bytes.ReplaceAll(data, []byte{0}, []byte{' '})))
	if err == nil && words != "" {
		if len(words) > 60 {
			words = words[:60] + "…"
		}
		return words
	}
	name, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return strings.TrimSpace(string(name))
}
