package cgroups

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// BusyError is the no-internal-process rule: a group below the root either holds processes or hands controllers down.
type BusyError struct {
	Group string // whose cgroup.subtree_control refused
	Pids  []int  // who sits there
	Err   error
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%v: processes %v sit in %s, and a group with processes of its own cannot hand controllers down", e.Err, e.Pids, e.Group)
}

func (e *BusyError) Unwrap() error { return e.Err }

// Tree draws the group with who sits where:
//
//	/sys/fs/cgroup/work   <- 812 sh, 830 sleep
//	└── app               <- 901 nginx
func (e *BusyError) Tree() string {
	var b strings.Builder
	drawGroup(&b, e.Group, e.Group, "", "")
	return b.String()
}

// explainBusy names who stands in the way when a group refuses to hand controllers down.
func explainBusy(dir string, err error) error {
	if sitting := pids(dir); errors.Is(err, unix.EBUSY) && len(sitting) > 0 {
		return &BusyError{Group: dir, Pids: sitting, Err: err}
	}
	return err
}

func drawGroup(b *strings.Builder, dir, name, branch, below string) {
	fmt.Fprintf(b, "%s%s", branch, name)
	for i, pid := range pids(dir) {
		sep := "   <- "
		if i > 0 {
			sep = ", "
		}
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		fmt.Fprintf(b, "%s%d %s", sep, pid, strings.TrimSpace(string(comm)))
	}
	b.WriteByte('\n')
	var children []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			children = append(children, e.Name())
		}
	}
	for i, c := range children {
		fork, next := "├── ", "│   "
		if i == len(children)-1 {
			fork, next = "└── ", "    "
		}
		drawGroup(b, filepath.Join(dir, c), c, below+fork, below+next)
	}
}
