package runtime

import (
	"os"

	"glassbox/archive"
	"glassbox/program"
	"glassbox/rootfs"

	"golang.org/x/sys/unix"
)

// pausing gives a tree what it needs to have the host do something in the middle of the files: a gate, and what the child holds there.
func (p *Plan) pausing(tree *rootfs.Tree, b *phases) {
	tree.Pause = func(gate, why string, half ...program.Request) {
		b.Gate(gate, why)
		b.next("files", "The container's file tree goes on.").Host = half
	}
	tree.Answer = func(s program.Slot) int { return int(p.process.Slot(s)) }
	tree.Fetch = func(s program.Slot) (*os.File, error) {
		fd, err := unix.PidfdGetfd(int(p.process.Pidfd.Fd()), int(p.process.Slot(s)), 0)
		return os.NewFile(uintptr(fd), "fetched"), err
	}
	tree.Copy = func(to, from *os.File) error {
		_, err := archive.Copy(to, from)
		return err
	}
}
