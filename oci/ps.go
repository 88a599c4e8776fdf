package oci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// Processes are those of the container: of its cgroup and the groups below, or where it is in none, of its PID namespace.
func (c *Container) Processes() ([]int, error) {
	switch {
	case c.Group != "":
		return c.Cgroup().Procs()
	case !c.alive():
		return nil, nil
	case c.Shares:
		return []int{c.Pid}, nil // its others cannot be told from the host's
	}
	return companions(c.Pid)
}

// companions are the processes that are in the same PID namespace.
func companions(pid int) ([]int, error) {
	namespace := func(pid string) string {
		link, _ := os.Readlink("/proc/" + pid + "/ns/pid") // fails once it has ended
		return link
	}
	all, err := os.ReadDir("/proc")
	theirs := namespace(strconv.Itoa(pid))
	var list []int
	for _, e := range all {
		if n, err := strconv.Atoi(e.Name()); err == nil && theirs != "" && namespace(e.Name()) == theirs {
			list = append(list, n)
		}
	}
	return list, err
}

// Ps writes what ps(1) tells of the container's processes. The arguments say which columns; one of them must be PID.
func (c *Container) Ps(w io.Writer, args ...string) error {
	pids, err := c.Processes()
	if err != nil {
		return err
	}
	var told bytes.Buffer
	ps := exec.Command("ps", args...)
	ps.Stdout = &told
	var complaint bytes.Buffer
	ps.Stderr = &complaint
	if err := ps.Run(); err != nil {
		return fmt.Errorf("ps %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return filter(w, told.String(), pids)
}

// filter keeps the head line and those of the processes.
func filter(w io.Writer, told string, pids []int) error {
	head, lines, _ := strings.Cut(told, "\n")
	column := slices.Index(strings.Fields(head), "PID")
	if column < 0 {
		return errors.New("couldn't find PID field in ps output")
	}
	if _, err := fmt.Fprintln(w, head); err != nil {
		return err
	}
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line)
		if len(fields) <= column {
			continue
		}
		pid, err := strconv.Atoi(fields[column])
		if err != nil {
			return fmt.Errorf("unexpected pid %q in ps output", fields[column])
		}
		if slices.Contains(pids, pid) {
			if _, err := io.WriteString(w, line); err != nil {
				return err
			}
		}
	}
	return nil
}
