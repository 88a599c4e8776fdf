package attendant

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Most attendants have little to do most of the time, and there may be many. What a busy one needed is given back to the kernel when it
// has become idle: by a garbage collection, which keeps what is known of the networks, or, after much work, by a renewal (renew.go).

// collectAt lets the heap grow to one MiB, not to four, before its garbage is collected for the first time (GOGC).
const collectAt = 25

const (
	idleAfter = 2 * time.Second
	idleAgain = time.Minute // at the latest, when it could not be renewed
	tolerable = 512 << 10   // so much more is not worth the trouble
	much      = 1000        // questions and connections
)

// tidier sees work, and tidies up when there has been none for idleAfter.
type tidier struct {
	renew func()
	work  atomic.Uint64
	armed atomic.Bool
	left  uint64 // what was held when it had been tidied up last
}

// worked is called for each thing that is done.
func (t *tidier) worked() {
	if work := t.work.Add(1); t.armed.CompareAndSwap(false, true) {
		t.look(work, idleAfter)
	}
}

// look looks after a while whether there was work since, or is too much memory.
func (t *tidier) look(work uint64, after time.Duration) {
	time.AfterFunc(after, func() {
		now := t.work.Load()
		switch {
		case now != work:
			t.look(now, idleAfter)
		case held() > t.left+tolerable && work >= much:
			t.renew()
			t.look(work, min(2*after, idleAgain))
		default:
			t.tidy()
			t.armed.Store(false)
		}
	})
}

func (t *tidier) tidy() {
	if held() > t.left+tolerable {
		debug.FreeOSMemory()
		t.left = held()
	}
}

// held is how much memory the heap keeps from the kernel.
func held() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapSys - m.HeapReleased
}
