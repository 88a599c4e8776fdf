//go:build !amd64

package probe

import "golang.org/x/sys/unix"

func int80(uintptr, [6]uintptr) unix.Errno { return unix.ENOSYS }

// I386 is of no other architecture than amd64.
func I386() bool { return false }
