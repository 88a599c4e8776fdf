package main

import (
	"encoding/hex"
	"io"
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

// watch tells the guard which mode the terminal is in from now on.
func (g *guard) watch(mode *unix.Termios) error {
	_, err := g.pipe.Write(termiosBytes(mode))
	return err
}

// dismiss tells the guard that the terminal is restored.
func (g *guard) dismiss() {
	_, _ = g.pipe.Write([]byte{1})
	_ = g.pipe.Close()
}

// guardTerminal is the guard's whole life: it reads the mode that is to be undone, and then one byte when nothing is
// left to do. A terminal that by then has another mode is left alone: a shell that restores terminals itself, as bash
// does after a child that a signal killed, was faster and may be reading a line already.
func guardTerminal(mode string) int {
	back, raw := new(unix.Termios), new(unix.Termios)
	text, err := hex.DecodeString(mode)
	if err != nil || len(text) != len(termiosBytes(back)) {
		return 2
	}
	copy(termiosBytes(back), text)
	pipe := os.NewFile(3, "pipe")
	_, err = io.ReadFull(pipe, termiosBytes(raw))
	known := err == nil
	if n, _ := pipe.Read(make([]byte, 1)); known && n == 1 {
		return 0
	}
	now, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		return 1
	}
	if known && *now != *raw {
		return 0
	}
	if err := unix.IoctlSetTermios(0, unix.TCSETS, back); err != nil {
		return 1
	}
	return 0
}

func termiosBytes(t *unix.Termios) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(t)), unsafe.Sizeof(*t))
}
