package cgroups

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// OfChildren are the groups that the children of a process are in: proc_pid_task_children(5).
func (f Facts) OfChildren(pid int) []Group {
	lists, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children") //nolint:errcheck // the pattern is well-formed
	var all []Group
	for _, list := range lists {
		children, _ := os.ReadFile(list)
		for _, child := range strings.Fields(string(children)) {
			if g := (Group{f.Mount + groupOf(child)}); f.Mount != "" && !slices.Contains(all, g) {
				all = append(all, g)
			}
		}
	}
	return all
}

// Containers are the groups of containers, by their ids, in the place where Compile makes them. Under systemd, which removes a
// scope with its last process, there are none to be found.
func (f Facts) Containers(parent string) (map[string]Group, error) {
	path, err := f.Path(parent, "id")
	if err != nil || f.Systemd || f.Mount == "" {
		return nil, err
	}
	top := filepath.Dir(f.Mount + path)
	entries, err := os.ReadDir(top)
	if os.IsNotExist(err) {
		return nil, nil
	}
	all := map[string]Group{}
	for _, e := range entries {
		if e.IsDir() {
			all[e.Name()] = Group{filepath.Join(top, e.Name())}
		}
	}
	return all, err
}
