package linux

import "golang.org/x/sys/unix"

// legacy are calls whose numbers only some architectures have.
var legacy = [...]Call{
	{Number: unix.SYS_SETRLIMIT, Name: "setrlimit", Args: []Argument{resource, {Form: Rlimit}}},
	{Number: unix.SYS_GETRLIMIT, Name: "getrlimit", Args: []Argument{resource, {Form: RlimitOut}}},
}
