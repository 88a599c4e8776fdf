package engine

import (
	"fmt"
	"strconv"
)

// Deaf says of which published ports nothing is heard, because the container's process listens on its own loopback only: the classic
// of development servers. Each sentence is for people; there are none as long as nothing listens at all.
func (c *Containers) Deaf(id string) ([]string, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, err
	}
	w, err := liveAt(r.place)
	if err != nil || w == nil {
		return nil, err
	}
	var sentences []string
	said := map[string]bool{}
	for _, b := range w.Bound {
		port := fmt.Sprintf("%d/%s", b.Target, b.Port.Proto)
		if said[port] {
			continue
		}
		said[port] = true
		if at := deafAt(w.Pid, b); at != "" {
			sentences = append(sentences, fmt.Sprintf("port %s is published, but the process listens on %s only, which is the container's own loopback: have it listen on 0.0.0.0", port, at))
		}
	}
	return sentences, nil
}

// deafAt is the loopback address on which alone the port is listened to; empty when that is not so.
func deafAt(pid int, b bound) string {
	at := ""
	for _, s := range socketsAt("/proc/"+strconv.Itoa(pid)+"/net/", b.Port.Proto) {
		if s.local.Port() != b.Target || !s.listens(b.Port.Proto) {
			continue
		}
		if !s.local.Addr().Unmap().IsLoopback() {
			return ""
		}
		at = s.local.String()
	}
	return at
}
