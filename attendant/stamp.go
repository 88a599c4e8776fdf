package attendant

import (
	"time"

	"golang.org/x/sys/unix"
)

// The attendant sees what others change by looking at inodes when it is asked: a question costs one stat(2) for each network more, about a
// microsecond. inotify(7) would tell, but a host gives a user 128 instances of it, and there is one attendant for each container.

// stamp is a file or directory as it was at a moment; it changes when an entry of the directory comes, goes or is replaced.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

// tick is more than the time within which two changes may get the same time: the kernel's clock for that goes on every 1 to 10 ms.
const tick = 20 * time.Millisecond

// look returns the zero stamp for what is not there. A stamp is settled when a later change cannot leave it the same; one that is not
// must not be believed at the next look.
func look(path string) (s stamp, settled bool) {
	now := time.Now()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return stamp{}, false
	}
	s = stamp{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}
	return s, now.Sub(time.Unix(st.Ctim.Unix())) > tick
}
