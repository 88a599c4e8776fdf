package linux

import "golang.org/x/sys/unix"

// Arguments that many calls share.
var (
	path     = Argument{Form: PathName}
	text     = Argument{Form: String}
	dirfd    = Argument{Form: DirFd}
	fd       = Argument{Form: Fd}
	pid      = Argument{Form: Pid}
	id       = Argument{Form: ID}
	mode     = Argument{Form: Mode}
	integer  = Argument{Form: Integer}
	long     = Argument{Form: Long}
	count    = Argument{Form: Unsigned}
	count32  = Argument{Form: Unsigned32}
	hex      = Argument{Form: Hexadecimal}
	hex32    = Argument{Form: Hex32}
	address  = Argument{Form: Address}
	signal   = Argument{Form: SignalNumber}
	argv     = Argument{Form: Strings}
	opening  = Argument{Form: Open}
	at       = Argument{Form: Set, Names: AtFlags, Unknown: "AT_???"}
	resource = Argument{Form: One, Names: Resources, Unknown: "RLIMIT_???"}
)

var calls = [...]Call{
	{Number: unix.SYS_MOUNT, Name: "mount", Args: []Argument{path, path, {Form: MountType}, {Form: Set64, Names: MountFlags, Unknown: "MS_???"}, {Form: MountData}}},
	{Number: unix.SYS_UMOUNT2, Name: "umount2", Args: []Argument{path, {Form: Set, Names: UmountFlags, Unknown: "MNT_???"}}},
	{Number: unix.SYS_PIVOT_ROOT, Name: "pivot_root", Args: []Argument{path, path}},
	{Number: unix.SYS_OPEN_TREE, Name: "open_tree", Args: []Argument{dirfd, path, {Form: Set, Names: OpenTreeFlags, Unknown: "OPEN_TREE_???"}}},
	{Number: unix.SYS_MOVE_MOUNT, Name: "move_mount", Args: []Argument{dirfd, path, dirfd, path, {Form: Set, Names: MoveMountFlags, Unknown: "MOVE_MOUNT_???"}}},
	{Number: unix.SYS_MOUNT_SETATTR, Name: "mount_setattr", Args: []Argument{dirfd, path, {Form: Set, Names: MountSetattrFlags, Unknown: "AT_???"}, {Form: MountAttr, Size: 5}, count}},
	{Number: unix.SYS_FSOPEN, Name: "fsopen", Args: []Argument{text, {Form: Set, Names: FsopenFlags, Unknown: "FSOPEN_???"}}},
	{Number: unix.SYS_FSMOUNT, Name: "fsmount", Args: []Argument{fd, {Form: Set, Names: FsmountFlags, Unknown: "FSMOUNT_???"}, {Form: Set, Names: FsmountAttributes, Unknown: "MOUNT_ATTR_???"}}},
	{Number: unix.SYS_FSCONFIG, Name: "fsconfig", By: 1, Variants: fsconfig, Args: []Argument{fd, {Form: One, Names: FsconfigCommands, Unknown: "FSCONFIG_???"}, address, address, integer}},
	{Number: unix.SYS_FSPICK, Name: "fspick", Args: []Argument{dirfd, path, {Form: Set, Names: FspickFlags, Unknown: "FSPICK_???"}}},
	{Number: unix.SYS_STATFS, Name: "statfs", Args: []Argument{path, {Form: StatfsOut}}},
	{Number: unix.SYS_FSTATFS, Name: "fstatfs", Args: []Argument{fd, {Form: StatfsOut}}},

	{Number: unix.SYS_OPENAT, Name: "openat", Args: []Argument{dirfd, path, opening, {Form: CreateMode}}},
	{Number: unix.SYS_OPENAT2, Name: "openat2", Args: []Argument{dirfd, path, {Form: OpenHow, Size: 4}, count}},
	{Number: unix.SYS_CLOSE, Name: "close", Args: []Argument{fd}},
	{Number: unix.SYS_CLOSE_RANGE, Name: "close_range", Args: []Argument{count32, count32, {Form: Set, Names: CloseRangeFlags, Unknown: "CLOSE_RANGE_???"}}},
	{Number: unix.SYS_READ, Name: "read", Args: []Argument{fd, {Form: DataOut}, count}},
	{Number: unix.SYS_WRITE, Name: "write", Args: []Argument{fd, {Form: Data, Size: 3}, count}},
	{Number: unix.SYS_PREAD64, Name: "pread64", Args: []Argument{fd, {Form: DataOut}, count, long}},
	{Number: unix.SYS_PWRITE64, Name: "pwrite64", Args: []Argument{fd, {Form: Data, Size: 3}, count, long}},
	{Number: unix.SYS_READLINKAT, Name: "readlinkat", Args: []Argument{dirfd, path, {Form: DataOut}, count}},
	{Number: unix.SYS_DUP, Name: "dup", Args: []Argument{fd}},
	{Number: unix.SYS_DUP3, Name: "dup3", Args: []Argument{fd, fd, {Form: Set, Names: OpenFlags, Unknown: "O_???"}}},
	{Number: unix.SYS_PIPE2, Name: "pipe2", Args: []Argument{{Form: PairOut}, {Form: Set, Names: OpenFlags, Unknown: "O_???"}}},
	{Number: unix.SYS_FCNTL, Name: "fcntl", By: 1, Variants: fcntl, Args: []Argument{fd, {Form: One, Names: FcntlCommands, Unknown: "F_???"}, hex}},
	{Number: unix.SYS_IOCTL, Name: "ioctl", By: 1, Variants: ioctl, Args: []Argument{fd, {Form: IoctlCode}, hex}},
	{Number: unix.SYS_FTRUNCATE, Name: "ftruncate", Args: []Argument{fd, long}},

	{Number: unix.SYS_MKDIRAT, Name: "mkdirat", Args: []Argument{dirfd, path, mode}},
	{Number: unix.SYS_MKNODAT, Name: "mknodat", Args: []Argument{dirfd, path, {Form: FileMode}, {Form: Device}}},
	{Number: unix.SYS_SYMLINKAT, Name: "symlinkat", Args: []Argument{path, dirfd, path}},
	{Number: unix.SYS_LINKAT, Name: "linkat", Args: []Argument{dirfd, path, dirfd, path, at}},
	{Number: unix.SYS_UNLINKAT, Name: "unlinkat", Args: []Argument{dirfd, path, at}},
	{Number: unix.SYS_FCHMOD, Name: "fchmod", Args: []Argument{fd, mode}},
	{Number: unix.SYS_FCHMODAT, Name: "fchmodat", Args: []Argument{dirfd, path, mode}},
	{Number: unix.SYS_FCHOWN, Name: "fchown", Args: []Argument{fd, id, id}},
	{Number: unix.SYS_FCHOWNAT, Name: "fchownat", Args: []Argument{dirfd, path, id, id, at}},
	{Number: unix.SYS_CHDIR, Name: "chdir", Args: []Argument{path}},
	{Number: unix.SYS_FCHDIR, Name: "fchdir", Args: []Argument{fd}},
	{Number: unix.SYS_CHROOT, Name: "chroot", Args: []Argument{path}},
	{Number: unix.SYS_UMASK, Name: "umask", Args: []Argument{mode}, Result: Result{Form: OctalMode}},

	{Number: unix.SYS_SETHOSTNAME, Name: "sethostname", Args: []Argument{{Form: HostName, Size: 2}, count32}},
	{Number: unix.SYS_SETDOMAINNAME, Name: "setdomainname", Args: []Argument{{Form: HostName, Size: 2}, count32}},
	{Number: unix.SYS_SETNS, Name: "setns", Args: []Argument{fd, {Form: Set, Names: Namespaces, Unknown: "CLONE_NEW???"}}},
	{Number: unix.SYS_UNSHARE, Name: "unshare", Args: []Argument{{Form: Set64, Names: UnshareFlags, Unknown: "CLONE_???"}}},
	{Number: unix.SYS_CLONE3, Name: "clone3", Args: []Argument{{Form: CloneArgs, Size: 2}, count}},
	{Number: unix.SYS_EXECVE, Name: "execve", Args: []Argument{path, argv, argv}},
	{Number: unix.SYS_EXECVEAT, Name: "execveat", Args: []Argument{dirfd, path, argv, argv, at}},
	{Number: unix.SYS_EXIT, Name: "exit", Args: []Argument{integer}, Result: Result{Form: Never}},
	{Number: unix.SYS_EXIT_GROUP, Name: "exit_group", Args: []Argument{integer}, Result: Result{Form: Never}},
	{Number: unix.SYS_SETSID, Name: "setsid"},
	{Number: unix.SYS_SETPGID, Name: "setpgid", Args: []Argument{pid, pid}},
	{Number: unix.SYS_GETPID, Name: "getpid"},
	{Number: unix.SYS_GETPPID, Name: "getppid"},
	{Number: unix.SYS_GETTID, Name: "gettid"},
	{Number: unix.SYS_GETUID, Name: "getuid"},
	{Number: unix.SYS_GETGID, Name: "getgid"},
	{Number: unix.SYS_GETEUID, Name: "geteuid"},
	{Number: unix.SYS_GETEGID, Name: "getegid"},
	{Number: unix.SYS_PIDFD_OPEN, Name: "pidfd_open", Args: []Argument{pid, {Form: Set, Names: PidfdFlags, Unknown: "PIDFD_???"}}},
	{Number: unix.SYS_PIDFD_GETFD, Name: "pidfd_getfd", Args: []Argument{fd, integer, hex32}},
	{Number: unix.SYS_PIDFD_SEND_SIGNAL, Name: "pidfd_send_signal", Args: []Argument{fd, signal, {Form: SignalInfo}, hex32}},
	{Number: unix.SYS_KILL, Name: "kill", Args: []Argument{pid, signal}},
	{Number: unix.SYS_TGKILL, Name: "tgkill", Args: []Argument{pid, pid, signal}},
	{Number: unix.SYS_RT_SIGPROCMASK, Name: "rt_sigprocmask", Args: []Argument{{Form: One, Names: SignalMaskActions, Unknown: "SIG_???"}, {Form: SignalSet, Size: 4}, {Form: SignalSetOut, Size: 4}, count}},
	{Number: unix.SYS_RT_SIGACTION, Name: "rt_sigaction", Args: []Argument{signal, {Form: SignalAction}, {Form: SignalActionOut}, count}},

	{Number: unix.SYS_PRCTL, Name: "prctl", Variants: prctl, Args: []Argument{{Form: One, Names: PrctlOptions, Unknown: "PR_???"}, hex, hex, hex, hex}},
	{Number: unix.SYS_CAPGET, Name: "capget", Args: []Argument{{Form: CapabilityHeader}, {Form: CapabilityOut}}},
	{Number: unix.SYS_CAPSET, Name: "capset", Args: []Argument{{Form: CapabilityHeader}, {Form: CapabilityData}}},
	{Number: unix.SYS_SETGROUPS, Name: "setgroups", Args: []Argument{integer, {Form: Groups, Size: 1}}},
	{Number: unix.SYS_SETUID, Name: "setuid", Args: []Argument{id}},
	{Number: unix.SYS_SETGID, Name: "setgid", Args: []Argument{id}},
	{Number: unix.SYS_SETREUID, Name: "setreuid", Args: []Argument{id, id}},
	{Number: unix.SYS_SETREGID, Name: "setregid", Args: []Argument{id, id}},
	{Number: unix.SYS_SETRESUID, Name: "setresuid", Args: []Argument{id, id, id}},
	{Number: unix.SYS_SETRESGID, Name: "setresgid", Args: []Argument{id, id, id}},
	{Number: unix.SYS_SETFSUID, Name: "setfsuid", Args: []Argument{id}},
	{Number: unix.SYS_SETFSGID, Name: "setfsgid", Args: []Argument{id}},
	{Number: unix.SYS_SECCOMP, Name: "seccomp", Variants: seccomp, Args: []Argument{{Form: One, Names: SeccompOperations, Unknown: "SECCOMP_SET_MODE_???"}, hex32, address}},
	{Number: unix.SYS_KEYCTL, Name: "keyctl", Variants: keyctl, Args: []Argument{{Form: One, Names: KeyctlOperations, Unknown: "KEYCTL_???"}, hex, hex, hex, hex}},
	{Number: unix.SYS_LANDLOCK_CREATE_RULESET, Name: "landlock_create_ruleset", Args: []Argument{{Form: LandlockRuleset, Size: 2}, count, {Form: Set, Names: LandlockFlags, Unknown: "LANDLOCK_CREATE_RULESET_???"}}},
	{Number: unix.SYS_LANDLOCK_ADD_RULE, Name: "landlock_add_rule", By: 1, Variants: landlock, Args: []Argument{fd, {Form: One, Names: LandlockRules, Unknown: "LANDLOCK_RULE_???"}, address, hex32}},
	{Number: unix.SYS_LANDLOCK_RESTRICT_SELF, Name: "landlock_restrict_self", Args: []Argument{fd, hex32}},
	{Number: unix.SYS_PERSONALITY, Name: "personality", Args: []Argument{{Form: PersonalityType}}, Result: Result{Form: HexPersonality}},

	{Number: unix.SYS_PRLIMIT64, Name: "prlimit64", Args: []Argument{pid, resource, {Form: Rlimit}, {Form: RlimitOut}}},
	{Number: unix.SYS_SETPRIORITY, Name: "setpriority", Args: []Argument{{Form: One, Names: Priorities, Unknown: "PRIO_???"}, integer, integer}},
	{Number: unix.SYS_IOPRIO_SET, Name: "ioprio_set", Args: []Argument{{Form: One, Names: IoPriorityOwners, Unknown: "IOPRIO_WHO_???"}, integer, {Form: IoPriority}}},
	{Number: unix.SYS_SCHED_SETAFFINITY, Name: "sched_setaffinity", Args: []Argument{pid, count32, {Form: CPUSet, Size: 2}}},
	{Number: unix.SYS_SCHED_SETSCHEDULER, Name: "sched_setscheduler", Args: []Argument{pid, {Form: One, Names: Schedulers, Unknown: "SCHED_???"}, {Form: IntegerAt}}},
	{Number: unix.SYS_SCHED_SETATTR, Name: "sched_setattr", Args: []Argument{pid, {Form: SchedAttr}, count32}},
	{Number: unix.SYS_SCHED_YIELD, Name: "sched_yield"},
	{Number: unix.SYS_SET_MEMPOLICY, Name: "set_mempolicy", Args: []Argument{{Form: MemoryPolicy}, {Form: NodeSet, Size: 3}, count}},
	{Number: unix.SYS_NANOSLEEP, Name: "nanosleep", Args: []Argument{{Form: Timespec}, address}},
	{Number: unix.SYS_ACCEPT4, Name: "accept4", Args: []Argument{fd, address, address, {Form: Set, Names: SocketFlags, Unknown: "SOCK_???"}}},
	{Number: unix.SYS_SOCKET, Name: "socket", Args: []Argument{{Form: One, Names: AddressFamilies, Unknown: "AF_???"}, {Form: SocketType}, {Form: SocketProtocol}}},
}

