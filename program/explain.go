package program

import "time"

// Ran is what the kernel answered to one step.
type Ran struct {
	Result int64         // as the call returned it: -errno for a failure; 0 for an execve that succeeded
	At     time.Duration // since the start; 0 where no clock can be read without a system call
	Out    [][]byte      // what the kernel left in the step's Out arguments, in their order
}

// Numbers are the descriptors that the child inherits, known once it is made.
type Numbers map[Host]int
