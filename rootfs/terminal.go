package rootfs

import (
	"glassbox/program"

	"golang.org/x/sys/unix"
)

// terminal compiles the making of the container's terminal in its own /dev/pts, and shows it as /dev/console. The
// master waits at descriptor Console until the host fetches it.
func (t *Tree) terminal(b *program.Builder) {
	b.From("process.terminal")
	master := t.master(b)
	slave := open(b, master, t.Spec.Process.User.UID)
	t.file(b, "/dev/console")
	// itself and not what a link there leads to: it would be a file of the image's choice that the terminal covers (CVE-2025-52565)
	console := t.hold(b, "/dev/console", 0, unix.RESOLVE_NO_SYMLINKS, "hold the empty file")
	tree := b.Call(unix.SYS_OPEN_TREE, slave, "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC).Why("the terminal, as a mount").Keep()
	move(b, tree, console, "/dev/console is the container's terminal")
	b.Close(tree)
	b.Close(console)
	Control(b, slave)
}

// Console is the number under which the child keeps the master of its terminal until the host has fetched it with
// pidfd_getfd(2). Fixed, because the host must know it.
const Console = 1000

const aTerminal = "a new terminal: this is the side of who watches"

// master compiles the opening of a new terminal of the devpts that this program has mounted, or of the one that is at /dev/pts.
func (t *Tree) master(b *program.Builder) program.Slot {
	if pts, ok := t.kernel["/dev/pts"]; ok {
		return b.Call(unix.SYS_OPENAT, pts, "ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0).Why(aTerminal).Keep()
	}
	return t.open(b, "/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY, unix.RESOLVE_NO_SYMLINKS).Why(aTerminal).Keep()
}

// Terminal compiles the opening of a new terminal in a running container, of which anything may be at /dev/pts by now: no link there is
// followed, and what is no terminal refuses the next step. The master goes to Console, the slave's slot is returned.
func Terminal(b *program.Builder, uid uint32) program.Slot {
	how := openHow(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_MAGICLINKS)
	return open(b, b.Call(unix.SYS_OPENAT2, unix.AT_FDCWD, "/dev/pts/ptmx", how, len(how)).Why(aTerminal).Keep(), uid)
}

// open compiles the opening of a terminal's other side.
func open(b *program.Builder, master program.Slot, uid uint32) program.Slot {
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
