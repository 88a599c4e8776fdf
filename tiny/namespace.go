package tiny

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"runtime"
	"strconv"
	"syscall"

	"glassbox/tiny/shell"

	"golang.org/x/sys/unix"
)

// kinds are the namespaces, by option letter; the user's comes first, since it gives the right to the others.
var kinds = [...]struct {
	letter byte
	file   string
	flag   int
}{
	{'U', "user", unix.CLONE_NEWUSER}, {'i', "ipc", unix.CLONE_NEWIPC}, {'u', "uts", unix.CLONE_NEWUTS}, {'n', "net", unix.CLONE_NEWNET},
	{'p', "pid", unix.CLONE_NEWPID}, {'C', "cgroup", unix.CLONE_NEWCGROUP}, {'T', "time", unix.CLONE_NEWTIME}, {'m', "mnt", unix.CLONE_NEWNS},
}

func defaultShell() []string {
	if shell := os.Getenv("SHELL"); shell != "" {
		return []string{shell}
	}
	return []string{"/bin/sh"}
}

func chroot(c *call) int {
	if len(c.args) == 0 || c.args[0] == "--help" {
		return c.misused("")
	}
	if err := unix.Chroot(c.args[0]); err != nil {
		return c.fail("can't change root directory to '%s': %s", c.args[0], reason(err))
	}
	if err := unix.Chdir("/"); err != nil {
		return c.fail("can't change directory to '/': %s", reason(err))
	}
	words := c.args[1:]
	if len(words) == 0 {
		words = append(defaultShell(), "-i")
	}
	return c.become(words, os.Environ())
}

