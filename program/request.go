package program

import "time"

// Request is the host's half of a start: one cgroup write, id map, mount, netlink message or
// nftables batch, carried out by the host between two gates.
type Request struct {
	Call  string        // what is asked of the kernel, as strace would print it without the result
	From  string        // the config field that asked for it
	Why   string        // one sentence for the reader
	Gives string        // what a success returns, such as <layer> for a descriptor; empty: 0, or all bytes of a write
	Gave  func() string // what a success has returned, where only Do knows it; nil: Gives
	Do    func() error  // asks the kernel; nil in a plan that is only printed
	Undo  func() error  // takes it back after a later failure; nil: nothing to take back
}

// Done is a request or step after it ran.
type Done struct {
	Call   string        `json:"call"`             // with real descriptor numbers, as strace prints it, without the result
	Result string        `json:"result,omitempty"` // as strace prints it: "0", "3", "-1 ENOENT (No such file or directory)"; empty in a plan
	From   string        `json:"from,omitempty"`
	Why    string        `json:"why"`
	At     time.Duration `json:"at_ns,omitempty"` // since the start; 0 where no clock can be read without a system call
	Gate   string        `json:"gate,omitempty"`  // the gate that this read waited at
	Failed bool          `json:"failed,omitempty"`
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
	Phase string `json:"phase"`
	Why   string `json:"why"`
	Plan  bool   `json:"plan,omitempty"` // nobody carried it out
	Host  []Done `json:"host,omitempty"`
	Child []Done `json:"child,omitempty"`
}
