package program

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Builder appends steps to a Program and hands out slots.
type Builder struct {
	steps Program
	slots Slot   // highest number handed out
	free  []Slot // closed, to be used again
	from  string
}

// Added is the step that was just appended, to be completed: b.Call(...).Why("...").
type Added struct {
	b *Builder
	i int
}

// Call appends a system call. Arguments become registers by their Go type: integers as they are, string,
// []string and []byte by address, nil as NULL, Slot by an earlier step's result, Host by the
// number of an inherited descriptor, Beside by one near it, Out by the address of zero bytes, Filter as struct sock_fprog.
func (b *Builder) Call(nr uintptr, args ...any) Added {
	s := Step{Call: nr, Args: make([]Arg, len(args)), From: b.from}
	for i, a := range args {
		s.Args[i] = argument(a)
	}
	b.steps = append(b.steps, s)
	return Added{b, len(b.steps) - 1}
}

// From names the config field for all steps appended from now on until it is called again.
func (b *Builder) From(field string, a ...any) { b.from = put(field, a) }

// Begin appends what every program does first: it was made with all signals blocked, and with a copy of the host's end of
// the gates, which must go so that the host's death is seen as end of file.
func (b *Builder) Begin() {
	b.From("")
	b.Call(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, make([]byte, 8), nil, 8).Why("unblock all signals: they were blocked while the process was made")
	b.Call(unix.SYS_CLOSE, HostSync).Why("close the host's end of the gates: should the host die, a gate reads end of file")
}

// Gate appends the two steps of a gate: tell the host its name's first letter, wait for its answer. The host
// closing its end, because it died or gave up, ends the child.
func (b *Builder) Gate(name, why string) {
	b.From("")
	b.Call(unix.SYS_WRITE, Sync, []byte(name[:1]), 1).Why("tell the host that the gate %q is reached", name)
	b.Call(unix.SYS_READ, Sync, Out(1), 1).Why("%s", why)
	b.steps[len(b.steps)-1].Gate = name
}

// Fork appends a second clone: the process that made it exits, its child goes on with the next step as the host's own
// child (CLONE_PARENT). It enters a PID namespace that was joined, or a time namespace whose offsets were written.
func (b *Builder) Fork(why string) {
	args := make([]byte, sizeofCloneArgs)
	binary.NativeEndian.PutUint64(args, unix.CLONE_PARENT|unix.CLONE_PARENT_SETTID) // exit_signal must be 0: it is the parent's
	b.Call(unix.SYS_CLONE3, args, sizeofCloneArgs).Why("%s", why)
}

// Close appends the close of a kept descriptor and frees its slot.
func (b *Builder) Close(s Slot) Added {
	b.free = append(b.free, s)
	return b.Call(unix.SYS_CLOSE, s).Why("done with it")
}

// WriteFile appends open, write and close of a file that exists. One write: the kernel's files take a value whole.
func (b *Builder) WriteFile(path, data, why string) {
	fd := b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, path, unix.O_WRONLY|unix.O_CLOEXEC, 0).Why("open it to write one value").Keep()
	b.Call(unix.SYS_WRITE, fd, []byte(data), len(data)).Why("%s", why)
	b.Close(fd)
}

// slot takes a free number. A start needs one for each bind mount at once, and few more: Close gives them back.
func (b *Builder) slot() Slot {
	if n := len(b.free); n > 0 {
		s := b.free[n-1]
		b.free = b.free[:n-1]
		return s
	}
	if b.slots++; b.slots > MaxSlots {
		panic("program: more than MaxSlots results kept at once")
	}
	return b.slots
}

// Program returns what was built.
func (b *Builder) Program() Program { return b.steps }

// Why gives the step its sentence.
func (a Added) Why(format string, args ...any) Added {
	a.step().Why = put(format, args)
	return a
}

// From names the config field of this step alone.
func (a Added) From(format string, args ...any) Added {
	a.step().From = put(format, args)
	return a
}

// Tolerate lists failures that do not stop the program.
func (a Added) Tolerate(errnos ...unix.Errno) Added {
	a.step().Tolerate = errnos
	return a
}

// Keep reserves a slot for the step's result and returns it.
func (a Added) Keep() Slot {
	a.step().Result = a.b.slot()
	return a.step().Result
}

// put is fmt.Sprintf without its cost where there is nothing to put in: most of two hundred sentences in a start.
func put(format string, args []any) string {
	if len(args) == 0 {
		return format
	}
	if s, ok := args[0].(string); ok && format == "%s" {
		return s
	}
	return fmt.Sprintf(format, args...)
}

func (a Added) step() *Step { return &a.b.steps[a.i] }

func argument(a any) Arg {
	switch v := a.(type) {
	case nil:
		return Arg{}
	case int:
		return Arg{Int: uint64(v)}
	case uint:
		return Arg{Int: uint64(v)}
	case uint32:
		return Arg{Int: uint64(v)}
	case int64:
		return Arg{Int: uint64(v)}
	case uint64:
		return Arg{Int: v}
	case uintptr:
		return Arg{Int: uint64(v)}
	case unix.Signal:
		return Arg{Int: uint64(v)}
	case string:
		return Arg{Kind: KindStr, Str: v}
	case []string:
		return Arg{Kind: KindStrs, Strs: v}
	case []byte:
		return Arg{Kind: KindBytes, Bytes: v}
	case Out:
		return Arg{Kind: KindOut, Int: uint64(v)}
	case Slot:
		return Arg{Kind: KindSlot, Int: uint64(v)}
	case Host:
		return Arg{Kind: KindHost, Str: string(v)}
	case Beside:
		return Arg{Kind: KindHost, Str: string(v.Host), Int: uint64(v.By)}
	case Filter:
		return Arg{Kind: KindProg, Bytes: v}
	}
	panic(fmt.Sprintf("program: no register can hold a %T", a))
}
