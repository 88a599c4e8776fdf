package network

import (
	"crypto/rand"
	"hash/fnv"
	"net"
	"net/netip"
)

// HardwareAddress is a locally administered unicast address, random.
func HardwareAddress() net.HardwareAddr {
	m := make(net.HardwareAddr, 6)
	rand.Read(m)
	m[0] = m[0]&^1 | 2 // not of a group, and not of a manufacturer
	return m
}

// HardwareAddressOf is the hardware address that goes with an IP address: always the same, so that whoever has it in a neighbour
// cache reaches the next container that gets the IP address at once. For IPv4 it is what Docker's were before 28: 02:42 and the address.
func HardwareAddressOf(a netip.Addr) net.HardwareAddr {
	if a = a.Unmap(); a.Is4() {
		return append(net.HardwareAddr{0x02, 0x42}, a.AsSlice()...)
	}
	return derived(a.AsSlice())
}

// derived is an address that stands for some bytes: 06, which none of IPv4's begins with, and 40 bits of their hash.
func derived(from []byte) net.HardwareAddr {
	h := fnv.New64a()
	h.Write(from)
	return append(net.HardwareAddr{0x06}, h.Sum(nil)[3:]...)
}
