package program

import (
	"encoding/binary"
	"strings"

	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// pointed writes an argument that is an address, by what is there.
func (p *printer) pointed(i int, a linux.Argument) string {
	if text := p.null(i); text != "" {
		return text
	}
	switch a.Form {
	case linux.PathName:
		return quoteString(p.text(i), longestPath)
	case linux.String:
		return quoteString(p.text(i), p.longest())
	case linux.String256:
		return quoteFull(p.text(i), 256)
	case linux.TaskName:
		return quoteFull(p.text(i), 15)
	case linux.MountType:
		if p.value(3)&(unix.MS_BIND|unix.MS_MOVE|propagation|unix.MS_REMOUNT) != 0 {
			return memory
		}
		return quoteString(p.text(i), p.longest())
	case linux.MountData:
		if flags := p.value(3); flags&unix.MS_REMOUNT == 0 && flags&(unix.MS_BIND|unix.MS_MOVE|propagation) != 0 {
			return memory
		}
		return quoteString(p.text(i), p.longest())
	case linux.HostName:
		if p.size(a) > 64 {
			return memory
		}
		return p.data(i, a)
	case linux.Data:
		return p.data(i, a)
	case linux.HexData:
		return quoteHex(p.bytes(i, p.size(a)))
	case linux.Strings:
		return p.strings(i)
	case linux.FilterProgram:
		return p.filter(i)
	case linux.SocketAddress:
		return socketAddress([]byte(p.bytes(i, p.size(a))))
	case linux.Vector:
		return p.vector(i)
	case linux.HexDataOut, linux.StatOut, linux.UtsnameOut, linux.TimespecOut, linux.TaskNameOut, linux.WaitStatusOut, linux.PathOut, linux.DataOut, linux.IntegerOut, linux.PairOut, linux.IDOut, linux.RlimitOut, linux.CapabilityOut, linux.SignalSetOut,
		linux.SignalActionOut, linux.StatfsOut, linux.WinsizeOut:
		return p.out(i, a)
	case linux.Address:
		return memory
	}
	return p.structure(i, a)
}

const propagation = unix.MS_SHARED | unix.MS_PRIVATE | unix.MS_SLAVE | unix.MS_UNBINDABLE

// null writes an address that is only a number, as no address at all is.
func (p *printer) null(i int) string {
	if i >= len(p.step.Args) {
		return "NULL"
	}
	switch p.step.Args[i].Kind {
	case KindInt, KindSlot, KindHost:
		return p.number(i, func(v uint64) string {
			if v == 0 {
				return "NULL"
			}
			return linux.Hex(v)
		})
	}
	return ""
}

// text is the string that argument i points to.
func (p *printer) text(i int) string {
	if a := p.step.Args[i]; a.Kind == KindStr {
		return a.Str
	}
	return string(p.step.Args[i].Bytes)
}

// bytes is what argument i points to, n bytes of it.
func (p *printer) bytes(i int, n uint64) string {
	b := p.text(i)
	if p.step.Args[i].Kind == KindStr {
		b += "\x00"
	}
	if uint64(len(b)) > n {
		b = b[:n]
	}
	return b
}

// size is the number of bytes at a's address, which another argument holds.
func (p *printer) size(a linux.Argument) uint64 { return p.value(a.Size - 1) }

func (p *printer) data(i int, a linux.Argument) string {
	b := p.bytes(i, p.size(a))
	if len(b) > p.longest() {
		return quote(b[:p.longest()]) + "..."
	}
	return quote(b)
}

func (p *printer) strings(i int) string {
	a := p.step.Args[i]
	if a.Kind != KindStrs {
		return memory
	}
	var w strings.Builder
	w.WriteByte('[')
	for j, s := range a.Strs {
		if j > 0 {
			w.WriteString(", ")
		}
		w.WriteString(quoteString(s, p.longest()))
	}
	w.WriteByte(']')
	return w.String()
}

// out writes what the kernel left in argument i, if it did.
func (p *printer) out(i int, a linux.Argument) string {
	b, ok := p.filled(i)
	if !ok || len(b) < a.Form.Size() {
		return memory
	}
	if a.Form == linux.DataOut || a.Form == linux.HexDataOut {
		if n := int(p.ran.Result); n < len(b) {
			b = b[:n]
		}
		if a.Form == linux.HexDataOut {
			return quoteHex(string(b[:min(len(b), p.longest())]))
		}
		if len(b) > p.longest() {
			return quote(string(b[:p.longest()])) + "..."
		}
		return quote(string(b))
	}
	return written(a.Form, b)
}

// written writes what the kernel filled in, by its form.
func written(f linux.Form, b []byte) string {
	switch f {
	case linux.IntegerOut:
		return "[" + signed32(uint64(u32(b, 0))) + "]"
	case linux.IDOut:
		return "[" + id(uint64(u32(b, 0))) + "]"
	case linux.PairOut:
		return "[" + signed32(uint64(u32(b, 0))) + ", " + signed32(uint64(u32(b, 4))) + "]"
	case linux.RlimitOut:
		return rlimit(b)
	case linux.CapabilityOut:
		return capabilities(b)
	case linux.SignalSetOut:
		return signalSet(u64(b, 0))
	case linux.SignalActionOut:
		return signalAction(b)
	case linux.WinsizeOut:
		return winsize(b)
	case linux.StatOut:
		return attributes(b)
	case linux.UtsnameOut:
		return names(b)
	case linux.TimespecOut:
		return timespec(b)
	case linux.TaskNameOut:
		return quoteString(string(b), 15)
	case linux.PathOut:
		return quoteString(string(b), longestPath)
	case linux.WaitStatusOut:
		return "[" + waitStatus(u32(b, 0)) + "]"
	}
	return statfs(b)
}

// filled is the memory of argument i after a call that succeeded.
func (p *printer) filled(i int) ([]byte, bool) {
	if p.step.Args[i].Kind != KindOut || p.ran == nil || p.ran.Result < 0 && p.ran.Result >= -4095 {
		return nil, false
	}
	nth := 0
	for _, a := range p.step.Args[:i] {
		if a.Kind == KindOut {
			nth++
		}
	}
	if nth >= len(p.ran.Out) {
		return nil, false
	}
	return p.ran.Out[nth], true
}

// structure writes a struct that the kernel reads.
func (p *printer) structure(i int, a linux.Argument) string {
	b, size := []byte(p.text(i)), p.size(a)
	if k := p.step.Args[i].Kind; k == KindOut {
		b = make([]byte, p.step.Args[i].Int)
	} else if k != KindBytes && k != KindStr {
		return memory
	}
	if len(b) < smallest(a.Form) {
		return memory
	}
	switch a.Form {
	case linux.IntegerAt:
		return "[" + signed32(uint64(u32(b, 0))) + "]"
	case linux.OpenHow:
		return openHow(b, size)
	case linux.MountAttr:
		return mountAttr(b, size)
	case linux.CloneArgs:
		return cloneArguments(b, size) + p.newThread(b)
	case linux.CapabilityHeader:
		return capabilityHeader(b)
	case linux.CapabilityData:
		return capabilities(b)
	case linux.Rlimit:
		return rlimit(b)
	case linux.SchedAttr:
		return schedAttr(b)
	case linux.CPUSet:
		return cpuSet(b, uint64(uint32(size)))
	case linux.NodeSet:
		return nodeSet(b, size)
	case linux.Groups:
		return groups(b, int(int32(size)))
	case linux.SignalSet:
		if size != 8 {
			return memory
		}
		return signalSet(u64(b, 0))
	case linux.SignalAction:
		return signalAction(b)
	case linux.SignalInfo:
		return signalInfo(b)
	case linux.Timespec:
		return timespec(b)
	case linux.LandlockRuleset:
		return landlockRuleset(b, size)
	case linux.LandlockPath:
		return "{allowed_access=" + linux.LandlockAccess.Join(u64(b, 0), "LANDLOCK_ACCESS_FS_???") + ", parent_fd=" + signed32(uint64(u32(b, 8))) + "}"
	case linux.Winsize:
		return winsize(b)
	case linux.Interface:
		return "{ifr_name=" + quoteString(string(b[:16]), 15) + ", ifr_flags=" + interfaceFlags(b) + "}"
	case linux.InterfaceOut:
		return p.interfaceOut(i, b)
	}
	return memory
}

// smallest is how many bytes a struct must have to be read by us at all.
func smallest(f linux.Form) int {
	switch f {
	case linux.IntegerAt, linux.SchedAttr:
		return 4
	case linux.CapabilityHeader, linux.SignalSet, linux.Winsize, linux.LandlockRuleset:
		return 8
	case linux.CapabilityData:
		return 24
	case linux.Rlimit, linux.Timespec:
		return 16
	case linux.LandlockPath:
		return 12
	case linux.SignalAction, linux.MountAttr:
		return 32
	case linux.SignalInfo:
		return 128
	case linux.Interface, linux.InterfaceOut:
		return 18
	}
	return 0
}

func u16(b []byte, at int) uint16 { return binary.LittleEndian.Uint16(b[at:]) }
func u32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
func u64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
