package linux

import "golang.org/x/sys/unix"

// legacy are calls that only old architectures have; newer ones have their at forms alone.
var legacy = [...]Call{
	{Number: unix.SYS_OPEN, Name: "open", Args: []Argument{path, opening, {Form: CreateMode}}},
	{Number: unix.SYS_CREAT, Name: "creat", Args: []Argument{path, mode}},
	{Number: unix.SYS_MKDIR, Name: "mkdir", Args: []Argument{path, mode}},
	{Number: unix.SYS_MKNOD, Name: "mknod", Args: []Argument{path, {Form: FileMode}, {Form: Device}}},
	{Number: unix.SYS_SYMLINK, Name: "symlink", Args: []Argument{path, path}},
	{Number: unix.SYS_LINK, Name: "link", Args: []Argument{path, path}},
	{Number: unix.SYS_UNLINK, Name: "unlink", Args: []Argument{path}},
	{Number: unix.SYS_RMDIR, Name: "rmdir", Args: []Argument{path}},
	{Number: unix.SYS_CHMOD, Name: "chmod", Args: []Argument{path, mode}},
	{Number: unix.SYS_CHOWN, Name: "chown", Args: []Argument{path, id, id}},
	{Number: unix.SYS_LCHOWN, Name: "lchown", Args: []Argument{path, id, id}},
	{Number: unix.SYS_READLINK, Name: "readlink", Args: []Argument{path, {Form: DataOut}, count}},
	{Number: unix.SYS_DUP2, Name: "dup2", Args: []Argument{fd, fd}},
	{Number: unix.SYS_PIPE, Name: "pipe", Args: []Argument{{Form: PairOut}}},
	{Number: unix.SYS_SETRLIMIT, Name: "setrlimit", Args: []Argument{resource, {Form: Rlimit}}},
	{Number: unix.SYS_GETRLIMIT, Name: "getrlimit", Args: []Argument{resource, {Form: RlimitOut}}},
	{Number: unix.SYS_GETPGRP, Name: "getpgrp"},
	{Number: unix.SYS_FORK, Name: "fork"},
	{Number: unix.SYS_VFORK, Name: "vfork"},
}
