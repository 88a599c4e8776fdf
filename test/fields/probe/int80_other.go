//go:build !amd64

package probe

import "golang.org/x/sys/unix"

func int80(uintptr, [6]uintptr) unix.Errno { return unix.ENOSYS }
