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
