package network

import (
	"fmt"

	"glassbox/program"
)

// Forwarding returns the requests that let this host route between its interfaces (net.ipv4.ip_forward, and
// net.ipv6.conf.all.forwarding), none where it does already. They stay: other containers may rely on them by then.
func Forwarding(ipv6 bool) ([]program.Request, error) {
	key, why := "net.ipv4.ip_forward", "the host forwards between containers and the world"
	if ipv6 {
		key, why = "net.ipv6.conf.all.forwarding", "the host forwards IPv6 between containers and the world"
	}
	if _, ok := sysctl(key); !ok {
		return nil, fmt.Errorf("reading %s: this kernel has no such setting (started with ipv6.disable=1?)", key)
	}
	return lacking(key, "1", "", why), nil
}