// unshare makes a child in the new namespaces with clone(2) and waits for it, with --fork or without: a program with threads may not
// unshare its own user namespace (unshare(2)).
func unshare(c *call) int {
	if len(c.args) > 0 && c.args[0] == stage {
		return inside(c)
	}
	o, ok := c.options("+muipnCUTfrR:w:", "mount=m", "uts=u", "ipc=i", "pid=p", "net=n", "cgroup=C", "user=U", "time=T", "fork=f",
		"map-root-user=r", "root=R", "wd=w", "mount-proc=M?")
	if !ok {
		return 1
	}
	words := o.rest
	if len(words) == 0 {
		words = defaultShell()
	}
	flags, proc := uintptr(0), o.value('M', "")
	for _, k := range kinds {
		if o.has(k.letter) {
			flags |= uintptr(k.flag)
		}
	}
	if o.has('r') {
		flags |= unix.CLONE_NEWUSER
	}
	if o.has('M') {
		flags |= unix.CLONE_NEWNS
		if proc == "" {
			proc = "/proc"
		}
	}
	if flags&unix.CLONE_NEWTIME != 0 {
		return c.fail("a Go program cannot make a time namespace: use glassbox --time-offset")
	}
	if flags&unix.CLONE_NEWPID != 0 && !o.has('f') {
		return c.outside(words, flags, o)
	}
	attr := &syscall.SysProcAttr{Cloneflags: flags, Chroot: o.value('R', "")}
	if o.has('r') {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	if flags&unix.CLONE_NEWNS != 0 || proc != "" {
		// What follows must happen inside: another of us, which makes mounts private and mounts /proc.
		words = append([]string{stage, proc}, words...)
		return c.staged(words, attr, o)
	}
	return c.spawned(words, attr, o)
}

// outside is -p without -f: the caller stays where it is, and its children are born in the new PID namespace. clone(2) refuses threads to who
// is between the two (EINVAL), and without threads no Go program starts. A shell that goes on in this process has its threads already: Go
// makes new ones from one that is not locked.
func (c *call) outside(words []string, flags uintptr, o *options) int {
	if flags != unix.CLONE_NEWPID || path.Base(words[0]) != "sh" || o.has('R') {
		return c.fail("-p needs -f here, but for -p alone and a shell: without a fork the kernel would refuse other programs of this image their threads (EINVAL)")
	}
	if dir := o.value('w', ""); dir != "" {
		if err := unix.Chdir(dir); err != nil {
			return c.fail("can't change directory to '%s': %s", dir, reason(err))
		}
	}
	runtime.LockOSThread() // and never unlocked: it is this thread's children that are born there
	if err := unix.Unshare(unix.CLONE_NEWPID); err != nil {
		return c.fail("unshare failed: %s", reason(err))
	}
	c.out.Flush()
	return shell.Main(words[0], words[1:], builtins())
}

// stage is the hidden first argument of the second half of unshare.
const stage = "--inside-the-new-namespaces"

func (c *call) spawned(words []string, attr *syscall.SysProcAttr, o *options) int {
	cmd := c.command(words)
	cmd.SysProcAttr, cmd.Dir = attr, o.value('w', "")
	return c.unshareResult(words, cmd)
}

func (c *call) unshareResult(words []string, cmd *exec.Cmd) int {
	err := cmd.Start()
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != unix.ENOENT && errno != unix.EACCES {
		return c.fail("unshare failed: %s", reason(err))
	}
	if err == nil {
		err = cmd.Wait()
	}
	return c.result(words, err)
}

func (c *call) staged(words []string, attr *syscall.SysProcAttr, o *options) int {
	cmd := c.command([]string{"/proc/self/exe"})
	cmd.Args = append([]string{"unshare"}, words...)
	cmd.SysProcAttr, cmd.Dir = attr, o.value('w', "")
	return c.unshareResult(words, cmd)
}

// inside is the second half: private mounts, the new /proc, the command.
func inside(c *call) int {
	if len(c.args) < 3 {
		return c.misused("")
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil && err != unix.EINVAL {
		return c.fail("can't make mounts private: %s", reason(err))
	}
	if dir := c.args[1]; dir != "" {
		if err := unix.Mount("proc", dir, "proc", unix.MS_NOSUID|unix.MS_NOEXEC|unix.MS_NODEV, ""); err != nil {
			return c.fail("mounting proc on %s failed: %s", dir, reason(err))
		}
	}
	return c.become(c.args[2:], os.Environ())
}

// nsenter joins the namespaces of a process. Joining a user or mount namespace takes a single-threaded process (setns(2)), which
// Go is not: so each setns happens on a thread of its own that has left the shared file system context, and the command is
// executed from it.
func nsenter(c *call) int {
	o, ok := c.options("+t:muipnCUTaS:G:w:", "target=t", "mount=m", "uts=u", "ipc=i", "pid=p", "net=n", "cgroup=C", "user=U", "time=T", "all=a",
		"setuid=S", "setgid=G", "wd=w")
	if !ok {
		return 1
	}
	target, err := strconv.Atoi(o.value('t', ""))
	if err != nil {
		return c.misused("a target process must be given with -t")
	}
	words := o.rest
	if len(words) == 0 {
		words = defaultShell()
	}
	if o.has('U') || o.has('T') {
		return c.fail("a Go program cannot join a user or time namespace: use glassbox exec")
	}
	runtime.LockOSThread() // and never unlocked: the thread is spoilt for anything else
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return c.fail("unshare: %s", reason(err))
	}
	fds := map[string]int{}
	for _, k := range kinds {
		if !o.has(k.letter) && !(o.has('a') && k.letter != 'U' && k.letter != 'T') {
			continue
		}
		path := fmt.Sprintf("/proc/%d/ns/%s", target, k.file)
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return c.fail("can't open '%s': %s", path, reason(err))
		}
		fds[k.file] = fd
	}
	for _, k := range kinds {
		if fd, ok := fds[k.file]; ok {
			if err := unix.Setns(fd, k.flag); err != nil {
				return c.fail("setns(): can't reassociate to namespace '%s': %s", k.file, reason(err))
			}
		}
	}
	if dir := o.value('w', ""); dir != "" {
		if err := unix.Chdir(dir); err != nil {
			return c.fail("can't change directory to '%s': %s", dir, reason(err))
		}
	}
	attr := &syscall.SysProcAttr{}
	if o.has('S') || o.has('G') {
		uid, err1 := strconv.ParseUint(o.value('S', "0"), 10, 32)
		gid, err2 := strconv.ParseUint(o.value('G', "0"), 10, 32)
		if err1 != nil || err2 != nil {
			return c.fail("-S and -G take a number")
		}
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	cmd := c.command(words) // looked up after setns: in the tree that was joined
	cmd.SysProcAttr = attr
	return c.result(words, cmd.Run())
}
