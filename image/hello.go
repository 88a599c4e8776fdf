package image

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"runtime"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// helloText is what hello-world prints. It tells nothing that does not happen.
const helloText = `
Hello from glassbox!

This line was printed by a process in a container. What it took, in order:

 1. glassbox looked for the image "hello-world" in its store. Where neither the
    store nor a registry had it, glassbox made it: one layer with one file,
    /hello, an ELF executable that does write(2) and exit(2), and nothing else.
 2. The layer lies unpacked in a directory of its own. A second directory, empty
    at first, takes what the container writes. overlayfs shows both as one tree.
 3. glassbox compiled the container's configuration into a list of system calls.
 4. glassrun made one child with clone3(2), in new namespaces: it sees its own
    processes, host name, mounts, network, IPC and cgroups, and no others.
 5. The child worked through the list: it mounted the overlay, /proc, /dev and
    the rest, made that tree its root with pivot_root(2), and gave up the
    rights that a container should not have.
 6. The list's last call was execve(2) of /hello. You are reading its output,
    which the container's monitor passed on, and kept for "glassbox logs".

To see every one of those calls, as they ran, with the reason for each:
    glassbox run --explain hello-world

To look around in a container yourself, without any network:
    glassbox run -it tiny sh

`

func helloConfig() ocispec.Image {
	return ocispec.Image{
		Created: &born,
		Author:  "glassbox",
		Config:  ocispec.ImageConfig{Cmd: []string{"/hello"}, Env: []string{defaultPath}},
		History: []ocispec.History{{Created: &born, CreatedBy: "glassbox: an ELF executable, byte by byte, as /hello"}},
	}
}

func writeHello(a *layerWriter) {
	program := helloProgram(runtime.GOARCH, helloText)
	a.add(tar.Header{Typeflag: tar.TypeReg, Name: "hello", Mode: 0o755, Size: int64(len(program))}, bytes.NewReader(program))
}

// helloBase is where the executable lies in memory: the customary place, a multiple of the largest page size (64 KiB on arm64).
const helloBase = 0x400000

// helloProgram builds a static ELF executable that writes text to descriptor 1 and exits with 0. The file is header, one
// program header, code and text, mapped as a whole, readable and executable.
func helloProgram(arch, text string) []byte {
	code, machine := helloAmd64(len(text)), elf.EM_X86_64
	if arch == "arm64" {
		code, machine = helloArm64(len(text)), elf.EM_AARCH64
	}
	header := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Ehsize: 64, Phentsize: 56, Phnum: 1, // sizes of the two structures below, elf(5)
		Phoff: 64,
		Entry: helloBase + 64 + 56, // the code follows both
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS] = byte(elf.ELFCLASS64)
	header.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	header.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	size := uint64(64 + 56 + len(code) + len(text))
	load := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
		Vaddr: helloBase, Paddr: helloBase, Filesz: size, Memsz: size, Align: 0x10000,
	}
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, header)
	binary.Write(&b, binary.LittleEndian, load)
	b.Write(code)
	b.WriteString(text)
	return b.Bytes()
}

// helloAmd64 is write(1, text, n); exit(0) in the machine code of x86-64. A system call's number goes to rax, its arguments
// to rdi, rsi and rdx (syscall(2)).
func helloAmd64(n int) []byte {
	size := binary.LittleEndian.AppendUint32(nil, uint32(n))
	return bytes.Join([][]byte{
		{0xb8, 1, 0, 0, 0},              // mov eax, 1     write
		{0xbf, 1, 0, 0, 0},              // mov edi, 1     standard output
		{0x48, 0x8d, 0x35, 16, 0, 0, 0}, // lea rsi, [rip+16]  the text: 16 bytes of code follow
		append([]byte{0xba}, size...),   // mov edx, n
		{0x0f, 0x05},                    // syscall
		{0xb8, 60, 0, 0, 0},             // mov eax, 60    exit
		{0x31, 0xff},                    // xor edi, edi
		{0x0f, 0x05},                    // syscall
	}, nil)
}

// helloArm64 is the same for arm64: the number goes to x8, the arguments to x0, x1 and x2.
func helloArm64(n int) []byte {
	const (
		movz = 0xd2800000 // movz xD, #imm16: imm<<5 | D
		svc  = 0xd4000001
		adr  = 0x10000000 // adr xD, #offset: (offset>>2)<<5 | D for a multiple of four
	)
	var b []byte
	for _, word := range []uint32{
		movz | 1<<5 | 0,         // mov x0, #1    standard output
		adr | (28>>2)<<5 | 1,    // adr x1, +28   the text: seven instructions from here
		movz | uint32(n)<<5 | 2, // mov x2, #n
		movz | 64<<5 | 8,        // mov x8, #64   write
		svc,
		movz | 0<<5 | 0,  // mov x0, #0
		movz | 93<<5 | 8, // mov x8, #93   exit
		svc,
	} {
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	return b
}
