package rootfs

import (
	"os"

	"glassbox/program"
)

// gateFill is where the child waits for the host to fill a tmpfs.
const gateFill = "fill"

// copyUp compiles tmpcopyup: the new tmpfs, which nobody sees yet, gets what the directory that it will cover holds. A program of calls
// cannot walk a tree. So the child waits, holding both by descriptor, and the host takes these and copies: it resolves no path of
// the container's.
func (t *Tree) copyUp(b *program.Builder, i int, tree any, at program.Slot) {
	m := t.Spec.Mounts[i]
	from := step(i) + ".options"
	var covered *os.File
	t.Pause(gateFill, "wait until the host has copied what "+m.Destination+" holds", program.Request{
		Call: "pidfd_getfd(<process>, <directory>, 0)", From: from, Why: "get the directory that will be covered", Gives: "<directory>",
		Do: func() (err error) {
			covered, err = t.Fetch(at)
			return err
		},
	}, program.Request{
		Call: "pidfd_getfd(<process>, <tmpfs>, 0)", From: from, Why: "and the tmpfs; fill it, with owners, modes, links and times as they are", Gives: "<tmpfs>",
		Do: func() error {
			defer covered.Close()
			into, err := t.Fetch(tree.(program.Slot))
			if err != nil {
				return err
			}
			defer into.Close()
			return t.Copy(into, covered)
		},
	})
	b.From("%s", step(i))
}
