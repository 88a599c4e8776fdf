package program

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// frozen is a program whose addresses no longer change: instructions, strings and structs in one
// mapping that the child shares with the host. The child reads its instructions there and writes its
// results there, so a failure travels back without a message.
type frozen struct {
	memory []byte
	state  *state
	code   []instruction
	ran    []ran
}

// state begins the mapping: what the host notes of it, and what the child writes as it goes.
type state struct {
	magic   [8]byte
	layout  uint64  // see layout: a file that another build made has another one
	steps   uint64  // how many instructions follow, and then notes of what they returned
	base    uintptr // where the mapping is in the process that made it, and in the child
	reached uint32  // index of the step being executed
	failed  uint32  // index+1 of the step that failed; 0: none
	errno   uint32
	skip    uint32 // index+1 of the step that is to be left out, written by the host while the child waits at the question before it
	forked  uint32 // the process that the second clone made and that goes on, noted by the kernel before that one runs (CLONE_PARENT_SETTID)
	slots   [MaxSlots + 1]uintptr
}

// instruction is a step as the interpreter sees it: numbers only.
type instruction struct {
	call     uintptr
	args     [6]uintptr
	inSlots  uint8 // bit i: args[i] is the number of a slot
	result   uint16
	forks    bool
	resolves bool // a path by openat2
	whole    bool // args[2] bytes must be transferred: a shorter read or write is a failure
	tolerate [4]uint16
}

// ran is what the interpreter notes of one step.
type ran struct {
	result int64
	at     int64 // monotonic nanoseconds after the call; 0 without a clock
}

// freeze lays the program out in a shared mapping, of the file if there is one. hosts gives the numbers of inherited descriptors.
func freeze(p Program, hosts Numbers, file *os.File) (*frozen, error) {
	size := sizeofTables(len(p)) + 64
	for _, s := range p {
		if len(s.Args) > 6 || len(s.Tolerate) > 4 {
			return nil, fmt.Errorf("step %q: more than six arguments or four tolerated errnos", s.Why)
		}
		for _, a := range s.Args {
			if text, cut := a.cut(); cut {
				return nil, fmt.Errorf("%s: %q holds a zero byte, at which it would end for the kernel", cmp.Or(s.From, s.Why), text)
			}
			size += a.room()
		}
	}
	memory, err := share(file, size)
	if err != nil {
		return nil, err
	}
	f := &frozen{memory: memory}
	a := arena{memory: memory}
	f.tables(&a, len(p))
	f.state.magic, f.state.layout, f.state.steps, f.state.base = magic, layout, uint64(len(p)), uintptr(unsafe.Pointer(&memory[0]))
	for i, s := range p {
		in := &f.code[i]
		in.call, in.result = s.Call, uint16(s.Result)
		in.forks = s.Call == unix.SYS_CLONE3
		in.resolves = s.Call == unix.SYS_OPENAT2
		in.whole = s.Call == unix.SYS_READ || s.Call == unix.SYS_WRITE
		for j, e := range s.Tolerate {
			in.tolerate[j] = uint16(e)
		}
		for j, arg := range s.Args {
			switch arg.Kind {
			case KindSlot:
				in.args[j], in.inSlots = uintptr(arg.Int), in.inSlots|1<<j
			case KindHost:
				n, ok := hosts[Host(arg.Str)]
				if !ok {
					f.release()
					return nil, fmt.Errorf("step %q: the host has no descriptor %q", s.Why, arg.Str)
				}
				in.args[j] = uintptr(n) + uintptr(arg.Int)
			case KindOut:
				in.args[j] = uintptr(a.take(int(arg.Int)))
			default:
				at := a.used
				in.args[j] = a.place(arg)
				if in.forks && len(arg.Bytes) == sizeofCloneArgs {
					f.noteFork((*cloneArgs)(unsafe.Pointer(&memory[at])))
				}
			}
		}
	}
	return f, nil
}

// tables lays out what every mapping begins with.
func (f *frozen) tables(a *arena, steps int) {
	f.state = (*state)(a.take(int(unsafe.Sizeof(state{}))))
	if steps > 0 {
		f.code = unsafe.Slice((*instruction)(a.take(steps*int(unsafe.Sizeof(instruction{})))), steps)
		f.ran = unsafe.Slice((*ran)(a.take(steps*int(unsafe.Sizeof(ran{})))), steps)
	}
}

