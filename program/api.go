package program

import "os"

// Clone is how the child is made.
type Clone struct {
	Flags  uint64   // CLONE_NEW*
	Cgroup *os.File // the child is born in this group (CLONE_INTO_CGROUP); nil: where the parent is
}