var fsconfig = []Variant{
	{Value: unix.FSCONFIG_SET_FLAG, Args: []Argument{{Form: String256}, address, integer}},
	{Value: unix.FSCONFIG_SET_STRING, Args: []Argument{{Form: String256}, {Form: String256}, integer}},
	{Value: unix.FSCONFIG_SET_BINARY, Args: []Argument{{Form: String256}, {Form: HexData, Size: 5}, integer}},
	{Value: unix.FSCONFIG_SET_PATH, Args: []Argument{{Form: String256}, path, dirfd}},
	{Value: unix.FSCONFIG_SET_PATH_EMPTY, Args: []Argument{{Form: String256}, path, dirfd}},
	{Value: unix.FSCONFIG_SET_FD, Args: []Argument{{Form: String256}, address, fd}},
}

var fcntl = []Variant{
	{Value: unix.F_DUPFD, Args: []Argument{long}},
	{Value: unix.F_DUPFD_CLOEXEC, Args: []Argument{long}},
	{Value: unix.F_GETFD, Result: Result{Form: HexSet, Names: DescriptorFlags, Prefix: "flags "}},
	{Value: unix.F_SETFD, Args: []Argument{{Form: Set, Names: DescriptorFlags, Unknown: "FD_???"}}},
	{Value: unix.F_GETFL, Result: Result{Form: HexOpen}},
	{Value: unix.F_SETFL, Args: []Argument{opening}},
	{Value: unix.F_GETPIPE_SZ},
	{Value: unix.F_SETPIPE_SZ, Args: []Argument{long}},
}

