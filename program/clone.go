package program

// cloneArgs is struct clone_args, clone(2), up to its cgroup field (CLONE_ARGS_SIZE_VER2, Linux 5.7).
type cloneArgs struct {
	flags      uint64
	pidfd      uint64
	childTid   uint64
	parentTid  uint64
	exitSignal uint64
	stack      uint64
	stackSize  uint64
	tls        uint64
	setTid     uint64
	setTidSize uint64
	cgroup     uint64
}

const sizeofCloneArgs = 88

// CloneFlags writes flags of clone3 as strace does.
func CloneFlags(flags uint64) string { return cloneFlags(flags) }
