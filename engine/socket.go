package engine

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// listen opens a socket in this thread's network namespace and binds it; TCP and SCTP listen too, since with SO_REUSEADDR bind(2) alone
// does not notice that 0.0.0.0 and one of the host's addresses want the same port. UDP sockets would even share a port then.
func listen(proto string, at netip.AddrPort) (*os.File, error) {
	domain := unix.AF_INET
	if at.Addr().Is6() {
		domain = unix.AF_INET6
	}
	typ, number := unix.SOCK_STREAM, unix.IPPROTO_TCP
	switch proto {
	case "udp":
		typ, number = unix.SOCK_DGRAM, unix.IPPROTO_UDP
	case "sctp":
		number = unix.IPPROTO_SCTP
	}
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC, number)
	if err != nil {
		return nil, err
	}
	if err := ready(fd, domain, proto, at); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), proto+" "+at.String()), nil
}

func ready(fd, domain int, proto string, at netip.AddrPort) error {
	if domain == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	if proto == "udp" {
		if err := tellDestination(fd, domain); err != nil {
			return err
		}
		return unix.Bind(fd, sockaddr(at))
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, sockaddr(at)); err != nil {
		return err
	}
	return unix.Listen(fd, unix.SOMAXCONN)
}

// tellDestination has each packet come with the address that it was sent to, from which the answer must come: ip(7), ipv6(7).
func tellDestination(fd, domain int) error {
	if domain == unix.AF_INET6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
}

func sockaddr(at netip.AddrPort) unix.Sockaddr {
	if at.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
}

// portOf is the number that the kernel chose.
func portOf(f *os.File) (uint16, error) {
	address, err := unix.Getsockname(int(f.Fd()))
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return uint16(a.Port), err
	case *unix.SockaddrInet6:
		return uint16(a.Port), err
	}
	return 0, os.NewSyscallError("getsockname", err)
}
