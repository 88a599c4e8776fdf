package namespaces

import "golang.org/x/sys/unix"

// firstUser is the inode of the user namespace that the machine booted with, USER_NS_INIT_INO in linux/nsfs.h.
const firstUser = 0xeffffffd

// Nested says whether we are in a user namespace ourselves. There root is so in some respects only: device nodes, trusted.* attributes,
// programs for the kernel and ids that are not mapped are not for it, user_namespaces(7).
func Nested() bool {
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/user", &st) == nil && st.Ino != firstUser
}
