package program

import "golang.org/x/sys/unix"

// machineCalls are those whose numbers differ between architectures.
var machineCalls = []machineCall{
	{unix.SYS_SETRLIMIT, []any{unix.RLIMIT_NOFILE, words(9, 8)}},
	{unix.SYS_GETRLIMIT, []any{unix.RLIMIT_CORE, Out(16)}},
}
