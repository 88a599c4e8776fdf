package seccomp

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// 32-bit x86 programs reach sockets and System V IPC by two calls whose first argument says which function is meant, socketcall(2) and
// ipc(2). A rule for a function holds for both ways, or the second would lead around it. Conditions cannot: the arguments are behind
// a pointer.

// sockets are the functions of socketcall from 1 on, include/uapi/linux/net.h.
var sockets = [...]string{
	"socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv", "sendto", "recvfrom", "shutdown",
	"setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg", "sendmmsg",
}

// shared are the functions of ipc, include/uapi/linux/ipc.h; empty: none has this number.
var shared = [...]string{
	0: "", 1: "semop", 2: "semget", 3: "semctl", 4: "semtimedop", 11: "msgsnd", 12: "msgrcv", 13: "msgget", 14: "msgctl",
	21: "shmat", 22: "shmdt", 23: "shmget", 24: "shmctl",
}

// multiplexed is the call, and the condition on its first argument, by which the function is reached as well.
func multiplexed(name string) (call string, function condition, is bool) {
	if i := slices.Index(sockets[:], name); i >= 0 {
		return "socketcall", condition{op: specs.OpEqualTo, value: uint64(i + 1)}, true
	}
	if i := slices.Index(shared[:], name); i > 0 {
		// The upper half of the number is the version of the interface.
		return "ipc", condition{op: specs.OpMaskedEqual, mask: 0xffff, value: uint64(i)}, true
	}
	return "", condition{}, false
}
