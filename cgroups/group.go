package cgroups

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Group is one directory of the cgroup v2 hierarchy. The zero Group stands for none at all (no cgroup2 is mounted): it has no
// processes and nothing to kill.
type Group struct {
	Path string // absolute: Mount + cgroupsPath
}

// patience bounds every wait for the kernel: freezing and killing are requests, carried out when each process next
// leaves the kernel.
const patience = 10 * time.Second

// Open returns the group's directory, for CLONE_INTO_CGROUP. It is nil for the zero Group.
func (g Group) Open() (*os.File, error) {
	if g.Path == "" {
		return nil, nil
	}
	fd, err := unix.Open(g.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening group: %w", &os.PathError{Op: "open", Path: g.Path, Err: err})
	}
	return os.NewFile(uintptr(fd), g.Path), nil
}

// OpenFor returns the directory in which a further process of the container can be born: the group itself, or, where the
// container has made groups of its own and hands controllers down to them (EBUSY), the one that its PID 1 is in.
func (g Group) OpenFor(pid int) (*os.File, error) {
	handed, err := g.read("cgroup.subtree_control")
	if err != nil || strings.TrimSpace(handed) == "" {
		return g.Open()
	}
	of := groupOf(strconv.Itoa(pid))
	for i := range g.Path { // where the mount ends: what follows it is in both
		if rel := g.Path[i:]; rel[0] == '/' && strings.HasPrefix(of, rel+"/") {
			return Group{g.Path[:i] + of}.Open()
		}
	}
	return g.Open()
}

// Exists says whether the group is there.
func (g Group) Exists() bool { return g.Path != "" && isDir(g.Path) }

// Freeze stops every process of the group where it stands, or lets them go on, and waits until that is so.
func (g Group) Freeze(on bool) error {
	if g.Path == "" {
		return fmt.Errorf("freezing: the container has no group, as no cgroup2 is mounted")
	}
	value, done := "0", "frozen 0"
	if on {
		value, done = "1", "frozen 1"
	}
	if err := writeFile(filepath.Join(g.Path, "cgroup.freeze"), value); err != nil {
		return err
	}
	err := g.await(done)
	if err != nil && on {
		writeFile(filepath.Join(g.Path, "cgroup.freeze"), "0")
	}
	return err
}

// Frozen says whether every process of the group stands still.
func (g Group) Frozen() (bool, error) {
	if g.Path == "" {
		return false, nil
	}
	return g.says("frozen 1")
}

// says whether cgroup.events has the line.
func (g Group) says(line string) (bool, error) {
	events, err := g.read("cgroup.events")
	return strings.Contains(events, line+"\n"), err
}

// Kill sends SIGKILL to every process of the group and below, forks in flight included, and waits until none is left. Somebody else may
// remove the group at any moment.
func (g Group) Kill() error {
	if !g.Exists() {
		return nil
	}
	err := writeFile(filepath.Join(g.Path, "cgroup.kill"), "1")
	if err == nil {
		err = g.await("populated 0")
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// await waits until cgroup.events has the line. The kernel announces a change as POLLPRI (cgroup-v2.rst); reading clears it.
func (g Group) await(line string) error {
	fd, err := unix.Open(filepath.Join(g.Path, "cgroup.events"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("waiting for %q in %s: %w", line, g.Path, err)
	}
	defer unix.Close(fd)
	var buf [256]byte
	for end := time.Now().Add(patience); ; {
		n, err := unix.Pread(fd, buf[:], 0)
		switch {
		case err == unix.ENODEV:
			return nil // removed meanwhile
		case err != nil && err != unix.EINTR:
			return fmt.Errorf("waiting for %q in %s: %w", line, g.Path, err)
		case err == nil && bytes.Contains(buf[:n], []byte(line+"\n")):
			return nil
		}
		left := time.Until(end)
		if left <= 0 {
			procs, _ := g.Procs()
			return fmt.Errorf("waiting for %q in %s: not so after %v; processes %v: %w", line, g.Path, patience, procs, unix.ETIMEDOUT)
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, int(min(left, 100*time.Millisecond)/time.Millisecond)+1)
	}
}

// Procs lists the processes of the group and of the groups below it.
func (g Group) Procs() ([]int, error) {
	var all []int
	err := g.walk(func(dir string) error {
		all = append(all, pids(dir)...)
		return nil
	})
	return all, err
}

// Remove deletes the group and the groups below it, the lowest first. A group whose last process is just ending is still
// busy (EBUSY), so that is tried again for a while.
func (g Group) Remove() error {
	if g.Path == "" {
		return nil
	}
	return g.walk(func(dir string) error {
		end := time.Now().Add(2 * time.Second)
		for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
			err := unix.Rmdir(dir)
			switch {
			case err == nil || err == unix.ENOENT:
				return nil
			case err == unix.EINTR:
			case err != unix.EBUSY || time.Now().After(end):
				return fmt.Errorf("removing group %s (processes %v): %w", dir, pids(dir), err)
			default:
				time.Sleep(pause)
			}
		}
	})
}

// walk visits the group's directories, children first. What vanishes meanwhile is no error.
func (g Group) walk(visit func(dir string) error) error {
	if g.Path == "" {
		return nil
	}
	entries, err := os.ReadDir(g.Path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading group: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := (Group{filepath.Join(g.Path, e.Name())}).walk(visit); err != nil {
				return err
			}
		}
	}
	return visit(g.Path)
}

// pids reads cgroup.procs of one directory.
func pids(dir string) []int {
	text, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	var out []int
	for _, w := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(w); err == nil {
			out = append(out, pid)
		}
	}
	return out
}
