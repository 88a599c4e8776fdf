package main

import (
	"encoding/hex"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// guardCommand starts the guard: `glassbox __restore-tty TERMIOS`, the terminal as stdin, a pipe as descriptor 3.
const guardCommand = "__restore-tty"

// guard is a process that puts the terminal back when this one dies without having done so, be it by SIGKILL: the kernel
// then closes our end of the pipe, and the guard reads end-of-file instead of the word that all is well.
type guard struct{ pipe *os.File }

// startGuard starts it in a session of its own: no signal of the terminal's or to our process group reaches it, and
// tcsetattr(3) is allowed to a process of another session without being in the foreground.
func startGuard(tty *os.File, mode *unix.Termios) (*guard, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command("/proc/self/exe", guardCommand, hex.EncodeToString(termiosBytes(mode)))
	cmd.Args[0] = "glassbox"
	cmd.Dir = "/"
	cmd.Stdin, cmd.ExtraFiles = tty, []*os.File{r}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, err
	}
	go func() { _ = cmd.Wait() }()
	return &guard{pipe: w}, nil
}

// dismiss tells the guard that the terminal is restored.
func (g *guard) dismiss() {
	_, _ = g.pipe.Write([]byte{1})
	_ = g.pipe.Close()
}

// guardTerminal is the guard's whole life. One byte means that nothing is to be done.
func guardTerminal(mode string) int {
	raw, err := hex.DecodeString(mode)
	t := new(unix.Termios)
	if err != nil || len(raw) != len(termiosBytes(t)) {
		return 2
	}
	copy(termiosBytes(t), raw)
	word := make([]byte, 1)
	if n, _ := os.NewFile(3, "pipe").Read(word); n == 1 {
		return 0
	}
	if err := unix.IoctlSetTermios(0, unix.TCSETS, t); err != nil {
		return 1
	}
	return 0
}

func termiosBytes(t *unix.Termios) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(t)), unsafe.Sizeof(*t))
}