var landlock = []Variant{
	{Value: unix.LANDLOCK_RULE_PATH_BENEATH, Args: []Argument{{Form: LandlockPath}, hex32}},
}

var seccomp = []Variant{
	{Value: unix.SECCOMP_SET_MODE_FILTER, Args: []Argument{{Form: Set, Names: SeccompFlags, Unknown: "SECCOMP_FILTER_FLAG_???"}, {Form: FilterProgram}}},
}

var keyctl = []Variant{
	{Value: unix.KEYCTL_GET_KEYRING_ID, Args: []Argument{keyring, integer}},
	{Value: unix.KEYCTL_JOIN_SESSION_KEYRING, Args: []Argument{text}},
	{Value: unix.KEYCTL_REVOKE, Args: []Argument{keyring}},
	{Value: unix.KEYCTL_CLEAR, Args: []Argument{keyring}},
	{Value: unix.KEYCTL_INVALIDATE, Args: []Argument{keyring}},
	{Value: unix.KEYCTL_LINK, Args: []Argument{keyring, keyring}},
	{Value: unix.KEYCTL_UNLINK, Args: []Argument{keyring, keyring}},
	{Value: unix.KEYCTL_CHOWN, Args: []Argument{keyring, id, id}},
	{Value: unix.KEYCTL_SETPERM, Args: []Argument{keyring, {Form: Set, Names: KeyPermissions, Unknown: "KEY_???"}}},
	{Value: unix.KEYCTL_SESSION_TO_PARENT},
}

