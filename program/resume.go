package program

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A start can have two hosts, one after the other. The first makes the child with its program in a file (Clone.Memory) and ends. The
// child waits at a socket that it was given, which whoever goes on connects to:
//
//	first host                 child                           second host
//	Start, Reach("created")
//	Pass, and ends        ->   accept4(listener)
//	                           dup3(accepted, sync)       <-   Resume: connects
//	                           gate "start": writes "s"   ->   Reach("start")
//	                           reads                      <-   Pass
//	                           execve: end of file        ->   Finish

// Await appends the change of hosts and the gate behind it. The listener is a socket that the child inherits.
func (b *Builder) Await(listener Host, gate, why string) {
	b.From("")
	next := b.Call(unix.SYS_ACCEPT4, listener, nil, nil, unix.SOCK_CLOEXEC).Why("whoever made us has gone: wait until somebody comes to start us").Keep()
	b.Call(unix.SYS_DUP3, next, Sync, unix.O_CLOEXEC).Why("from here on the gates are theirs")
	b.Close(next)
	b.Call(unix.SYS_CLOSE, listener).Why("nobody else can come")
	b.Gate(gate, why)
}

// magic and layout tell a file of ours from any other, and from one of a build with other tables.
var magic = [8]byte{'g', 'l', 'a', 's', 's', 'r', 'u', 'n'}

const layout = uint64(unsafe.Sizeof(state{}))<<32 | uint64(unsafe.Sizeof(instruction{}))<<16 | uint64(unsafe.Sizeof(ran{}))

// Resume takes the host's part in a start that another process began with Clone.Memory and left at Await. conn is connected to the
// listener; it is the Process's from now on. recall gives the program once more, when it must be told what failed; nobody needs it for a start
// that succeeds.
func Resume(memory *os.File, conn int, pid int, recall func() (Program, error)) (*Process, error) {
	f, err := thaw(memory)
	if err != nil {
		return nil, err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		f.release()
		return nil, fmt.Errorf("opening a pidfd of process %d: %w", pid, err)
	}
	return &Process{Pid: pid, Pidfd: os.NewFile(uintptr(fd), "pidfd"), recall: recall, frozen: f, sync: conn, began: nanotime()}, nil
}

// Recall has the process know its program from now on, so that Ran can tell what the kernel wrote and Numbers what was inherited.
func (p *Process) Recall() error {
	if p.program != nil {
		return nil
	}
	return p.remember()
}

// remember asks for the program and checks that it is the one that lies in the file: step by step the same calls.
func (p *Process) remember() error {
	program, err := p.recall()
	if err != nil {
		return err
	}
	if len(program) != len(p.frozen.code) {
		return fmt.Errorf("the program in the file has %d steps, this build compiles %d", len(p.frozen.code), len(program))
	}
	hosts := Numbers{}
	for i, s := range program {
		in := &p.frozen.code[i]
		if in.call != s.Call {
			return fmt.Errorf("step %d of the program in the file is call %d, this build compiles %d", i+1, in.call, s.Call)
		}
		for j, a := range s.Args {
			if a.Kind == KindHost {
				hosts[Host(a.Str)] = int(in.args[j] - uintptr(a.Int))
			}
		}
	}
	p.program, p.hosts = program, hosts
	for i := range p.ran {
		p.ran[i].Out = p.frozen.out(i, program[i])
	}
	return nil
}

// thaw maps a program that another process froze. The addresses in it are that process's: only the tables can be used here.
func thaw(file *os.File) (*frozen, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return nil, &os.PathError{Op: "fstat", Path: file.Name(), Err: err}
	}
	if st.Size < int64(sizeofTables(0)) || st.Size > 1<<30 {
		return nil, fmt.Errorf("%s: not a program of this build: %d bytes", file.Name(), st.Size)
	}
	memory, err := unix.Mmap(int(file.Fd()), 0, int(st.Size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", file.Name(), err)
	}
	f := &frozen{memory: memory}
	head := (*state)(unsafe.Pointer(&memory[0]))
	if head.magic != magic || head.layout != layout || head.steps == 0 || head.steps > uint64(st.Size) || sizeofTables(int(head.steps)) > len(memory) {
		f.release()
		return nil, fmt.Errorf("%s: not a program of this build: it was made by another version of glassrun", file.Name())
	}
	f.tables(&arena{memory: memory}, int(head.steps))
	return f, nil
}

// reached is the index of the step that the child was at last.
func (f *frozen) reached() int { return min(int(f.state.reached), len(f.code)-1) }

// out copies what the kernel left in the Out arguments of step i.
func (f *frozen) out(i int, s Step) (all [][]byte) {
	for j, a := range s.Args {
		if a.Kind != KindOut {
			continue
		}
		from := f.code[i].args[j] - f.state.base
		if to := from + uintptr(a.Int); from <= to && to <= uintptr(len(f.memory)) {
			all = append(all, append([]byte(nil), f.memory[from:to]...))
		}
	}
	return all
}