func sizeofTables(steps int) int {
	return int(unsafe.Sizeof(state{})) + steps*int(unsafe.Sizeof(instruction{})+unsafe.Sizeof(ran{}))
}

// share maps size bytes that the child and this process share: of the file, or of none.
func share(file *os.File, size int) ([]byte, error) {
	fd, flags := -1, unix.MAP_SHARED|unix.MAP_ANONYMOUS
	if file != nil {
		fd, flags = int(file.Fd()), unix.MAP_SHARED
		if err := unix.Ftruncate(fd, int64(size)); err != nil {
			return nil, &os.PathError{Op: "ftruncate", Path: file.Name(), Err: err}
		}
	}
	memory, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes for the program: %w", size, err)
	}
	return memory, nil
}

// noteFork has the kernel write the new process's number where the host looks for it. The one that made it might come too late: the
// new one can be at the next gate before.
func (f *frozen) noteFork(args *cloneArgs) {
	if args.flags&unix.CLONE_PARENT_SETTID != 0 {
		args.parentTid = uint64(uintptr(unsafe.Pointer(&f.state.forked)))
	}
}

func (f *frozen) release() {
	if f.memory != nil {
		unix.Munmap(f.memory) //nolint:errcheck // our own mapping
		f.memory, f.state, f.code, f.ran = nil, nil, nil, nil
	}
}

// cut is a string of the argument that the kernel would take for a shorter one.
func (a Arg) cut() (string, bool) {
	if strings.IndexByte(a.Str, 0) >= 0 {
		return a.Str, true
	}
	for _, s := range a.Strs {
		if strings.IndexByte(s, 0) >= 0 {
			return s, true
		}
	}
	return "", false
}

// room is how many bytes the argument takes in the mapping, alignment included.
func (a Arg) room() int {
	const align = 8
	switch a.Kind {
	case KindStr:
		return len(a.Str) + 1 + align
	case KindStrs:
		n := 8*(len(a.Strs)+1) + align
		for _, s := range a.Strs {
			n += len(s) + 1 + align
		}
		return n
	case KindBytes:
		return len(a.Bytes) + align
	case KindProg:
		return len(a.Bytes) + 16 + 2*align
	case KindOut:
		return int(a.Int) + align
	}
	return 0
}

// arena hands out aligned pieces of a mapping; freeze has computed that they fit.
type arena struct {
	memory []byte
	used   int
}

func (a *arena) take(n int) unsafe.Pointer {
	p := unsafe.Pointer(&a.memory[a.used])
	a.used = (a.used + n + 7) &^ 7
	return p
}

func (a *arena) bytes(b []byte) uintptr {
	p := a.take(len(b))
	copy(unsafe.Slice((*byte)(p), len(b)), b)
	return uintptr(p)
}

func (a *arena) str(s string) uintptr {
	p := a.take(len(s) + 1) // the mapping is zeroed: the NUL is there
	copy(unsafe.Slice((*byte)(p), len(s)), s)
	return uintptr(p)
}

// place copies what the argument points to and returns the register's value.
func (a *arena) place(arg Arg) uintptr {
	switch arg.Kind {
	case KindStr:
		return a.str(arg.Str)
	case KindStrs:
		table := unsafe.Slice((*uintptr)(a.take(8*(len(arg.Strs)+1))), len(arg.Strs)+1)
		for i, s := range arg.Strs {
			table[i] = a.str(s)
		}
		return uintptr(unsafe.Pointer(&table[0]))
	case KindBytes:
		return a.bytes(arg.Bytes)
	case KindProg: // struct sock_fprog { unsigned short len; struct sock_filter *filter; }
		prog := unsafe.Slice((*uintptr)(a.take(16)), 2)
		prog[0], prog[1] = uintptr(len(arg.Bytes)/8), a.bytes(arg.Bytes)
		return uintptr(unsafe.Pointer(&prog[0]))
	}
	return uintptr(arg.Int)
}
