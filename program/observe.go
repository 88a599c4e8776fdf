package program

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"

	"glassbox/linux"
)

// Memory reads the memory of the process that makes a call: as many bytes as there are, from the address on.
type Memory func(address uint64, into []byte) int

// Observed is a call that a program makes of its own accord, caught on its way into the kernel. It is written by the printer that writes steps.
type Observed struct {
	step   Step
	call   *linux.Call
	memory Memory
	args   [6]uint64
	most   int
}

// Observe reads what the call is handed. most is how many bytes of a string are shown.
func Observe(number uint64, args [6]uint64, memory Memory, most int) *Observed {
	o := &Observed{step: Step{Call: uintptr(number)}, call: linux.Lookup(uintptr(number)), memory: memory, args: args, most: most}
	for i, a := range o.forms() {
		o.step.Args = append(o.step.Args, o.argument(i, a))
	}
	return o
}

// forms are those of the call's arguments; of a call that no table has, all six registers.
func (o *Observed) forms() []linux.Argument {
	c := o.call
	if c == nil {
		return make([]linux.Argument, len(o.args))
	}
	if len(c.Variants) == 0 {
		return c.Args
	}
	rest, _ := c.Of(uint64(uint32(o.args[c.By])))
	return append(append([]linux.Argument(nil), c.Args[:c.By+1]...), rest...)
}

// CallName is the name of the system call of this number; of one without a signature, what seccomp's tables call it.
func CallName(number uintptr) string {
	if c := linux.Lookup(number); c != nil {
		return c.Name
	}
	return linux.Native().CallName(uint32(number))
}

// argument reads what the register means, if it is an address of something to look at.
func (o *Observed) argument(i int, a linux.Argument) Arg {
	number := Arg{Kind: KindInt, Int: o.args[i]}
	if o.args[i] == 0 {
		return number
	}
	switch a.Form {
	case linux.PathName, linux.String, linux.String256, linux.TaskName, linux.MountType, linux.MountData:
		if text, ok := o.text(o.args[i]); ok {
			return Arg{Kind: KindStr, Str: text}
		}
		return number
	case linux.Strings:
		return o.strings(o.args[i], number)
	case linux.Vector:
		return o.vector(i, a, number)
	case linux.Data, linux.HexData, linux.HostName, linux.SocketAddress:
		return o.bytes(o.args[i], min(o.size(a), o.most+1), number)
	}
	switch {
	case a.Form.Fills():
		return Arg{Kind: KindOut, Int: uint64(o.capacity(a))}
	case a.Form.Size() > 0:
		return o.bytes(o.args[i], a.Form.Size(), number)
	case structured(a.Form):
		return o.bytes(o.args[i], min(o.size(a), 4096), number)
	}
	return number
}

// structured says whether an argument of the form is memory whose size another argument has.
func structured(f linux.Form) bool {
	switch f {
	case linux.OpenHow, linux.MountAttr, linux.CloneArgs, linux.CPUSet, linux.NodeSet, linux.LandlockRuleset:
		return true
	}
	return false
}

// size is what another argument says of this one's.
func (o *Observed) size(a linux.Argument) int {
	if a.Size == 0 {
		return 0
	}
	return int(min(o.args[a.Size-1], 1<<20))
}

// capacity is how much the kernel may fill, as far as it is shown.
func (o *Observed) capacity(a linux.Argument) int {
	if n := a.Form.Size(); n > 0 {
		return n
	}
	if a.Form == linux.PathOut {
		return longestPath + 1
	}
	return o.most + 1
}

func (o *Observed) bytes(address uint64, n int, unread Arg) Arg {
	b := make([]byte, n)
	if o.memory(address, b) < n {
		return unread
	}
	return Arg{Kind: KindBytes, Bytes: b}
}

// text reads up to the NUL. Pages end anywhere: what comes before the end of readable memory counts.
func (o *Observed) text(address uint64) (string, bool) {
	var text []byte
	for len(text) <= longestPath {
		var b [256]byte
		n := o.memory(address+uint64(len(text)), b[:])
		if end := bytes.IndexByte(b[:n], 0); end >= 0 {
			return string(append(text, b[:end]...)), true
		}
		if n == 0 {
			return "", false
		}
		text = append(text, b[:n]...)
	}
	return string(text), true
}

// mostStrings is how many entries of an argv are read.
const mostStrings = 1024

func (o *Observed) strings(address uint64, unread Arg) Arg {
	a := Arg{Kind: KindStrs}
	for range mostStrings {
		var b [8]byte
		if o.memory(address, b[:]) < len(b) {
			return unread
		}
		at := binary.LittleEndian.Uint64(b[:])
		if at == 0 {
			break
		}
		text, ok := o.text(at)
		if !ok {
			return unread
		}
		a.Strs = append(a.Strs, text)
		address += 8
	}
	return a
}

// vector reads the buffers of an array of struct iovec.
func (o *Observed) vector(i int, a linux.Argument, unread Arg) Arg {
	all := Arg{Kind: KindStrs}
	for j := range min(o.size(a), 16) {
		var b [16]byte
		if o.memory(o.args[i]+uint64(16*j), b[:]) < len(b) {
			return unread
		}
		part := make([]byte, min(binary.LittleEndian.Uint64(b[8:]), 1<<16))
		n := o.memory(binary.LittleEndian.Uint64(b[:8]), part)
		all.Strs = append(all.Strs, string(part[:n]))
	}
	return all
}

// Begun is the call before it returns.
func (o *Observed) Begun() string { return o.write(nil) }

// Done is the call after it returned: what the kernel filled is read now.
func (o *Observed) Done(result int64) Done {
	ran := &Ran{Result: result}
	for i, a := range o.step.Args {
		if a.Kind == KindOut {
			ran.Out = append(ran.Out, o.filled(i, int(a.Int), result))
		}
	}
	return Done{Call: o.write(ran), Result: o.answer(result), Failed: result < 0 && result >= -4095 && !interrupted(result)}
}

func (o *Observed) filled(i, n int, result int64) []byte {
	if f := o.forms()[i].Form; result > 0 && (f == linux.DataOut || f == linux.HexDataOut || f == linux.PathOut) {
		n = int(min(int64(n), result))
	}
	b := make([]byte, n)
	return b[:o.memory(o.args[i], b)]
}

func (o *Observed) write(ran *Ran) string {
	p := printer{step: o.step, ran: ran, most: o.most, names: func(Arg) (int64, string) { return 0, memory }}
	text := p.call()
	if o.call == nil {
		_, args, _ := strings.Cut(text, "(")
		return CallName(o.step.Call) + "(" + args
	}
	return text
}

// interrupted: a signal came first; the kernel makes the call anew, or tells the program EINTR, include/linux/errno.h.
func interrupted(result int64) bool { return result <= -512 && result >= -516 }

func (o *Observed) answer(result int64) string {
	if interrupted(result) {
		return "? (interrupted by a signal; the kernel makes it again, or answers EINTR)"
	}
	return o.step.Answer(result)
}

// Write writes what was done as an account does, behind a label of at most five characters.
func (d Done) Write(w io.Writer, label string, s Style) error {
	out := newWriter(w, s)
	out.done(label, d)
	return out.Flush()
}
