package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"glassbox/engine"
	"glassbox/program"

	"golang.org/x/sys/unix"
)

// card is what is known of a cause: the kernel's rule, a command that proves it, and one that cures it.
type card struct {
	call  uintptr    // the failing step's system call; 0: any
	errno unix.Errno // its answer; 0: any
	text  string     // a part of the error's text; "": any
	more  string     // another part; "": any
	why   string
	check string
	fix   string
}

// cards are tried in this order; the first whose conditions all hold is printed.
var cards = []card{
	{
		call: unix.SYS_PIVOT_ROOT, errno: unix.EINVAL,
		why:   "pivot_root(2) refuses when the new or the old root is no mount point, is shared with other namespaces, or is the initial ramfs",
		check: "findmnt -o TARGET,PROPAGATION,FSTYPE /",
		fix:   "on a ramfs root (initramfs, some live systems) move to a tmpfs root first: mount -t tmpfs, copy, switch_root",
	},
	{
		call: unix.SYS_MOUNT, errno: unix.EINVAL, text: "overlay", // older kernels' way
		why:   "an overlay's upper directory must lie on a file system with RENAME_WHITEOUT and xattrs: not on another overlay, nor on most network file systems",
		check: "stat -f -c %T /var/lib/glassbox",
		fix:   "put the data on another file system: GLASSBOX_ROOT=/a/dir/on/ext4 (inside a container: a volume or a tmpfs)",
	},
	{
		errno: unix.EINVAL, text: "overlay",
		why:   "an overlay's upper directory must lie on a file system with RENAME_WHITEOUT and xattrs: not on another overlay, nor on most network file systems",
		check: "stat -f -c %T /var/lib/glassbox",
		fix:   "put the data on another file system: GLASSBOX_ROOT=/a/dir/on/ext4 (inside a container: a volume or a tmpfs)",
	},
	{
		errno: unix.EBUSY, text: "subtree_control",
		why:   "a cgroup that holds processes cannot hand controllers to its children (the no-internal-process rule, cgroups(7))",
		check: "cat /proc/self/cgroup /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup | tail -1)/cgroup.procs",
		fix:   "run it in a scope of its own: systemd-run --scope -p Delegate=yes glassbox ...",
	},
	{
		text: "cgroup", more: "v1",
		why:   "a controller can belong to cgroup v1 or v2, never to both; here v1 holds it",
		check: "stat -f -c %T /sys/fs/cgroup; cat /sys/fs/cgroup/cgroup.controllers /sys/fs/cgroup/unified/cgroup.controllers",
		fix:   "boot with systemd.unified_cgroup_hierarchy=1 (and cgroup_no_v1=all)",
	},
	{
		text:  "exec format error",
		why:   "execve(2) found neither an ELF file for this machine's architecture nor a #! line",
		check: "head -c 20 FILE | od -c; uname -m",
		fix:   "start the script with #!/bin/sh, or take the image for this machine: --platform linux/amd64",
	},
	{
		text:  "executable file not found",
		why:   "no directory in the container's PATH holds a file of that name",
		check: "glassbox run --rm --entrypoint ls IMAGE /bin /usr/bin",
		fix:   "give the whole path, or another command",
	},
	{
		text: "stat /", more: "no such file or directory",
		why:   "the image has no such file",
		check: "glassbox run --rm --entrypoint ls IMAGE -l DIRECTORY",
	},
	{
		text:  "dial tcp: lookup",
		why:   "the registry's name could not be resolved: no network, or no DNS server that answers",
		check: "getent hosts registry-1.docker.io",
		fix:   "the images hello-world and tiny are built in and need no network; /etc/glassbox/config.json can name mirrors",
	},
	{
		call: unix.SYS_EXECVE, errno: unix.ENOENT,
		why:   "execve(2) says so too when the file is there and its interpreter is not: the #! line's program (perhaps with a CR at its end), or the ELF file's loader",
		check: "head -1 FILE | od -c; readelf -l FILE | grep interpreter",
		fix:   "remove CRs (sed -i 's/\\r$//' FILE), or use a static program or an image with that libc",
	},
	{
		errno: unix.EPERM, text: "clone3",
		why:   "this process may not make namespaces: CAP_SYS_ADMIN is missing, or a seccomp filter or AppArmor forbids it",
		check: "grep -E 'Cap(Eff|Bnd)|Seccomp' /proc/self/status; cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns",
		fix:   "sudo glassbox ...; inside another container: run that one with --privileged",
	},
	{
		errno: unix.EACCES,
		text:  "/var/lib/glassbox",
		why:   "this build needs root: its data and its mounts belong to root",
		check: "id -u",
		fix:   "sudo glassbox ...",
	},
	{
		text:  "is already in use by container",
		why:   "a name belongs to one container until that is removed, running or not",
		check: "glassbox ps -a",
		fix:   "glassbox rm -f NAME, or run with --rm",
	},
	{
		text:  "the input device is not a TTY",
		why:   "-t makes a terminal inside, but the keys would come from a pipe or a file",
		check: "test -t 0; echo $?",
		fix:   "leave out -t: run -i",
	},
	{
		text: "stop the container before removing or force remove",
		fix:  "glassbox rm -f NAME",
	},
	{
		text:  "No such container",
		check: "glassbox ps -a",
	},
	{
		text: "network ", more: " not found",
		check: "glassbox network ls",
		fix:   "glassbox network create NAME",
	},
	{
		text:  "has active endpoints",
		why:   "a network goes when no running container is on it",
		check: "glassbox ps -f network=NAME",
		fix:   "glassbox network disconnect NAME CONTAINER, or stop the containers",
	},
	{
		text:  "volume is in use",
		why:   "a volume belongs to every container that names it, running or not",
		check: "glassbox ps -a -f volume=NAME",
		fix:   "glassbox rm CONTAINER first",
	},
	{
		text:  "no such volume",
		check: "glassbox volume ls",
	},
	{
		text: "user specified IP address is supported only when connecting to networks with user configured subnets",
		why:  "a subnet that was chosen for you may be another one when the network is made anew",
		fix:  "glassbox network create --subnet 172.30.0.0/16 NAME",
	},
	{
		text:  "bind source path does not exist",
		why:   "--mount never makes what it is to show; -v makes a directory",
		check: "ls -ld SOURCE",
		fix:   "mkdir -p SOURCE",
	},
	{
		text:  "Are you trying to mount a directory onto a file",
		why:   "mount(2) puts a directory on a directory and a file on a file, nothing else",
		check: "ls -ld SOURCE; a source that -v did not find was made, as a directory",
	},
	{
		text:  "cannot assign requested address",
		why:   "bind(2) takes only addresses that this host has",
		check: "ip -br addr",
		fix:   "publish without an address, or on one of these",
	},
	{
		text:  "No such image",
		check: "glassbox images",
		fix:   "glassbox pull NAME",
	},
}

// cardFor: what the engine found out itself comes first, then a card, then the failure's own next command.
func cardFor(f *failure) card {
	var known *engine.Error
	if errors.As(f, &known) && known.Hint != nil {
		return card{why: known.Hint.Why, check: known.Hint.Check, fix: known.Hint.Fix}
	}
	for _, c := range cards {
		if c.matches(f) {
			return c
		}
	}
	return card{fix: f.fix}
}

// print leaves out what is not known.
func (c card) print(w io.Writer) {
	for _, l := range []struct{ label, text string }{{"why", c.why}, {"check", c.check}, {"fix", c.fix}} {
		if l.text != "" {
			fmt.Fprintf(w, "  %-6s %s\n", l.label+":", l.text)
		}
	}
}

func (c card) matches(f *failure) bool {
	var step *program.Failure
	if c.call != 0 && !(errors.As(f, &step) && step.Step.Call == c.call) {
		return false
	}
	if c.errno != 0 && !errors.Is(f, c.errno) {
		return false
	}
	return strings.Contains(f.line, c.text) && strings.Contains(f.line, c.more)
}
