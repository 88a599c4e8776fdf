package engine

import (
	"strings"

	"glassbox/program"
)

// mend makes again what somebody has deleted by hand of the networks that a running container is on. Whoever looks at containers does
// it; each network is looked at once in a command.
func (n *Networks) mend(w *wiring) {
	for _, e := range w.Endpoints {
		if _, done := n.mended.LoadOrStore(e.Network, true); done {
			continue
		}
		if err := n.mendOne(e.Network); err != nil {
			n.warn("network " + e.Name + " has lost something on this host, and cannot be mended: " + err.Error())
		}
	}
}

func (n *Networks) mendOne(id string) error {
	r, err := n.read(id)
	if err != nil || !r.raised() {
		return gone(err)
	}
	var l program.Ledger
	err = n.raise(r, &l)
	if asked := l.Account("", "").Host; len(asked) > 0 {
		message := "network " + r.Name + " had lost something on this host; made again:"
		for _, done := range asked {
			call, _, _ := strings.Cut(done.Call, "\n")
			message += "\n  " + call
		}
		n.warn(message)
	}
	return err
}