var keyring = Argument{Form: SignedOne, Names: Keyrings}

var prctl = []Variant{
	{Value: unix.PR_SET_PDEATHSIG, Args: []Argument{signal}},
	{Value: unix.PR_GET_DUMPABLE, Result: Result{Form: DecimalOne, Names: Dumpable}},
	{Value: unix.PR_SET_DUMPABLE, Args: []Argument{{Form: One64, Names: Dumpable, Unknown: "SUID_DUMP_???"}}},
	{Value: unix.PR_GET_KEEPCAPS},
	{Value: unix.PR_SET_KEEPCAPS, Args: []Argument{count}},
	{Value: unix.PR_SET_NAME, Args: []Argument{{Form: TaskName}}},
	{Value: unix.PR_GET_NAME, Args: []Argument{{Form: TaskNameOut}}},
	{Value: unix.PR_GET_SECCOMP},
	{Value: unix.PR_SET_SECCOMP, Args: []Argument{{Form: One64, Names: SeccompModes, Unknown: "SECCOMP_MODE_???"}, {Form: FilterProgram}}},
	{Value: unix.PR_CAPBSET_READ, Args: []Argument{capability}},
	{Value: unix.PR_CAPBSET_DROP, Args: []Argument{capability}},
	{Value: unix.PR_GET_SECUREBITS, Result: Result{Form: HexSet, Names: Securebits}},
	{Value: unix.PR_SET_SECUREBITS, Args: []Argument{{Form: Set64, Names: Securebits, Unknown: "SECBIT_???"}}},
	{Value: unix.PR_GET_TIMERSLACK},
	{Value: unix.PR_SET_TIMERSLACK, Args: []Argument{long}},
	{Value: unix.PR_SET_CHILD_SUBREAPER, Args: []Argument{count}},
	{Value: unix.PR_GET_CHILD_SUBREAPER, Args: []Argument{{Form: IntegerOut}}},
	{Value: unix.PR_SET_NO_NEW_PRIVS, Args: []Argument{count, hex, hex, hex}},
	{Value: unix.PR_SET_THP_DISABLE, Args: []Argument{count, hex, hex, hex}},
	{Value: unix.PR_SET_IO_FLUSHER, Args: []Argument{count, hex, hex, hex}},
	{Value: unix.PR_CAP_AMBIENT, Args: []Argument{{Form: One64, Names: AmbientActions, Unknown: "PR_CAP_AMBIENT_???"}, {Form: AmbientCapability}, hex, hex}},
}

var capability = Argument{Form: One64, Names: Capabilities, Unknown: "CAP_???"}
