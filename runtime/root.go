package runtime

import (
	"fmt"
	"os"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// root is a directory of the container's: its root, or for hooks that run before that is changed what will be it.
const root program.Host = "root"

// openRoot takes hold of the root of the container whose PID 1 is pid.
func openRoot(pid int) (*os.File, error) {
	return os.OpenFile(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY, 0)
}

// stand compiles the change to the container's root, where no namespace brings it along.
func (r Rules) stand(b *program.Builder) {
	if r.Rooted {
		b.From("linux.namespaces")
		b.Call(unix.SYS_FCHDIR, root).Why("stand in the container's root, which is not that of its mount namespace")
		b.Call(unix.SYS_CHROOT, ".").Why("make it ours")
		b.From("")
	}
}
