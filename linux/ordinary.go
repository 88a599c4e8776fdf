package linux

import "golang.org/x/sys/unix"

// Arguments that many of the following calls share.
var (
	size       = Argument{Form: Unsigned}
	readAs     = Argument{Form: Data, Size: 3}    // a buffer that the third argument measures
	written    = Argument{Form: DataOut, Size: 3} // what the kernel fills, as the third argument allows
	attributes = Argument{Form: StatOut}
	clock      = Argument{Form: One, Names: Clocks, Unknown: "CLOCK_???"}
	until      = Argument{Form: Timespec}
	protection = Argument{Form: Set64, Names: Protections, Unknown: "PROT_???"}
	option     = Argument{Form: Hex32}
	place      = Result{Form: HexNumber}
)

// ordinary are calls that no start makes, but programs in containers do: what `run --trace` sees. A structure that is not read is an Address.
var ordinary = [...]Call{
	{Number: unix.SYS_MMAP, Name: "mmap", Args: []Argument{{Form: Pointer}, size, protection, {Form: Set64, Names: MapFlags, Unknown: "MAP_???"}, fd, hexOffset}, Result: place},
	{Number: unix.SYS_MUNMAP, Name: "munmap", Args: []Argument{{Form: Pointer}, size}},
	{Number: unix.SYS_MPROTECT, Name: "mprotect", Args: []Argument{{Form: Pointer}, size, protection}},
	{Number: unix.SYS_MREMAP, Name: "mremap", Args: []Argument{{Form: Pointer}, size, size, {Form: Set64, Names: RemapFlags, Unknown: "MREMAP_???"}}, Result: place},
	{Number: unix.SYS_BRK, Name: "brk", Args: []Argument{{Form: Pointer}}, Result: place},
	{Number: unix.SYS_MADVISE, Name: "madvise", Args: []Argument{{Form: Pointer}, size, {Form: One, Names: MemoryAdvice, Unknown: "MADV_???"}}},
	{Number: unix.SYS_FUTEX, Name: "futex", Args: []Argument{{Form: Pointer}, {Form: One, Names: FutexOperations, Unknown: "FUTEX_???"}, count32, {Form: Pointer}, {Form: Pointer}, hex32}},
	{Number: unix.SYS_RSEQ, Name: "rseq", Args: []Argument{{Form: Pointer}, hex32, option, hex32}},
	{Number: unix.SYS_SET_TID_ADDRESS, Name: "set_tid_address", Args: []Argument{{Form: Pointer}}},
	{Number: unix.SYS_SET_ROBUST_LIST, Name: "set_robust_list", Args: []Argument{{Form: Pointer}, size}},
	{Number: unix.SYS_SIGALTSTACK, Name: "sigaltstack", Args: []Argument{address, address}},
	{Number: unix.SYS_RT_SIGRETURN, Name: "rt_sigreturn"},
	{Number: unix.SYS_RT_SIGSUSPEND, Name: "rt_sigsuspend", Args: []Argument{{Form: SignalSet, Size: 2}, count}},
	{Number: unix.SYS_GETRANDOM, Name: "getrandom", Args: []Argument{{Form: HexDataOut, Size: 2}, size, {Form: Set, Names: RandomFlags, Unknown: "GRND_???"}}},
	{Number: unix.SYS_UNAME, Name: "uname", Args: []Argument{{Form: UtsnameOut}}},
	{Number: unix.SYS_SYSINFO, Name: "sysinfo", Args: []Argument{address}},
	{Number: unix.SYS_TIMES, Name: "times", Args: []Argument{address}},
	{Number: unix.SYS_GETRUSAGE, Name: "getrusage", Args: []Argument{integer, address}},

	{Number: unix.SYS_FSTAT, Name: "fstat", Args: []Argument{fd, attributes}},
	{Number: statAt, Name: statAtName, Args: []Argument{dirfd, path, attributes, at}},
	{Number: unix.SYS_STATX, Name: "statx", Args: []Argument{dirfd, path, {Form: Set, Names: AtFlags}, hex32, address}},
	{Number: unix.SYS_FACCESSAT, Name: "faccessat", Args: []Argument{dirfd, path, {Form: Set, Names: AccessTests, Unknown: "?_OK"}}},
	{Number: unix.SYS_FACCESSAT2, Name: "faccessat2", Args: []Argument{dirfd, path, {Form: Set, Names: AccessTests, Unknown: "?_OK"}, at}},
	{Number: unix.SYS_LSEEK, Name: "lseek", Args: []Argument{fd, long, {Form: One, Names: Whences, Unknown: "SEEK_???"}}},
	{Number: unix.SYS_READV, Name: "readv", Args: []Argument{fd, address, count}},
	{Number: unix.SYS_WRITEV, Name: "writev", Args: []Argument{fd, {Form: Vector, Size: 3}, count}},
	{Number: unix.SYS_GETDENTS64, Name: "getdents64", Args: []Argument{fd, address, size}},
	{Number: unix.SYS_GETCWD, Name: "getcwd", Args: []Argument{{Form: PathOut}, size}},
	{Number: unix.SYS_TRUNCATE, Name: "truncate", Args: []Argument{path, long}},
	{Number: unix.SYS_FSYNC, Name: "fsync", Args: []Argument{fd}},
	{Number: unix.SYS_FDATASYNC, Name: "fdatasync", Args: []Argument{fd}},
	{Number: unix.SYS_SYNC, Name: "sync"},
	{Number: unix.SYS_FLOCK, Name: "flock", Args: []Argument{fd, {Form: Set, Names: FileLocks, Unknown: "LOCK_???"}}},
	{Number: unix.SYS_RENAMEAT2, Name: "renameat2", Args: []Argument{dirfd, path, dirfd, path, {Form: Set, Names: RenameFlags, Unknown: "RENAME_???"}}},
	{Number: unix.SYS_RENAMEAT, Name: "renameat", Args: []Argument{dirfd, path, dirfd, path}},
	{Number: unix.SYS_UTIMENSAT, Name: "utimensat", Args: []Argument{dirfd, path, address, at}},
	{Number: unix.SYS_FADVISE64, Name: "fadvise64", Args: []Argument{fd, long, long, integer}},
	{Number: unix.SYS_COPY_FILE_RANGE, Name: "copy_file_range", Args: []Argument{fd, address, fd, address, size, hex32}},
	{Number: unix.SYS_SENDFILE, Name: "sendfile", Args: []Argument{fd, fd, address, size}},
	{Number: unix.SYS_SPLICE, Name: "splice", Args: []Argument{fd, address, fd, address, size, hex32}},
	{Number: unix.SYS_MEMFD_CREATE, Name: "memfd_create", Args: []Argument{text, hex32}},
	{Number: unix.SYS_GETXATTR, Name: "getxattr", Args: []Argument{path, text, written, size}},
	{Number: unix.SYS_LISTXATTR, Name: "listxattr", Args: []Argument{path, written, size}},
	{Number: unix.SYS_SETXATTR, Name: "setxattr", Args: []Argument{path, text, {Form: Data, Size: 4}, size, hex32}},

	{Number: unix.SYS_CONNECT, Name: "connect", Args: []Argument{fd, {Form: SocketAddress, Size: 3}, integer}},
	{Number: unix.SYS_BIND, Name: "bind", Args: []Argument{fd, {Form: SocketAddress, Size: 3}, integer}},
	{Number: unix.SYS_LISTEN, Name: "listen", Args: []Argument{fd, integer}},
	{Number: unix.SYS_ACCEPT, Name: "accept", Args: []Argument{fd, address, address}},
	{Number: unix.SYS_SENDTO, Name: "sendto", Args: []Argument{fd, readAs, size, {Form: Set, Names: MessageFlags, Unknown: "MSG_???"}, {Form: SocketAddress, Size: 6}, integer}},
	{Number: unix.SYS_RECVFROM, Name: "recvfrom", Args: []Argument{fd, written, size, {Form: Set, Names: MessageFlags, Unknown: "MSG_???"}, address, address}},
	{Number: unix.SYS_SENDMSG, Name: "sendmsg", Args: []Argument{fd, address, {Form: Set, Names: MessageFlags, Unknown: "MSG_???"}}},
	{Number: unix.SYS_RECVMSG, Name: "recvmsg", Args: []Argument{fd, address, {Form: Set, Names: MessageFlags, Unknown: "MSG_???"}}},
	{Number: unix.SYS_SHUTDOWN, Name: "shutdown", Args: []Argument{fd, {Form: One, Names: Shutdowns, Unknown: "SHUT_???"}}},
	{Number: unix.SYS_GETSOCKNAME, Name: "getsockname", Args: []Argument{fd, address, address}},
	{Number: unix.SYS_GETPEERNAME, Name: "getpeername", Args: []Argument{fd, address, address}},
	{Number: unix.SYS_SETSOCKOPT, Name: "setsockopt", Args: []Argument{fd, integer, integer, address, integer}},
	{Number: unix.SYS_GETSOCKOPT, Name: "getsockopt", Args: []Argument{fd, integer, integer, address, address}},
	{Number: unix.SYS_SOCKETPAIR, Name: "socketpair", Args: []Argument{{Form: One, Names: AddressFamilies, Unknown: "AF_???"}, {Form: SocketType}, {Form: SocketProtocol}, {Form: PairOut}}},

	{Number: unix.SYS_PPOLL, Name: "ppoll", Args: []Argument{address, count, address, address, count}},
	{Number: unix.SYS_PSELECT6, Name: "pselect6", Args: []Argument{integer, address, address, address, address, address}},
	{Number: unix.SYS_EPOLL_CREATE1, Name: "epoll_create1", Args: []Argument{{Form: Set, Names: Names{{unix.EPOLL_CLOEXEC, "EPOLL_CLOEXEC"}}, Unknown: "EPOLL_???"}}},
	{Number: unix.SYS_EPOLL_CTL, Name: "epoll_ctl", Args: []Argument{fd, {Form: One, Names: EpollOperations, Unknown: "EPOLL_CTL_???"}, fd, address}},
	{Number: unix.SYS_EPOLL_PWAIT, Name: "epoll_pwait", Args: []Argument{fd, address, integer, integer, address, count}},
	{Number: unix.SYS_EVENTFD2, Name: "eventfd2", Args: []Argument{count32, hex32}},
	{Number: unix.SYS_TIMERFD_CREATE, Name: "timerfd_create", Args: []Argument{clock, hex32}},
	{Number: unix.SYS_TIMER_CREATE, Name: "timer_create", Args: []Argument{clock, address, address}},
	{Number: unix.SYS_TIMER_SETTIME, Name: "timer_settime", Args: []Argument{integer, hex32, address, address}},
	{Number: unix.SYS_SETITIMER, Name: "setitimer", Args: []Argument{integer, address, address}},
	{Number: unix.SYS_CLOCK_GETTIME, Name: "clock_gettime", Args: []Argument{clock, {Form: TimespecOut}}},
	{Number: unix.SYS_CLOCK_GETRES, Name: "clock_getres", Args: []Argument{clock, {Form: TimespecOut}}},
	{Number: unix.SYS_CLOCK_SETTIME, Name: "clock_settime", Args: []Argument{clock, until}},
	{Number: unix.SYS_CLOCK_NANOSLEEP, Name: "clock_nanosleep", Args: []Argument{clock, {Form: Set, Names: Names{{1, "TIMER_ABSTIME"}}, Unknown: "TIMER_???"}, until, address}},
	{Number: unix.SYS_GETTIMEOFDAY, Name: "gettimeofday", Args: []Argument{address, address}},
	{Number: unix.SYS_INOTIFY_INIT1, Name: "inotify_init1", Args: []Argument{hex32}},
	{Number: unix.SYS_INOTIFY_ADD_WATCH, Name: "inotify_add_watch", Args: []Argument{fd, path, hex32}},

	{Number: unix.SYS_CLONE, Name: "clone", Args: cloneArguments},
	{Number: unix.SYS_WAIT4, Name: "wait4", Args: []Argument{pid, {Form: WaitStatusOut}, {Form: Set, Names: WaitOptions, Unknown: "W???"}, address}},
	{Number: unix.SYS_WAITID, Name: "waitid", Args: []Argument{{Form: One, Names: WaitOwners, Unknown: "P_???"}, pid, address, {Form: Set, Names: WaitOptions, Unknown: "W???"}, address}},
	{Number: unix.SYS_GETPGID, Name: "getpgid", Args: []Argument{pid}},
	{Number: unix.SYS_GETSID, Name: "getsid", Args: []Argument{pid}},
	{Number: unix.SYS_GETRESUID, Name: "getresuid", Args: []Argument{{Form: IDOut}, {Form: IDOut}, {Form: IDOut}}},
	{Number: unix.SYS_GETRESGID, Name: "getresgid", Args: []Argument{{Form: IDOut}, {Form: IDOut}, {Form: IDOut}}},
	{Number: unix.SYS_GETGROUPS, Name: "getgroups", Args: []Argument{integer, address}},
	{Number: unix.SYS_SCHED_GETAFFINITY, Name: "sched_getaffinity", Args: []Argument{pid, count32, address}},
	{Number: unix.SYS_SCHED_GETPARAM, Name: "sched_getparam", Args: []Argument{pid, address}},
	{Number: unix.SYS_GETPRIORITY, Name: "getpriority", Args: []Argument{{Form: One, Names: Priorities, Unknown: "PRIO_???"}, integer}},
	{Number: unix.SYS_RESTART_SYSCALL, Name: "restart_syscall"},
	{Number: unix.SYS_REBOOT, Name: "reboot", Args: []Argument{hex32, hex32, hex32, address}},
	{Number: unix.SYS_PTRACE, Name: "ptrace", Args: []Argument{integer, pid, hex, hex}},
	{Number: unix.SYS_BPF, Name: "bpf", Args: []Argument{integer, address, count32}},
	{Number: unix.SYS_PERF_EVENT_OPEN, Name: "perf_event_open", Args: []Argument{address, pid, integer, fd, hex}},
	{Number: unix.SYS_ADD_KEY, Name: "add_key", Args: []Argument{text, text, address, size, {Form: SignedOne, Names: Keyrings}}},
	{Number: unix.SYS_SHMGET, Name: "shmget", Args: []Argument{hex32, size, hex32}},
	{Number: unix.SYS_MSGGET, Name: "msgget", Args: []Argument{hex32, hex32}},
	{Number: unix.SYS_SEMGET, Name: "semget", Args: []Argument{hex32, integer, hex32}},
}

