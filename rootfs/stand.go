package rootfs

import (
	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Stand compiles the change into a directory of the container. chdir(2) would follow a magic link, such as /proc/self/fd/7, out to what
// we or whoever started us have open on the host (CVE-2024-21626).
func Stand(b *program.Builder, dir string) {
	how := openHow(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, unix.RESOLVE_NO_MAGICLINKS)
	held := b.Call(unix.SYS_OPENAT2, unix.AT_FDCWD, dir, how, len(how)).Why("hold the working directory: no link in its path leads out of the container").Keep()
	b.Call(unix.SYS_FCHDIR, held).Why("stand in it")
	b.Close(held)
}
