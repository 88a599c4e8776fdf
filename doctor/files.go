package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"glassbox/volume"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

func fileProbes() []probe {
	return []probe{
		{"files", "data", "images, containers and volumes are kept there (GLASSBOX_ROOT)", "layers", tryData},
		{"files", "space", "each image, layer and container takes space and inodes there", "", trySpace},
		{"files", "quota", "run --storage-opt size=, and volumes with a size", "volumes", tryQuota},
		{"files", "run", "what running containers need is there: sockets, locks, documents (GLASSBOX_RUN)", "", tryRun},
		{"files", "subuid", "who is not root maps more than one id only with newuidmap and an entry in /etc/subuid", "user-namespace", trySubuid},
	}
}

// mounted is a line of proc_pid_mountinfo(5).
type mounted struct{ at, kind, options string }

// mountOf is the mount on which a path lies.
func mountOf(path string) (best mounted) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	for line := range strings.Lines(text("/proc/self/mountinfo")) {
		left, right, _ := strings.Cut(line, " - ")
		at, fs := strings.Fields(left), strings.Fields(right)
		if len(at) < 6 || len(fs) == 0 {
			continue
		}
		covers := at[4] == "/" || path == at[4] || strings.HasPrefix(path, at[4]+"/")
		if covers && len(at[4]) >= len(best.at) {
			best = mounted{at[4], fs[0], at[5]}
		}
	}
	return best
}

func kindOf(path string) string { return mountOf(path).kind }

// has: the mount has such an option.
func (m mounted) has(option string) bool {
	return slices.Contains(strings.Split(m.options, ","), option)
}

// state says what a directory is, before its first use too.
func state(dir string) string {
	st, err := os.Lstat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return dir + " will be made at the first use"
	case err != nil:
		return named(err)
	case st.Mode()&os.ModeSymlink != 0:
		to, _ := os.Readlink(dir)
		return dir + " -> " + to
	}
	return fmt.Sprintf("%s (%04o)", dir, st.Mode().Perm())
}

func tryData(m *machine) finding {
	dir := m.root.Data
	at := mountOf(existing(dir))
	found := fmt.Sprintf("%s, on %s (%s)", state(dir), at.kind, at.options)
	st, err := os.Stat(dir)
	switch {
	case err == nil && !st.IsDir():
		return fail(dir+" is not a directory", "mv "+dir+" "+dir+".old")
	case at.has("ro"):
		return fail(found, "mount -o remount,rw "+at.at)
	}
	if _, err := m.beside(dir); err != nil {
		return fail(found+": "+named(err), asRoot)
	}
	switch {
	case at.kind == "tmpfs" || at.kind == "ramfs":
		return warn(found, "GLASSBOX_ROOT=/a/dir/on/disk").because("what is in memory is gone after a reboot, and takes memory")
	case slices.Contains([]string{"nfs", "nfs4", "cifs", "9p", "fuse.sshfs", "vboxsf"}, at.kind):
		return warn(found, onAnother).because("network and shared file systems lack locks, owners or attributes that images need")
	case err == nil && st.Mode().Perm()&0o022 != 0:
		return warn(found, "chmod 711 "+dir).because("who may write there is root in every container")
	}
	return pass(found)
}

const (
	littleSpace = 1 << 30
	noSpace     = 64 << 20
	fewInodes   = 20000
)

func trySpace(m *machine) finding {
	var st unix.Statfs_t
	dir := existing(m.root.Data)
	if err := unix.Statfs(dir, &st); err != nil {
		return fail(named(err), asRoot)
	}
	free := st.Bavail * uint64(st.Bsize)
	found := units.HumanSize(float64(free)) + " free at " + dir
	if st.Files > 0 {
		found += fmt.Sprintf(", %d inodes", st.Ffree)
	}
	const fix = "glassbox system df; glassbox system prune; or GLASSBOX_ROOT=/a/larger/disk"
	switch {
	case free < noSpace || st.Files > 0 && st.Ffree < 100:
		return fail(found, fix)
	case free < littleSpace || st.Files > 0 && st.Ffree < fewInodes:
		return warn(found, fix)
	}
	return pass(found)
}

func tryQuota(m *machine) finding {
	err := volume.Limited(existing(m.root.Data))
	switch {
	case err == nil:
		return pass("project quotas are in force")
	case errors.Is(err, volume.ErrNoQuota):
		return warn(err.Error(), volume.Cure(err)).because("run --storage-opt size= and volumes with a size are refused")
	}
	return warn(named(err), asRoot)
}

// tryRun binds a socket and takes a lock in a directory beside the run directory.
func tryRun(m *machine) finding {
	dir := m.root.Run
	found := state(dir) + ", on " + kindOf(existing(dir))
	own, err := m.beside(dir) // locks it
	if err != nil {
		return fail(found+": "+named(err), asRoot)
	}
	l, err := net.Listen("unix", filepath.Join(own, "socket"))
	if err != nil {
		return fail(found+": "+named(err), "GLASSBOX_RUN=/run/glassbox, or another directory on a file system of this machine, with a short path").
			because("monitors and clients meet at sockets there, whose paths have at most 107 bytes (unix(7))")
	}
	l.Close()
	if k := kindOf(existing(dir)); k == "overlay" {
		return warn(found, "GLASSBOX_RUN=/dev/shm/glassbox, or another tmpfs").because("what is there should not outlive a reboot")
	}
	return pass(found + "; a socket was bound, a lock taken")
}

func trySubuid(*machine) finding {
	if os.Geteuid() == 0 {
		return pass("we are root: no helper is needed")
	}
	path, err := exec.LookPath("newuidmap")
	if err != nil {
		return warn("no newuidmap in PATH", "apt install uidmap")
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode()&os.ModeSetuid == 0 && !hasAttribute(path) {
		return warn(path+" is neither set-user-ID nor has it capabilities", "chmod u+s "+path)
	}
	user := cmp.Or(os.Getenv("USER"), fmt.Sprint(os.Getuid()))
	for line := range strings.Lines(text("/etc/subuid")) {
		if name, ids, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && (name == user || name == fmt.Sprint(os.Getuid())) {
			return pass(path + "; /etc/subuid gives " + name + " " + ids)
		}
	}
	return warn("/etc/subuid has no entry for "+user, "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "+user)
}

func hasAttribute(path string) bool {
	n, err := unix.Getxattr(path, "security.capability", nil)
	return err == nil && n > 0
}
