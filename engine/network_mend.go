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
		made, err := n.mendOne(e.Network)
		if len(made) > 0 {
			n.warn("network " + e.Name + " had lost something on this host; made again:\n  " + strings.Join(made, "\n  "))
		}
		if err != nil {
			n.warn("network " + e.Name + " has lost something on this host, and cannot be mended: " + err.Error())
		}
	}
}

// mendOne returns the first lines of what it asked of the kernel.
func (n *Networks) mendOne(id string) (made []string, err error) {
	r, err := n.read(id)
	if err != nil || !r.raised() {
		return nil, gone(err)
	}
	var l program.Ledger
	err = n.raise(r, &l)
	for _, done := range l.Account("", "").Host {
		made = append(made, firstLine(done.Call))
	}
	return made, err
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
