package rootfs

import (
	"glassbox/program"

	"golang.org/x/sys/unix"
)

// terminal compiles the making of the container's terminal in its own /dev/pts, and shows it as /dev/console. The
// master waits at descriptor Console until the host fetches it.
func (t *Tree) terminal(b *program.Builder) {
	b.From("process.terminal")
	slave := Terminal(b, t.Spec.Process.User.UID)
	t.file(b, "/dev/console")
	console := hold(b, "/dev/console", 0, 0, "hold the empty file")
	tree := b.Call(unix.SYS_OPEN_TREE, slave, "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC).Why("the terminal, as a mount").Keep()
	place(b, tree, console, "/dev/console is the container's terminal")
	Control(b, slave)
}

// Terminal compiles the opening of a new terminal: the master goes to Console, the slave's slot is returned.
func Terminal(b *program.Builder, uid uint32) program.Slot {
	master := b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, "/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0).Why("a new terminal: this is the side of who watches").Keep()
	b.Call(unix.SYS_IOCTL, master, unix.TIOCSPTLCK, make([]byte, 4)).Why("unlock its other side")
	slave := b.Call(unix.SYS_IOCTL, master, unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC).Why("the process's side of it").Keep()
	b.Call(unix.SYS_FCHOWN, slave, uid, -1).Tolerate(unix.EINVAL, unix.EPERM).Why("it belongs to the process's user")
	b.Call(unix.SYS_DUP3, master, Console, unix.O_CLOEXEC).Why("where the host finds it")
	b.Close(master)
	return slave
}

// Control makes the terminal the controlling one and the process's three streams.
func Control(b *program.Builder, slave program.Slot) {
	b.Call(unix.SYS_IOCTL, slave, unix.TIOCSCTTY, 0).Why("the session's controlling terminal: Ctrl-C becomes SIGINT here")
	for fd := range 3 {
		b.Call(unix.SYS_DUP3, slave, fd, 0).Why("descriptor %d is the terminal", fd)
	}
	b.Close(slave)
}
