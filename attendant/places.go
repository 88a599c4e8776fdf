package attendant

import "golang.org/x/sys/unix"

// places bounds how many connections there are at a time: who finds none waits, in the kernel's queue of the listening socket.
type places chan struct{}

// take waits for a place, in vain when until is closed before.
func (p places) take(until <-chan struct{}) bool {
	select {
	case p <- struct{}{}:
		return true
	case <-until:
		return false
	}
}

func (p places) leave() { <-p }

// mayTake does not wait.
func (p places) mayTake() bool {
	select {
	case p <- struct{}{}:
		return true
	default:
		return false
	}
}

// mostConnections is how many connections and UDP sessions all published ports of a container may have at a time.
const mostConnections = 4096

// perConnection is how many descriptors a connection may need: two sockets, and two pipes for splice(2).
const perConnection = 6

// newPlaces gives no more places than there are descriptors for.
func newPlaces() places {
	most := mostConnections
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		most = min(most, max(16, int(limit.Cur-64)/perConnection))
	}
	return make(places, most)
}
