package why

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"glassbox/linux"
	"glassbox/network"

	"golang.org/x/sys/unix"
)

var pingErrors = []Known{
	{
		Errno: unix.EPERM, Calls: []string{"socket", "ping", "raw"}, Manual: "raw(7), packet(7), icmp(7)",
		Causes: []Cause{
			{
				Name: "no CAP_NET_RAW", Why: "raw and packet sockets want CAP_NET_RAW in the user namespace that owns the network namespace; old pings use a raw socket", Check: "grep CapEff /proc/self/status; getcap $(command -v ping)",
				Fix: "--cap-add NET_RAW; or allow ping sockets: --sysctl net.ipv4.ping_group_range='0 2147483647'", Learn: "capabilities-seccomp", test: func(p *probe) verdict { return p.lacks(unix.CAP_NET_RAW) },
			},
			{
				Name: "ping group", Why: pingWhy, Check: pingCheck, Fix: pingFix, Learn: "net-namespace", test: func(p *probe) verdict {
					if raw := p.lacks(unix.CAP_NET_RAW); raw.holds == No {
						return raw
					}
					return pingGroup(p)
				},
			},
			{
				Name: "capabilities of the file lost", Why: "a ping with file capabilities (getcap) gets them at execve(2); not with no_new_privs, nor in a user namespace whose root is another one than the file's", Check: "grep NoNewPrivs /proc/self/status; getcap -n $(command -v ping)",
				Fix: "leave out --security-opt no-new-privileges; or allow ping sockets: --sysctl net.ipv4.ping_group_range='0 2147483647'", Learn: "capabilities-seccomp", test: fileCapabilities,
			},
			{
				Name: "network of another user namespace", Why: "capabilities in a user namespace count for the network namespaces that it owns", Check: "readlink /proc/self/ns/user /proc/self/ns/net", Fix: "make both together: unshare --user --map-root-user --net", Learn: "user-namespace",
				test: func(p *probe) verdict { return p.foreign("net") },
			},
		},
		tried: tryRaw,
	},
	{Errno: unix.EACCES, Calls: []string{"socket", "ping"}, Manual: "icmp(7)", Causes: []Cause{
		socketModule,
		{Name: "ping group", Why: pingWhy, Check: pingCheck, Fix: pingFix, Learn: "net-namespace", test: pingGroup},
	}, tried: tryRaw},
	{
		Errno: unix.EPERM, Calls: []string{"execve", "exec", "execveat"}, Objects: "FILE|CONTAINER:FILE", Manual: "capabilities(7), execve(2)",
		Causes: []Cause{
			{
				Name: "capabilities of the file out of bounds", Why: "a file with effective capabilities is not executed where the bounding set lacks one of them: it could not know that it has less than it needs (pings of some distributions, where NET_RAW was dropped)", Check: "getcap FILE; grep CapBnd /proc/self/status",
				Fix: "--cap-add with what getcap shows; or a copy without: cp FILE /tmp/", Learn: "capabilities-seccomp", test: outOfBounds,
			},
			module,
		},
	},
}

const (
	pingWhy   = "who has not CAP_NET_RAW pings by an ICMP socket, if one of his groups is within net.ipv4.ping_group_range; 1 0 means nobody"
	pingCheck = "sysctl net.ipv4.ping_group_range; id -G"
	pingFix   = "sysctl -w net.ipv4.ping_group_range='0 2147483647' (in a container: --sysctl); in a user namespace only mapped groups can be written"
)

func tryRaw(*probe) (lines []string) {
	for _, k := range []struct {
		name string
		kind int
	}{{"a raw ICMP socket (socket(AF_INET, SOCK_RAW, IPPROTO_ICMP))", unix.SOCK_RAW}, {"a ping socket (socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP))", unix.SOCK_DGRAM}} {
		fd, err := unix.Socket(unix.AF_INET, k.kind|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		word := "it may be made"
		if err != nil {
			word = err.Error()
		} else {
			unix.Close(fd)
		}
		lines = append(lines, k.name+", as this process: "+word)
	}
	return lines
}

func pingGroup(p *probe) verdict {
	if p.pid == "none" {
		return p.elsewhere()
	}
	value, known := p.netSysctl("net.ipv4.ping_group_range")
	var low, high uint64
	if n, _ := fmt.Sscan(value, &low, &high); !known || n != 2 {
		return unknown("net.ipv4.ping_group_range could not be read")
	}
	groups := append(strings.Fields(p.status("Groups")), strings.Fields(p.status("Gid"))...)
	for _, g := range groups {
		if id, err := strconv.ParseUint(g, 10, 32); err == nil && id >= low && id <= high {
			return no("net.ipv4.ping_group_range = %s; group %d is within it", value, id)
		}
	}
	slices.Sort(groups)
	return yes("net.ipv4.ping_group_range = %s; none of the groups %s is within it", value, join(slices.Compact(groups)))
}

// netSysctl reads a setting of the process's network namespace. /proc/sys/net shows those of who opens it: a thread goes there.
func (p *probe) netSysctl(name string) (value string, known bool) {
	if p.self() {
		return sysctl(name)
	}
	ns, err := network.OpenPath(p.proc("ns/net"))
	if err != nil {
		return "", false
	}
	defer ns.Close() //nolint:errcheck // nothing was written
	err = ns.Enter(func() error {
		value, known = sysctl(name)
		return nil
	})
	return value, known && err == nil
}

func fileCapabilities(p *probe) verdict {
	switch raw := p.lacks(unix.CAP_NET_RAW); {
	case p.pid == "none":
		return p.elsewhere()
	case raw.holds == No:
		return raw
	case p.status("NoNewPrivs") == "1":
		return yes("NoNewPrivs in %s: 1", p.proc("status"))
	case p.inUserNamespace():
		return unknown("the process is in a user namespace: whose root has given ping its capabilities, getcap -n shows")
	}
	return no("NoNewPrivs in %s: 0, and the process is in the first user namespace", p.proc("status"))
}

// outOfBounds reads struct vfs_ns_cap_data, linux/capability.h: a word of which bit 0 says effective, then twice permitted and inheritable.
func outOfBounds(p *probe) verdict {
	const attribute = "security.capability"
	if p.object(0) == "" {
		return unknown("name the file: why EPERM execve FILE")
	}
	f, err := p.open(p.object(0))
	if err != nil {
		return unknown("%v", err)
	}
	defer f.Close()
	data := make([]byte, 64)
	n, err := unix.Fgetxattr(int(f.Fd()), attribute, data)
	switch {
	case err == unix.ENODATA || err == unix.EOPNOTSUPP:
		return no("%s has no capabilities (%s)", p.object(0), attribute)
	case err != nil || n < 20:
		return unknown("%s of %s could not be read", attribute, p.object(0))
	}
	permitted := uint64(binary.LittleEndian.Uint32(data[4:])) | uint64(binary.LittleEndian.Uint32(data[12:]))<<32
	bounds, err := strconv.ParseUint(p.status("CapBnd"), 16, 64)
	if err != nil {
		return unknown("%s could not be read", p.proc("status"))
	}
	return when(data[0]&1 != 0 && permitted&^bounds != 0, "%s: %s, effective: %t; CapBnd in %s: %016x lacks %s",
		p.object(0), join(capabilityNames(permitted)), data[0]&1 != 0, p.proc("status"), bounds, orElse(join(capabilityNames(permitted&^bounds)), "none of them"))
}

func capabilityNames(mask uint64) (names []string) {
	for n := range uint64(64) {
		if mask&(1<<n) != 0 {
			names = append(names, linux.Capabilities.Of(n))
		}
	}
	return names
}
