// Package sealed runs our own program, as a process that stays, from a file that nobody can write.
package sealed

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A program that enters a container can be reached from inside through /proc/PID/exe, and a descriptor of it that a hostile
// container keeps can be opened for writing when the program has ended (CVE-2019-5736). So glassrun runs from a sealed
// file: a private read-only mount of the program's file (open_tree(2) with OPEN_TREE_CLONE, mount_setattr(2)), in
// which writing is EROFS for everybody. It is a mount of this one file, attached nowhere, and it goes with the last descriptor.
//
// In a user namespace or without CAP_SYS_ADMIN the kernel refuses that; then it is a copy in memory with seals
// (memfd_create(2)), which costs a copy of the program.

// Open opens a program so that it can be executed through the descriptor and not be written through it.
func Open(path string) (*os.File, error) {
	f, err := sealedMount(path)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, copyErr := sealedCopy(path)
	if copyErr != nil {
		return nil, fmt.Errorf("protecting %s from containers: %w", path, errors.Join(err, copyErr))
	}
	return f, nil
}

func sealedMount(path string) (*os.File, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, &os.PathError{Op: "open_tree", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		f.Close()
		return nil, &os.PathError{Op: "mount_setattr", Path: path, Err: err}
	}
	return f, nil
}

const allSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

func sealedCopy(path string) (*os.File, error) {
	from, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	fd, err := unix.MemfdCreate("glassrun", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	to := os.NewFile(uintptr(fd), path)
	if _, err = io.Copy(to, from); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, allSeals)
	}
	if err != nil {
		to.Close()
		return nil, &os.PathError{Op: "copy", Path: path, Err: err}
	}
	return to, nil
}

// Is says whether a descriptor's file cannot be written through it.
func Is(fd int) bool {
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) == nil && st.Flags&unix.ST_RDONLY != 0 {
		return true
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	return err == nil && seals&unix.F_SEAL_WRITE != 0
}

// Self makes sure that this program runs from a sealed file, executing it again if it must. It comes back when it does
// already, or with the reason why it cannot be.
func Self() error {
	const self = "/proc/self/exe"
	fd, err := unix.Open(self, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: self, Err: err}
	}
	done := Is(fd)
	unix.Close(fd)
	if done {
		return nil
	}
	f, err := Open(self)
	if err != nil {
		return err
	}
	if !Is(int(f.Fd())) { // executing it would bring us here again, for ever
		f.Close()
		return fmt.Errorf("protecting %s from containers: the sealed file does not look sealed", self)
	}
	err = syscall.Exec("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), os.Args, os.Environ())
	f.Close()
	return os.NewSyscallError("execve", err)
}
