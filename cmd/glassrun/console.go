package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// connect joins our terminal to the container's: raw mode, so that every key reaches it, and copies both ways. The returned function
// waits for the last output and puts our terminal back.
func connect(console *os.File) (restore func()) {
	before, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS)
	if err == nil {
		raw := *before
		raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
		raw.Oflag &^= unix.OPOST
		raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
		raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
		raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
		unix.IoctlSetTermios(int(os.Stdin.Fd()), unix.TCSETS, &raw) //nolint:errcheck // we read its state a moment ago
	}
	resize(console)
	drained := make(chan struct{})
	go io.Copy(console, os.Stdin) //nolint:errcheck // ends with the process
	go func() {
		io.Copy(os.Stdout, console) //nolint:errcheck // EIO is a terminal's end of file
		close(drained)
	}()
	return func() {
		<-drained
		if err == nil {
			unix.IoctlSetTermios(int(os.Stdin.Fd()), unix.TCSETS, before) //nolint:errcheck // nothing more can be done
		}
	}
}

// resize gives the container's terminal the size of ours.
func resize(console *os.File) {
	if size, err := unix.IoctlGetWinsize(int(os.Stdin.Fd()), unix.TIOCGWINSZ); err == nil {
		unix.IoctlSetWinsize(int(console.Fd()), unix.TIOCSWINSZ, size) //nolint:errcheck // a size is a courtesy
	}
}
