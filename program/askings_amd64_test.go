package program

import "golang.org/x/sys/unix"

// machineCalls are those that only this architecture has.
var machineCalls = []machineCall{
	{unix.SYS_OPEN, []any{"/nonexistent/glassbox", unix.O_WRONLY | unix.O_CREAT, 0o644}},
	{unix.SYS_OPEN, []any{"/nonexistent/glassbox", unix.O_RDONLY}},
	{unix.SYS_CREAT, []any{"/nonexistent/glassbox", 0o600}},
	{unix.SYS_MKDIR, []any{"/nonexistent/glassbox", 0o700}},
	{unix.SYS_MKNOD, []any{"/nonexistent/glassbox", unix.S_IFCHR | 0o600, 0x501}},
	{unix.SYS_SYMLINK, []any{"a", "/nonexistent/glassbox"}},
	{unix.SYS_LINK, []any{"/nonexistent/a", "/nonexistent/glassbox"}},
	{unix.SYS_UNLINK, []any{"/nonexistent/glassbox"}},
	{unix.SYS_RMDIR, []any{"/nonexistent/glassbox"}},
	{unix.SYS_CHMOD, []any{"/nonexistent/glassbox", 0o755}},
	{unix.SYS_CHOWN, []any{"/nonexistent/glassbox", 1, -1}},
	{unix.SYS_LCHOWN, []any{"/nonexistent/glassbox", 1, 1}},
	{unix.SYS_READLINK, []any{"/proc/self/root", Out(9), 9}},
	{unix.SYS_DUP2, []any{no, 9}},
	{unix.SYS_PIPE, []any{Out(8)}},
	{unix.SYS_SETRLIMIT, []any{unix.RLIMIT_NOFILE, words(9, 8)}},
	{unix.SYS_GETRLIMIT, []any{unix.RLIMIT_CORE, Out(16)}},
	{unix.SYS_GETPGRP, nil},
}
