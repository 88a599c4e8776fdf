package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// settled is how old something without an owner has to be: another glassbox with another data directory makes groups in the same place, and
// for a moment they are empty.
const settled = 10 * time.Second

// groups are those of containers which nobody knows.
func (k *check) groups() error {
	facts, err := k.c.groups()
	if err != nil {
		return err
	}
	all, err := facts.Containers("")
	for id, g := range all {
		p := k.c.root.Container(id)
		if there(p.Dir) || there(p.Run) {
			continue // looked at with its container
		}
		pids, err := g.Procs()
		info, gone := os.Stat(g.Path)
		switch {
		case err != nil || gone != nil:
		case len(pids) > 0:
			k.leaves("cgroup "+g.Path, fmt.Sprintf("no container of %s has it, and the processes %v are in it", k.c.root.Data, pids), "echo 1 >"+g.Path+"/cgroup.kill")
		case time.Since(info.ModTime()) > settled:
			k.suspect("cgroup "+g.Path, "no container has it, and no process is in it", "removed", g.Remove)
		}
	}
	return err
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// mounts are what is mounted in the directories of containers that do not run: their own trees are in mount namespaces, and go with them.
func (k *check) mounts() error {
	places, err := mountPlaces()
	for _, at := range places {
		id := k.containerOf(at)
		if id == "" || !free(k.c.root.Container(id)) {
			continue
		}
		if r, err := k.c.read(id); err == nil {
			if s, err := r.again(); err != nil || s.Pid != 0 {
				continue
			}
		}
		k.suspect("mount "+at, k.whose(id)+" does not run", "unmounted", func() error {
			return os.NewSyscallError("umount2", unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW))
		})
	}
	return err
}

// containerOf is the container in one of whose directories the path is; empty: none.
func (k *check) containerOf(path string) string {
	for _, top := range []string{k.c.root.Data, k.c.root.Run} {
		if real, err := filepath.EvalSymlinks(top); err == nil {
			top = real
		}
		if rest, is := strings.CutPrefix(path, top+"/containers/"); is {
			id, _, below := strings.Cut(rest, "/")
			if below {
				return id
			}
		}
	}
	return ""
}

// mountPlaces are where something is mounted, the last mount first: proc_pid_mountinfo(5).
func mountPlaces() ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	var all []string
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 4 {
			all = append([]string{unescape(fields[4])}, all...)
		}
	}
	return all, err
}

// images are layers and blobs that no image needs.
func (k *check) images() error {
	left, err := k.c.images.Left()
	if err != nil || len(left) == 0 {
		return err
	}
	var failure error
	if k.clean {
		failure = k.c.images.Clean()
	}
	for _, path := range left {
		k.suspect(path, "no image needs it, and nobody is at work on it", "removed", func() error {
			if _, err := os.Lstat(path); err == nil {
				return errors.Join(failure, errors.New("it is still there"))
			}
			return nil
		})
	}
	return nil
}
