package attendant

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Most attendants have little to do most of the time, and there may be many. What a busy one needed is given back to the kernel when it
// has become idle.

// collectAt lets the heap grow to one MiB, not to four, before its garbage is collected for the first time (GOGC).
const collectAt = 25

const (
	idleAfter = 2 * time.Second
	idleAgain = time.Minute // at the latest, when it could not be tidied
	tolerable = 1 << 20     // so much is not worth the trouble
)

// tidier sees work, and wakes the one who can tidy up when there has been none for idleAfter.
type tidier struct {
	wake  func()
	work  atomic.Uint64
	armed atomic.Bool
}

// worked is called for each thing that is done.
func (t *tidier) worked() {
	if work := t.work.Add(1); t.armed.CompareAndSwap(false, true) {
		t.look(work, idleAfter)
	}
}

// look looks after a while whether there was work since, or is still too much memory.
func (t *tidier) look(work uint64, after time.Duration) {
	time.AfterFunc(after, func() {
		if now := t.work.Load(); now != work {
			t.look(now, idleAfter)
			return
		}
		var m runtime.MemStats
		if runtime.ReadMemStats(&m); m.HeapSys-m.HeapReleased <= tolerable {
			t.armed.Store(false)
			return
		}
		t.wake()
		t.look(work, min(2*after, idleAgain))
	})
}