var hexOffset = Argument{Form: Hexadecimal}

// Protections are what may be done with mapped memory, mmap(2).
var Protections = Names{{0, "PROT_NONE"}, {unix.PROT_READ, "PROT_READ"}, {unix.PROT_WRITE, "PROT_WRITE"}, {unix.PROT_EXEC, "PROT_EXEC"}, {unix.PROT_GROWSDOWN, "PROT_GROWSDOWN"}}

// MapFlags are those of mmap(2).
var MapFlags = Names{
	{unix.MAP_SHARED, "MAP_SHARED"}, {unix.MAP_PRIVATE, "MAP_PRIVATE"}, {unix.MAP_FIXED, "MAP_FIXED"}, {unix.MAP_ANONYMOUS, "MAP_ANONYMOUS"},
	{unix.MAP_GROWSDOWN, "MAP_GROWSDOWN"}, {unix.MAP_DENYWRITE, "MAP_DENYWRITE"}, {unix.MAP_EXECUTABLE, "MAP_EXECUTABLE"}, {unix.MAP_LOCKED, "MAP_LOCKED"},
	{unix.MAP_NORESERVE, "MAP_NORESERVE"}, {unix.MAP_POPULATE, "MAP_POPULATE"}, {unix.MAP_NONBLOCK, "MAP_NONBLOCK"}, {unix.MAP_STACK, "MAP_STACK"},
	{unix.MAP_HUGETLB, "MAP_HUGETLB"}, {unix.MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE"},
}

// RemapFlags are those of mremap(2).
var RemapFlags = Names{{0, "0"}, {unix.MREMAP_MAYMOVE, "MREMAP_MAYMOVE"}, {unix.MREMAP_FIXED, "MREMAP_FIXED"}, {unix.MREMAP_DONTUNMAP, "MREMAP_DONTUNMAP"}}

// MemoryAdvice is what madvise(2) can say.
var MemoryAdvice = Names{
	{unix.MADV_NORMAL, "MADV_NORMAL"}, {unix.MADV_RANDOM, "MADV_RANDOM"}, {unix.MADV_SEQUENTIAL, "MADV_SEQUENTIAL"}, {unix.MADV_WILLNEED, "MADV_WILLNEED"},
	{unix.MADV_DONTNEED, "MADV_DONTNEED"}, {unix.MADV_FREE, "MADV_FREE"}, {unix.MADV_DONTFORK, "MADV_DONTFORK"}, {unix.MADV_HUGEPAGE, "MADV_HUGEPAGE"},
	{unix.MADV_NOHUGEPAGE, "MADV_NOHUGEPAGE"}, {unix.MADV_COLLAPSE, "MADV_COLLAPSE"}, {unix.MADV_POPULATE_READ, "MADV_POPULATE_READ"}, {unix.MADV_POPULATE_WRITE, "MADV_POPULATE_WRITE"},
}

// FutexOperations are those of futex(2), with their two flags.
var FutexOperations = Names{
	{0, "FUTEX_WAIT"}, {1, "FUTEX_WAKE"}, {3, "FUTEX_REQUEUE"}, {4, "FUTEX_CMP_REQUEUE"}, {5, "FUTEX_WAKE_OP"}, {6, "FUTEX_LOCK_PI"}, {7, "FUTEX_UNLOCK_PI"},
	{9, "FUTEX_WAIT_BITSET"}, {10, "FUTEX_WAKE_BITSET"}, {128, "FUTEX_WAIT_PRIVATE"}, {129, "FUTEX_WAKE_PRIVATE"}, {137, "FUTEX_WAIT_BITSET_PRIVATE"},
	{138, "FUTEX_WAKE_BITSET_PRIVATE"}, {393, "FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME"},
}

// RandomFlags are those of getrandom(2).
var RandomFlags = Names{{unix.GRND_NONBLOCK, "GRND_NONBLOCK"}, {unix.GRND_RANDOM, "GRND_RANDOM"}, {unix.GRND_INSECURE, "GRND_INSECURE"}}

// AccessTests are what access(2) can ask for.
var AccessTests = Names{{0, "F_OK"}, {unix.R_OK, "R_OK"}, {unix.W_OK, "W_OK"}, {unix.X_OK, "X_OK"}}

// Whences are where lseek(2) counts from.
var Whences = Names{{unix.SEEK_SET, "SEEK_SET"}, {unix.SEEK_CUR, "SEEK_CUR"}, {unix.SEEK_END, "SEEK_END"}, {unix.SEEK_DATA, "SEEK_DATA"}, {unix.SEEK_HOLE, "SEEK_HOLE"}}

// FileLocks are the operations of flock(2).
var FileLocks = Names{{unix.LOCK_SH, "LOCK_SH"}, {unix.LOCK_EX, "LOCK_EX"}, {unix.LOCK_UN, "LOCK_UN"}, {unix.LOCK_NB, "LOCK_NB"}}

// RenameFlags are those of renameat2(2).
var RenameFlags = Names{{unix.RENAME_NOREPLACE, "RENAME_NOREPLACE"}, {unix.RENAME_EXCHANGE, "RENAME_EXCHANGE"}, {unix.RENAME_WHITEOUT, "RENAME_WHITEOUT"}}

// MessageFlags are those of send(2) and recv(2).
var MessageFlags = Names{
	{unix.MSG_OOB, "MSG_OOB"}, {unix.MSG_PEEK, "MSG_PEEK"}, {unix.MSG_DONTROUTE, "MSG_DONTROUTE"}, {unix.MSG_CTRUNC, "MSG_CTRUNC"}, {unix.MSG_TRUNC, "MSG_TRUNC"},
	{unix.MSG_DONTWAIT, "MSG_DONTWAIT"}, {unix.MSG_EOR, "MSG_EOR"}, {unix.MSG_WAITALL, "MSG_WAITALL"}, {unix.MSG_NOSIGNAL, "MSG_NOSIGNAL"}, {unix.MSG_CMSG_CLOEXEC, "MSG_CMSG_CLOEXEC"},
}

// Shutdowns are what shutdown(2) ends.
var Shutdowns = Names{{unix.SHUT_RD, "SHUT_RD"}, {unix.SHUT_WR, "SHUT_WR"}, {unix.SHUT_RDWR, "SHUT_RDWR"}}

// EpollOperations are those of epoll_ctl(2).
var EpollOperations = Names{{unix.EPOLL_CTL_ADD, "EPOLL_CTL_ADD"}, {unix.EPOLL_CTL_DEL, "EPOLL_CTL_DEL"}, {unix.EPOLL_CTL_MOD, "EPOLL_CTL_MOD"}}

// Clocks are those of clock_gettime(2).
var Clocks = Names{
	{unix.CLOCK_REALTIME, "CLOCK_REALTIME"}, {unix.CLOCK_MONOTONIC, "CLOCK_MONOTONIC"}, {unix.CLOCK_PROCESS_CPUTIME_ID, "CLOCK_PROCESS_CPUTIME_ID"},
	{unix.CLOCK_THREAD_CPUTIME_ID, "CLOCK_THREAD_CPUTIME_ID"}, {unix.CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW"}, {unix.CLOCK_REALTIME_COARSE, "CLOCK_REALTIME_COARSE"},
	{unix.CLOCK_MONOTONIC_COARSE, "CLOCK_MONOTONIC_COARSE"}, {unix.CLOCK_BOOTTIME, "CLOCK_BOOTTIME"}, {unix.CLOCK_TAI, "CLOCK_TAI"},
}

// WaitOptions are those of wait4(2) and waitid(2).
var WaitOptions = Names{
	{unix.WNOHANG, "WNOHANG"}, {unix.WUNTRACED, "WUNTRACED"}, {unix.WEXITED, "WEXITED"}, {unix.WCONTINUED, "WCONTINUED"}, {unix.WNOWAIT, "WNOWAIT"},
	{unix.WCLONE, "__WCLONE"}, {unix.WALL, "__WALL"}, {unix.WNOTHREAD, "__WNOTHREAD"},
}

// WaitOwners are whom waitid(2) waits for.
var WaitOwners = Names{{unix.P_ALL, "P_ALL"}, {unix.P_PID, "P_PID"}, {unix.P_PGID, "P_PGID"}, {unix.P_PIDFD, "P_PIDFD"}}

// cloneArguments are clone(2)'s. Only the first word means the same on every architecture.
var cloneArguments = []Argument{{Form: CloneWord}, {Form: Pointer}, {Form: Pointer}, {Form: Pointer}, {Form: Pointer}}
