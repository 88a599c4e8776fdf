package program

import "time"

// Request is the host's half of a start: one cgroup write, id map, mount, netlink message or
// nftables batch, carried out by the host between two gates.
type Request struct {
	Call string       // what is asked of the kernel, as strace would print it without the result
	From string       // the config field that asked for it
	Why  string       // one sentence for the reader
	Do   func() error // asks the kernel; nil in a plan that is only printed
	Undo func() error // takes it back after a later failure; nil: nothing to take back
}

// Done is a request or step after it ran.
type Done struct {
	Call   string // with real descriptor numbers, as strace prints it, without the result
	Result string // as strace prints it: "0", "3", "-1 ENOENT (No such file or directory)"
	From   string
	Why    string
	At     time.Duration // since the start; 0 where no clock can be read without a system call
	Gate   string        // the gate that this read waited at
	Failed bool
}

// Phase is what happens between two gates: first the host's requests, then the child's steps.
type Phase struct {
	Name  string
	Why   string
	Host  []Request
	Child Program
}

// Account is what was asked of the kernel in one phase, in order, host first.
type Account struct {
	Phase string
	Why   string
	Host  []Done
	Child []Done
}
