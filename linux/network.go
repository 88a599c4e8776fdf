package linux

import "golang.org/x/sys/unix"

// AddressFamilies are the domains of socket(2).
var AddressFamilies = Names{
	{0, "AF_UNSPEC"}, {1, "AF_UNIX"}, {2, "AF_INET"}, {3, "AF_AX25"},
	{4, "AF_IPX"}, {5, "AF_APPLETALK"}, {6, "AF_NETROM"}, {7, "AF_BRIDGE"},
	{8, "AF_ATMPVC"}, {9, "AF_X25"}, {10, "AF_INET6"}, {11, "AF_ROSE"},
	{12, "AF_DECnet"}, {13, "AF_NETBEUI"}, {14, "AF_SECURITY"}, {15, "AF_KEY"},
	{16, "AF_NETLINK"}, {17, "AF_PACKET"}, {18, "AF_ASH"}, {19, "AF_ECONET"},
	{20, "AF_ATMSVC"}, {21, "AF_RDS"}, {22, "AF_SNA"}, {23, "AF_IRDA"},
	{24, "AF_PPPOX"}, {25, "AF_WANPIPE"}, {26, "AF_LLC"}, {27, "AF_IB"},
	{28, "AF_MPLS"}, {29, "AF_CAN"}, {30, "AF_TIPC"}, {31, "AF_BLUETOOTH"},
	{32, "AF_IUCV"}, {33, "AF_RXRPC"}, {34, "AF_ISDN"}, {35, "AF_PHONET"},
	{36, "AF_IEEE802154"}, {37, "AF_CAIF"}, {38, "AF_ALG"}, {39, "AF_NFC"},
	{40, "AF_VSOCK"}, {41, "AF_KCM"}, {42, "AF_QIPCRTR"}, {43, "AF_SMC"},
	{44, "AF_XDP"}, {45, "AF_MCTP"},
}

// SocketTypes are the types of socket(2).
var SocketTypes = Names{
	{unix.SOCK_DGRAM, "SOCK_DGRAM"}, {unix.SOCK_STREAM, "SOCK_STREAM"}, {unix.SOCK_RAW, "SOCK_RAW"},
	{unix.SOCK_RDM, "SOCK_RDM"}, {unix.SOCK_SEQPACKET, "SOCK_SEQPACKET"}, {unix.SOCK_DCCP, "SOCK_DCCP"},
	{unix.SOCK_PACKET, "SOCK_PACKET"},
}

// SocketFlags are or-ed to the type of socket(2).
var SocketFlags = Names{
	{unix.SOCK_CLOEXEC, "SOCK_CLOEXEC"}, {unix.SOCK_NONBLOCK, "SOCK_NONBLOCK"},
}

// InternetProtocols are the protocols of AF_INET and AF_INET6.
var InternetProtocols = Names{
	{0, "IPPROTO_IP"}, {1, "IPPROTO_ICMP"}, {2, "IPPROTO_IGMP"}, {4, "IPPROTO_IPIP"},
	{6, "IPPROTO_TCP"}, {8, "IPPROTO_EGP"}, {12, "IPPROTO_PUP"}, {17, "IPPROTO_UDP"},
	{22, "IPPROTO_IDP"}, {29, "IPPROTO_TP"}, {33, "IPPROTO_DCCP"}, {41, "IPPROTO_IPV6"},
	{43, "IPPROTO_ROUTING"}, {44, "IPPROTO_FRAGMENT"}, {46, "IPPROTO_RSVP"}, {47, "IPPROTO_GRE"},
	{50, "IPPROTO_ESP"}, {51, "IPPROTO_AH"}, {58, "IPPROTO_ICMPV6"}, {59, "IPPROTO_NONE"},
	{60, "IPPROTO_DSTOPTS"}, {92, "IPPROTO_MTP"}, {94, "IPPROTO_BEETPH"}, {98, "IPPROTO_ENCAP"},
	{103, "IPPROTO_PIM"}, {108, "IPPROTO_COMP"}, {115, "IPPROTO_L2TP"}, {132, "IPPROTO_SCTP"},
	{135, "IPPROTO_MH"}, {136, "IPPROTO_UDPLITE"}, {137, "IPPROTO_MPLS"}, {143, "IPPROTO_ETHERNET"},
	{255, "IPPROTO_RAW"}, {262, "IPPROTO_MPTCP"},
}

// NetlinkProtocols are the protocols of AF_NETLINK.
var NetlinkProtocols = Names{
	{unix.NETLINK_ROUTE, "NETLINK_ROUTE"}, {unix.NETLINK_UNUSED, "NETLINK_UNUSED"}, {unix.NETLINK_USERSOCK, "NETLINK_USERSOCK"},
	{unix.NETLINK_FIREWALL, "NETLINK_FIREWALL"}, {unix.NETLINK_SOCK_DIAG, "NETLINK_SOCK_DIAG"}, {unix.NETLINK_NFLOG, "NETLINK_NFLOG"},
	{unix.NETLINK_XFRM, "NETLINK_XFRM"}, {unix.NETLINK_SELINUX, "NETLINK_SELINUX"}, {unix.NETLINK_ISCSI, "NETLINK_ISCSI"},
	{unix.NETLINK_AUDIT, "NETLINK_AUDIT"}, {unix.NETLINK_FIB_LOOKUP, "NETLINK_FIB_LOOKUP"}, {unix.NETLINK_CONNECTOR, "NETLINK_CONNECTOR"},
	{unix.NETLINK_NETFILTER, "NETLINK_NETFILTER"}, {unix.NETLINK_IP6_FW, "NETLINK_IP6_FW"}, {unix.NETLINK_DNRTMSG, "NETLINK_DNRTMSG"},
	{unix.NETLINK_KOBJECT_UEVENT, "NETLINK_KOBJECT_UEVENT"}, {unix.NETLINK_GENERIC, "NETLINK_GENERIC"}, {unix.NETLINK_SCSITRANSPORT, "NETLINK_SCSITRANSPORT"},
	{unix.NETLINK_ECRYPTFS, "NETLINK_ECRYPTFS"}, {unix.NETLINK_RDMA, "NETLINK_RDMA"}, {unix.NETLINK_CRYPTO, "NETLINK_CRYPTO"},
	{unix.NETLINK_SMC, "NETLINK_SMC"},
}

// InterfaceFlags are ifreq.ifr_flags.
var InterfaceFlags = Names{
	{(1 << 0), "IFF_UP"}, {(1 << 1), "IFF_BROADCAST"}, {(1 << 2), "IFF_DEBUG"},
	{(1 << 3), "IFF_LOOPBACK"}, {(1 << 4), "IFF_POINTOPOINT"}, {(1 << 5), "IFF_NOTRAILERS"},
	{(1 << 6), "IFF_RUNNING"}, {(1 << 7), "IFF_NOARP"}, {(1 << 8), "IFF_PROMISC"},
	{(1 << 9), "IFF_ALLMULTI"}, {(1 << 10), "IFF_MASTER"}, {(1 << 11), "IFF_SLAVE"},
	{(1 << 12), "IFF_MULTICAST"}, {(1 << 13), "IFF_PORTSEL"}, {(1 << 14), "IFF_AUTOMEDIA"},
	{(1 << 15), "IFF_DYNAMIC"}, {(1 << 16), "IFF_LOWER_UP"}, {(1 << 17), "IFF_DORMANT"},
	{(1 << 18), "IFF_ECHO"},
}
