package program

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Apart runs f on a thread that ends with it, for what changes a thread for good: its namespaces, its root. It must not be the first
// thread, which Go never ends and which /proc/self shows: the whole process would seem to live in the other namespace.
func Apart(f func()) {
	go func() {
		runtime.LockOSThread() // not unlocked after f: so the thread ends with this goroutine
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		started := make(chan struct{})
		go Apart(func() { // while we hold the first thread, this finds another
			close(started)
			f()
		})
		<-started
		runtime.UnlockOSThread()
	}()
}

const noSetuidFixup = 1 << 2 // SECBIT_NO_SETUID_FIXUP, capabilities(7)

// As runs f on a thread whose new files belong to this user and group: where the host's root has no number, in the file systems of a
// user namespace and in id-mapped mounts, it can make none (EOVERFLOW). The thread keeps all capabilities, which a change of user
// would take away.
func As(uid, gid int, f func() error) error {
	done := make(chan error)
	Apart(func() {
		err := unix.Prctl(unix.PR_SET_SECUREBITS, noSetuidFixup, 0, 0, 0)
		if err == nil {
			err = unix.Setfsgid(gid)
		}
		if err == nil {
			err = unix.Setfsuid(uid)
		}
		if err == nil {
			err = f()
		}
		done <- err
	})
	return <-done
}
