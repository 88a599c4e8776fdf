// Package program is the idea of glassbox: starting a container is a program of system calls.
//
// A Program is a flat list of steps. Each step is one system call: its number, its arguments, a slot
// for its result, the errnos it tolerates, the config field that asked for it and one sentence saying
// why. The same value is executed (Start), printed (Explain) and held against strace (Compare); there
// is no second description of what happens.
//
// The worked story. runtime.Compile builds a Program with a Builder. Start freezes its addresses into
// one shared mapping, makes a child with clone3, and the child interprets the list with raw system
// calls only: it allocates nothing, calls no other Go code and never returns. At a gate the child
// waits for the host, which does its half (Requests: cgroup writes, id maps) and then lets it
// pass. The last step is execve.
package program

import "golang.org/x/sys/unix"

// Program is what a child does from clone3's return to execve, in order.
type Program []Step

// Step is one system call of a Program.
type Step struct {
	Call     uintptr      // system call number, such as unix.SYS_MOUNT
	Args     []Arg        // at most six
	Result   Slot         // where the return value is kept for later steps; 0 discards it
	Tolerate []unix.Errno // failures that do not stop the program; at most four
	Gate     string       // not empty: this read waits until the host has passed the gate of this name
	From     string       // the config.json field that asked for it: "mounts[3]"; empty: every start needs it
	Why      string       // one sentence for the reader
}

// Slot names a place that keeps a step's return value, usually a descriptor, until a later step
// uses it as an argument. Slots are numbered from 1.
type Slot uint16

// MaxSlots is how many slots one program can use.
const MaxSlots = 2000

// Kind says how an argument becomes a register.
type Kind uint8

const (
	KindInt   Kind = iota // the number itself
	KindStr               // the address of a NUL-terminated copy
	KindStrs              // the address of a NULL-terminated array of such addresses: argv, envp
	KindBytes             // the address of a copy: a struct for the kernel to read
	KindOut               // the address of Int zero bytes for the kernel to write
	KindSlot              // the value that an earlier step left in slot Int
	KindHost              // the number of the host's descriptor named Str, inherited by the child, plus Int
	KindProg              // the address of a struct sock_fprog for the filter in Bytes
)

// Arg is one argument of a step.
type Arg struct {
	Kind  Kind
	Int   uint64
	Str   string
	Strs  []string
	Bytes []byte
}

// Host names a descriptor that the host opens before the start and the child inherits. Which number
// it has is known only when it runs; a plan prints the name.
type Host string

// Beside is a number that lies so far from a host's descriptor's: where a range of them ends or begins.
type Beside struct {
	Host Host
	By   int
}

// Sync is the descriptor over which a child reports that it reached a gate and waits for the answer.
const Sync Host = "sync"

// HostSync is the host's end of Sync, which a child inherits too and closes first.
const HostSync Host = "host's end of sync"

// Out asks for that many zero bytes which the kernel fills.
type Out int

// Filter is a classic BPF program (struct sock_filter, eight bytes each) passed as struct sock_fprog.
type Filter []byte
