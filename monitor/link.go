package monitor

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// deleteLink is `ip link del NAME`, in the one message of rtnetlink(7) that it takes: the packages for that would be the larger part of a
// monitor. The kernel works on it until all readers have let go of the interface, ten milliseconds and more. An interface that is
// gone is no error, so that no answer is asked for.
func deleteLink(name string) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	err = unix.Sendto(fd, deletion(name), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	return os.NewSyscallError("sendto", err)
}

// deletion is RTM_DELLINK with the name as its one attribute.
func deletion(name string) []byte {
	length := unix.SizeofRtAttr + len(name) + 1
	b := make([]byte, 0, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg+length+3)
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.SizeofNlMsghdr+unix.SizeofIfInfomsg+(length+3)&^3))
	b = binary.NativeEndian.AppendUint16(b, unix.RTM_DELLINK)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, make([]byte, 8+unix.SizeofIfInfomsg)...) // sequence, port id; any family, no index
	b = binary.NativeEndian.AppendUint16(b, uint16(length))
	b = binary.NativeEndian.AppendUint16(b, unix.IFLA_IFNAME)
	b = append(append(b, name...), 0)
	return append(b, make([]byte, (4-length&3)&3)...)
}
