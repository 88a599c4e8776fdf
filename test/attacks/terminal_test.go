package attacks

import (
	"io"
	"os"
	"strconv"
	"syscall"
	"testing"
	"unsafe"

	"glassbox/test/bundle"

	"golang.org/x/sys/unix"
)

// pty makes a terminal and returns both its sides.
func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// TestTerminal: the host's terminal is the container's standard input (terminal: false), and the container types into it (CVE-2016-7545,
// CVE-2017-5226, CVE-2023-28339): whoever reads there next, the host's shell, would execute that. A session of its own has no controlling terminal.
func TestTerminal(t *testing.T) {
	for _, c := range bothWays(t, "terminal") {
		_, slave := pty(t)
		c.Stdin = slave
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
		withstood(t, bundle.Run(t, c).Out, "held typing: (operation not permitted|input/output error)", "held stealing the terminal: operation not permitted", "held /dev/tty: ")
		if typed, err := unix.IoctlGetInt(int(slave.Fd()), unix.TIOCINQ); err != nil || typed != 0 {
			t.Errorf("%d bytes were typed into the host's terminal (%v)", typed, err)
		}
	}
}

// TestOwnTerminal: the terminal of a container that has one is of its own devpts, under every name it has.
func TestOwnTerminal(t *testing.T) {
	b := bundle.New(t)
	b.Spec.Process.Terminal = true
	b.Spec.Process.Args = []string{"/bin/attack", "terminal", "own"}
	b.Write(t)
	master, slave := pty(t)
	c := bundle.Command(t, b.Global("run", "--bundle", b.Dir, b.ID)...)
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	bundle.Run(t, c)
	unix.SetNonblock(int(master.Fd()), true) //nolint:errcheck // then the test hangs, and says so
	said := make([]byte, 1<<16)
	n, err := syscall.Read(int(master.Fd()), said)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	withstood(t, string(said[:n]), "held 0: our own", "held /dev/console: our own", "held /dev/tty: our own")
}

func terminal(args []string) {
	if len(args) > 0 {
		whose()
		return
	}
	letter := byte('x')
	_, _, e := unix.Syscall(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&letter)))
	tried("typing", e)
	for _, force := range []int{0, 1} {
		tried("stealing the terminal", unix.IoctlSetInt(0, unix.TIOCSCTTY, force))
	}
	fd, err := unix.Open("/dev/tty", unix.O_RDWR, 0)
	if err == nil {
		unix.Close(fd)
	}
	tried("/dev/tty", err)
}

// whose says of each name of the terminal whether it is the same one, of the devpts here.
func whose() {
	var here, of unix.Stat_t
	if err := unix.Stat("/dev/pts/0", &here); err != nil {
		escaped("the container has no terminal of its own: %v", err)
		return
	}
	for _, path := range []string{"/proc/self/fd/0", "/dev/console", "/dev/tty"} {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY, 0)
		if err == nil {
			n := 0
			if n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN); err != nil { // only the master's side answers
				err = unix.Fstat(fd, &of)
			} else {
				escaped("%s is the master of terminal %d", path, n)
			}
			unix.Close(fd)
		}
		name := map[bool]string{true: "0", false: path}[path == "/proc/self/fd/0"]
		switch same := of.Rdev == here.Rdev && of.Dev == here.Dev; {
		case err != nil:
			escaped("%s: %v", path, err)
		case same, path == "/dev/tty" && of.Rdev == unix.Mkdev(5, 0):
			os.Stdout.WriteString("held " + name + ": our own\n")
		default:
			escaped("%s is %x on %x, not %x on %x", path, of.Rdev, of.Dev, here.Rdev, here.Dev)
		}
	}
}
