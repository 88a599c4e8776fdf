package namespaces

import (
	"encoding/binary"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Loopback compiles the steps that bring lo up: in a new network namespace it exists but is down. The ioctl is netdevice(7)'s.
func Loopback(b *program.Builder) {
	b.From("linux.namespaces")
	s := b.Call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0).Why("a socket to speak to the network namespace").Keep()
	b.Call(unix.SYS_IOCTL, s, unix.SIOCSIFFLAGS, flagsRequest("lo", unix.IFF_UP|unix.IFF_RUNNING)).
		Why("bring lo up: a new network namespace has it, but down")
	b.Close(s)
}

// flagsRequest is struct ifreq with ifr_flags.
func flagsRequest(name string, flags uint16) []byte {
	r := make([]byte, 40)
	copy(r, name)
	binary.NativeEndian.PutUint16(r[unix.IFNAMSIZ:], flags)
	return r
}
