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

// objects are the functions of ipc, include/uapi/linux/ipc.h.
var objects = [...]string{
	1: "semop", 2: "semget", 3: "semctl", 4: "semtimedop", 11: "msgsnd", 12: "msgrcv", 13: "msgget", 14: "msgctl",
	21: "shmat", 22: "shmdt", 23: "shmget", 24: "shmctl",
}

// multiplexed are the rules for the other way to the calls of these names.
func multiplexed(names []string, action uint32) (rules []rule) {
	add := func(call string, first condition) {
		rules = append(rules, rule{names: []string{call}, action: action, conditions: []condition{first}, multiplexed: true})
	}
	for _, name := range names {
		if i := slices.Index(sockets[:], name); i >= 0 {
			add("socketcall", condition{op: specs.OpEqualTo, value: uint64(i + 1)})
		} else if i := slices.Index(objects[:], name); i > 0 {
			// The upper half of the number is the version of the interface.
			add("ipc", condition{op: specs.OpMaskedEqual, mask: 0xffff, value: uint64(i)})
		}
	}
	return rules
}
