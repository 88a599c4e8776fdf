package engine

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// placeSecrets writes the files of a step that are to be on no disk into memory, for the start to take: into the run directory where that is a tmpfs, as
// it nearly always is, else into one that is mounted there until the start has taken them.
func (r *record) placeSecrets() error {
	if r.step == nil || !r.step.secret() {
		return nil
	}
	dir := r.place.Secrets()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if !inMemoryAlready(dir) {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=700"); err != nil {
			return &os.PathError{Op: "mounting a tmpfs on", Path: dir, Err: err}
		}
	}
	for i, m := range r.step.Mounts {
		if m.Data == nil {
			continue
		}
		if err := m.Data.write(r.place.Secret(i)); err != nil {
			return err
		}
	}
	return nil
}

func (d *StepData) write(path string) error {
	if err := os.WriteFile(path, d.Bytes, 0o600); err != nil {
		return err
	}
	return errors.Join(os.Chown(path, d.UID, d.GID), os.Chmod(path, d.Mode))
}

// dropSecrets removes them: a container that has taken a file shows it on.
func (r *record) dropSecrets() error {
	dir := r.place.Secrets()
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return &os.PathError{Op: "unmount", Path: dir, Err: err}
	}
	return os.RemoveAll(dir)
}

// secret: something of it is to be on no disk.
func (o *StepOptions) secret() bool {
	for _, m := range o.Mounts {
		if m.Data != nil {
			return true
		}
	}
	return false
}

func inMemoryAlready(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && (int64(st.Type) == unix.TMPFS_MAGIC || int64(st.Type) == unix.RAMFS_MAGIC)
}
