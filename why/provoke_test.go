package why

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"glassbox/test/need"
	"glassbox/test/world"

	"golang.org/x/sys/unix"
)

// TestMain is also the program that a provoked case runs: `provoke CALL ARGS... -- CALL OBJECTS...` makes a call that fails, and asks in the very
// same process why.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "provoke" {
		provoke(os.Args[2:])
		return
	}
	if len(os.Args) > 3 && os.Args[1] == "filter" {
		filter(os.Args[2], os.Args[3:])
	}
	if os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	os.Exit(world.Run(world.BuildGlassbox, m.Run))
}

// outcome is what provoke prints.
type outcome struct {
	Errno  string
	Answer *Answer
	Error  string
}

func provoke(args []string) {
	if args[0] == "in" { // a chroot
		if err := errors.Join(unix.Chroot(args[1]), unix.Chdir("/")); err != nil {
			panic(err)
		}
		args = args[2:]
	}
	at := slices.Index(args, "--")
	var o outcome
	var errno unix.Errno
	if err := call(args[:at]); errors.As(err, &errno) {
		o.Errno = meaning(errno).Name
	} else if err != nil {
		o.Error = err.Error()
	}
	a, err := Ask(Question{Errno: errno, Call: args[at+1], Objects: args[at+2:]})
	if err != nil {
		o.Error += err.Error()
	}
	o.Answer = a
	json.NewEncoder(os.Stdout).Encode(o)
}

// call makes the call that is to fail.
func call(args []string) error {
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	flags, _ := strconv.ParseUint(arg(4), 0, 64)
	switch args[0] {
	case "mount": // SOURCE TARGET TYPE FLAGS
		return unix.Mount(arg(1), arg(2), arg(3), uintptr(flags), "")
	case "overlay": // LOWER UPPER WORK TARGET OPTIONS
		return unix.Mount("none", arg(4), "overlay", 0, "lowerdir="+arg(1)+",upperdir="+arg(2)+",workdir="+arg(3)+arg(5))
	case "umount":
		return unix.Unmount(arg(1), 0)
	case "pivot_root":
		return unix.PivotRoot(arg(1), arg(2))
	case "clone":
		for _, k := range kinds {
			if k.name == arg(1) {
				return makes(k.flag)
			}
		}
	case "unshare": // of a process that has several threads
		return unix.Unshare(unix.CLONE_NEWUSER)
	case "setns", "setns-file": // PID KIND, or a file
		path := "/proc/" + arg(1) + "/ns/" + arg(2)
		if args[0] == "setns-file" {
			path = arg(1)
		}
		fd, err := unix.Open(path, unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		runtime.LockOSThread()
		return unix.Setns(fd, 0)
	case "execve":
		return unix.Exec(arg(1), []string{arg(1)}, nil)
	case "rmdir":
		return unix.Rmdir(arg(1))
	case "write": // FILE TEXT
		return os.WriteFile(arg(1), []byte(arg(2)), 0)
	case "create":
		return os.WriteFile(arg(1), nil, 0o600)
	case "fill": // until there is no room
		return os.WriteFile(arg(1), make([]byte, 1<<20), 0o600)
	case "chown": // PATH ID
		id, _ := strconv.Atoi(arg(2))
		return unix.Chown(arg(1), id, -1)
	case "mknod":
		return unix.Mknod(arg(1), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3)))
	case "setgroups":
		return unix.Setgroups(nil)
	case "sethostname":
		return unix.Sethostname([]byte("provoked"))
	case "reboot": // with magic that reboots nothing
		_, _, errno := unix.Syscall6(unix.SYS_REBOOT, 0, 0, 0, 0, 0, 0)
		return errno
	case "raw":
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
		return err
	case "ping":
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP)
		return err
	case "bind": // ADDRESS:PORT
		_, err := tryBind(netip.MustParseAddrPort(arg(1)))
		return err
	case "twice":
		at := netip.MustParseAddrPort(arg(1))
		fd, err := tryBind(at)
		if err == nil {
			err = unix.Listen(fd, 1)
		}
		if err != nil {
			return fmt.Errorf("the first time: %s", err)
		}
		_, err = tryBind(at)
		return err
	case "over": // a connection that was ended by who listened
		at := netip.MustParseAddrPort(arg(1))
		if err := endFirst(at); err != nil {
			return fmt.Errorf("making it: %s", err)
		}
		_, err := tryBind(at)
		return err
	case "listens": // AT, and another connects TO
		fd, err := tryBind(netip.MustParseAddrPort(arg(1)))
		if err == nil {
			err = unix.Listen(fd, 1)
		}
		if err != nil {
			return fmt.Errorf("listening: %s", err)
		}
		return connect(netip.MustParseAddrPort(arg(2)))
	case "connect":
		return connect(netip.MustParseAddrPort(arg(1)))
	case "rename":
		return unix.Rename(arg(1), arg(2))
	case "unlink":
		return unix.Unlink(arg(1))
	case "kill":
		pid, _ := strconv.Atoi(arg(1))
		return unix.Kill(pid, 0)
	case "ptrace":
		pid, _ := strconv.Atoi(arg(1))
		runtime.LockOSThread()
		return unix.PtraceSeize(pid)
	case "syslog": // SYSLOG_ACTION_SIZE_UNREAD
		_, err := unix.Klogctl(9, nil)
		return err
	case "adjtime": // by nothing, which wants the right all the same
		_, err := unix.Adjtimex(&unix.Timex{Modes: unix.ADJ_SETOFFSET})
		return err
	case "socket":
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		return err
	case "exec-large": // with an environment that has a long line
		os.Setenv("LARGE", strings.Repeat("x", 1<<18))
		return unix.Exec("/bin/true", []string{"true"}, os.Environ())
	case "newuidmap", "newgidmap": // ARGUMENTS: its words stand for an errno
		said, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		switch text := string(said); {
		case strings.Contains(text, unixText(unix.EINVAL)):
			return unix.EINVAL
		case strings.Contains(text, unixText(unix.EPERM)), strings.Contains(text, "not allowed"):
			return unix.EPERM
		default:
			return fmt.Errorf("%v: %s", err, text)
		}
	case "userfaultfd":
		_, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, 0, 0, 0)
		return errno
	case "inotify":
		for {
			if _, err := unix.InotifyInit(); err != nil {
				return err
			}
		}
	case "watch": // DIR: its files, until there are enough
		fd, err := unix.InotifyInit()
		for i := 0; err == nil && i < 100; i++ {
			name := fmt.Sprintf("%s/%d", arg(1), i)
			if err = os.WriteFile(name, nil, 0o600); err == nil {
				_, err = unix.InotifyAddWatch(fd, name, unix.IN_DELETE_SELF)
			}
		}
		return err
	case "clone3":
		_, _, errno := unix.Syscall(unix.SYS_CLONE3, 0, 0, 0)
		return errno
	}
	return fmt.Errorf("%v: no such call", args)
}

func unixText(e unix.Errno) string { return strings.ToUpper(e.Error()[:1]) + e.Error()[1:] }

// endFirst makes a connection and has the listener's side end it first: that side is left in TIME_WAIT.
func endFirst(at netip.AddrPort) error {
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		return err
	}
	s.Close()
	_, err = io.ReadAll(c)
	return err
}

func connect(to netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	return unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
}

// filter executes a program under a seccomp filter that answers one system call with an errno: NUMBER:ERRNO.
func filter(what string, args []string) {
	number, errno, _ := strings.Cut(what, ":")
	nr, _ := strconv.ParseUint(number, 10, 32)
	code, _ := strconv.ParseUint(errno, 10, 32)
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: uint32(nr)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(code)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	runtime.LockOSThread()
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		panic(err)
	}
	panic(syscall.Exec(args[0], args, os.Environ()))
}

// situation is made by a shell, in mount and network namespaces of its own, in which `provoke` makes the call and asks.
type situation struct {
	script string // makes it; $P is the program, $D a directory of a tmpfs
	errno  string
	cause  string
}

const nobody = "setpriv --reuid 54321 --regid 54321 --clear-groups --inh-caps=-all "

var noCaps = "setpriv --bounding-set=-sys_admin,-chown,-mknod,-sys_boot,-net_raw,-sys_time --inh-caps=-all "

var situations = map[string]situation{
	"mount without rights":          {noCaps + "$P provoke mount none $D tmpfs -- mount", "EPERM", "no CAP_SYS_ADMIN"},
	"mount of others":               {"unshare -U --map-root-user $P provoke mount none $D tmpfs -- mount", "EPERM", "mount namespace of another user namespace"},
	"mount under a filter":          {"$P filter " + nr(unix.SYS_MOUNT) + ":1 $P provoke mount none $D tmpfs -- mount", "EPERM", "seccomp filter"},
	"mount of ext4 by a user":       {"unshare -Um --map-root-user $P provoke mount /dev/null $D ext4 -- mount ext4", "EPERM", "file system not for user namespaces"},
	"remount without ro":            {"mount -o remount,bind,ro $D; unshare -Um --map-root-user $P provoke mount none $D '' " + nr(unix.MS_REMOUNT|unix.MS_BIND) + " -- mount $D", "EPERM", "locked options"},
	"mount of the same":             {"mount -t sysfs none $D; $P provoke mount none $D sysfs -- mount $D", "EBUSY", "the same again"},
	"remount with writers":          {"exec 9>$D/f; $P provoke mount none $D '' " + nr(unix.MS_REMOUNT|unix.MS_RDONLY) + " -- mount $D", "EBUSY", "files open for writing"},
	"mount to nowhere":              {"$P provoke mount none $D/no tmpfs -- mount $D/no", "ENOENT", "path that is not there"},
	"a directory on a file":         {"touch $D/f; mkdir $D/d; $P provoke mount $D/d $D/f '' " + nr(unix.MS_BIND) + " -- mount $D/d $D/f", "ENOTDIR", "a directory and a file"},
	"unknown type":                  {"$P provoke mount none $D nosuchfs -- mount nosuchfs", "ENODEV", "unknown file system"},
	"no block device":               {"touch $D/f; $P provoke mount $D/f $D ext4 -- mount $D/f", "ENOTBLK", "no block device"},
	"propagation of a directory":    {"mkdir $D/d; $P provoke mount none $D/d '' " + nr(unix.MS_PRIVATE) + " -- mount $D/d", "EINVAL", "no mount point"},
	"unbindable":                    {"mkdir $D/d $D/e; mount --bind $D/d $D/d; mount --make-unbindable $D/d; mount --bind $D/e $D/e; $P provoke mount $D/d $D/e '' " + nr(unix.MS_BIND) + " -- mount $D/e $D/d", "EINVAL", "unbindable source"},
	"bind of what covers":           {"mkdir $D/d $D/d/s $D/e; mount -t tmpfs none $D/d/s; mount --bind $D/e $D/e; unshare -Um --map-root-user $P provoke mount $D/d $D/e '' " + nr(unix.MS_BIND) + " -- mount $D/e $D/d", "EINVAL", "locked mounts below"},
	"move under a shared one":       {"mkdir $D/d $D/e; mount --make-shared $D; mount --bind $D/d $D/d; $P provoke mount $D/d $D/e '' " + nr(unix.MS_MOVE) + " -- mount $D/d", "EINVAL", "shared parent"},
	"umount while somebody stands":  {"cd $D; $P provoke umount $D -- umount $D", "EBUSY", "in use"},
	"umount below others":           {"mkdir $D/d; mount -t tmpfs none $D/d; $P provoke umount $D -- umount $D", "EBUSY", "mounts below"},
	"umount of a directory":         {"mkdir $D/d; $P provoke umount $D/d -- umount $D/d", "EINVAL", "no mount point"},
	"umount without rights":         {noCaps + "$P provoke umount $D -- umount", "EPERM", "no CAP_SYS_ADMIN"},
	"write to ro":                   {"mount -o remount,bind,ro $D; $P provoke create $D/f -- write $D/f", "EROFS", "read-only mount"},
	"write to ro super":             {"mount -o remount,ro $D; mount -o remount,bind,rw $D; $P provoke create $D/f -- write $D/f", "EROFS", "read-only file system"},
	"proc covered":                  {"for m in $(findmnt -rnt proc -o TARGET); do mount -t tmpfs none $m/irq; done; unshare -Ump --map-root-user --fork sh -c 'exec $P provoke mount proc $D proc -- proc mount'", "EPERM", "too revealing"},
	"proc with other options":       {"for m in $(findmnt -rnt proc -o TARGET); do mount -o remount,bind,noatime $m; done; unshare -Ump --map-root-user --fork sh -c 'exec $P provoke mount proc $D proc -- mount proc'", "EPERM", "options of the visible one"},
	"hidden process":                {"unshare -pm --fork sh -c 'mount -t proc -o hidepid=invisible proc /proc; " + nobody + "$P provoke write /proc/$$/uid_map x -- proc $$; true'", "ENOENT", "hidepid"},
	"process without access":        {"unshare -pm --fork sh -c 'mount -t proc -o hidepid=noaccess proc /proc; " + nobody + "$P provoke write /proc/$$/uid_map x -- uid_map $$; true'", "EPERM", "hidepid"},
	"map of nobody":                 {"$P provoke write /proc/999999999/uid_map x -- uid_map 999999999", "ENOENT", "no such process"},
	"proc of other pids":            {"unshare -Um --map-root-user $P provoke mount proc $D proc -- proc mount", "EPERM", "pid namespace of another user namespace"},
	"pivot to a directory":          {"mkdir -p $D/d/old; $P provoke pivot_root $D/d $D/d/old -- pivot_root $D/d $D/d/old", "EINVAL", "new root is no mount point"},
	"pivot where mounts are shared": {"mount --make-shared /; mkdir -p $D/old; $P provoke pivot_root $D $D/old -- pivot_root $D $D/old", "EINVAL", "shared mounts"},
	"pivot with put_old outside":    {"mkdir $D/d $D/old; mount --bind $D/d $D/d; $P provoke pivot_root $D/d $D/old -- pivot_root $D/d $D/old", "EINVAL", "put_old outside the new root"},
	"pivot in a chroot":             {"mkdir -p $D/r/new/old $D/r/proc; mount --bind /proc $D/r/proc; mount --bind $D/r/new $D/r/new; $P provoke in $D/r pivot_root /new /new/old -- pivot_root /new /new/old", "EINVAL", "current root is no mount point"},
	"pivot on the root's mount":     {"mkdir -p /tmp/.why-pivot; $P provoke pivot_root /tmp/.why-pivot /tmp/.why-pivot -- pivot_root /tmp/.why-pivot; rmdir /tmp/.why-pivot", "EBUSY", "on the current root's mount"},
	"pivot without rights":          {noCaps + "$P provoke pivot_root $D $D -- pivot_root", "EPERM", "no CAP_SYS_ADMIN"},
	"overlay on overlay":            {"mkdir $D/l $D/u $D/w $D/m $D/t; mount -t overlay none -o lowerdir=$D/l,upperdir=$D/u,workdir=$D/w $D/m; mkdir $D/m/u $D/m/w; $P provoke overlay $D/l $D/m/u $D/m/w $D/t -- overlay $D/m/u $D/m/w $D/l", "EINVAL", "upper file system"},
	"upper and work on two mounts":  {"mkdir $D/l $D/u $D/x $D/t; mount -t tmpfs none $D/x; mkdir $D/x/w; $P provoke overlay $D/l $D/u $D/x/w $D/t -- overlay $D/u $D/x/w $D/l", "EINVAL", "upper and work apart"},
	"work in upper":                 {"mkdir -p $D/l $D/u/w $D/t; $P provoke overlay $D/l $D/u $D/u/w $D/t -- overlay $D/u $D/u/w $D/l", "EINVAL", "one in the other"},
	"three overlays":                {"mkdir $D/a $D/b $D/c $D/m $D/n $D/t $D/u $D/w; mount -t overlay none -o lowerdir=$D/a:$D/b $D/m; mount -t overlay none -o lowerdir=$D/m:$D/c $D/n; $P provoke overlay $D/n $D/u $D/w $D/t -- overlay $D/u $D/w $D/n", "EINVAL", "stacked too deep"},
	"overlay of nothing":            {"mkdir $D/u $D/w $D/t; $P provoke overlay $D/no $D/u $D/w $D/t -- overlay $D/no $D/u $D/w", "ENOENT", "path that is not there"},
	"clone without rights":          {noCaps + "$P provoke clone uts -- unshare", "EPERM", "no CAP_SYS_ADMIN"},
	"user namespace in a chroot":    {"mkdir -p $D/r/proc; mount --bind /proc $D/r/proc; $P provoke in $D/r clone user -- unshare user", "EPERM", "chrooted"},
	"user namespace of nobody":      {"unshare -U $P provoke clone user -- unshare user", "EPERM", "unmapped caller"},
	"no more user namespaces":       {"unshare -U --map-root-user sh -c 'echo 0 >/proc/sys/user/max_uts_namespaces; exec $P provoke clone uts -- unshare'", "ENOSPC", "limit of namespaces"},
	"setns to one's own":            {"$P provoke setns $$ user -- setns $$ user", "EINVAL", "the user namespace that one is in"},
	"setns without rights":          {"setpriv --bounding-set=-sys_admin --inh-caps=-all $P provoke setns self uts -- setns", "EPERM", "no CAP_SYS_ADMIN"},
	"uid_map once more":             {"unshare -U --map-root-user sleep 100 & N=$!; until grep -q . /proc/$N/uid_map && ! cmp -s /proc/$N/uid_map /proc/self/uid_map; do sleep 0.01; done; $P provoke write /proc/$N/uid_map '0 0 1' -- uid_map $N; kill $N", "EPERM", "written already"},
	"chown without rights":          {"touch $D/f; " + noCaps + "$P provoke chown $D/f 5 -- chown $D/f", "EPERM", "no CAP_CHOWN"},
	"chown of a stranger's file":    {"touch $D/f; chown 77 $D/f; unshare -U --map-root-user $P provoke chown $D/f 0 -- chown $D/f", "EPERM", "owner that is not mapped"},
	"chown to nobody":               {"touch $D/f; unshare -U --map-root-user $P provoke chown $D/f 5 -- chown 5", "EINVAL", "id that is not mapped"},
	"groups of who maps himself":    {"unshare -U --map-root-user $P provoke setgroups -- setgroups", "EPERM", "denied in this user namespace"},
	"groups without rights":         {"setpriv --bounding-set=-setgid --inh-caps=-all $P provoke setgroups -- setgroups", "EPERM", "no CAP_SETGID"},
	"mknod without rights":          {noCaps + "$P provoke mknod $D/n -- mknod", "EPERM", "no CAP_MKNOD"},
	"mknod in a user namespace":     {"unshare -Um --map-root-user $P provoke mknod $D/n -- mknod", "EPERM", "user namespace"},
	"sethostname of others":         {"unshare -U --map-root-user $P provoke sethostname -- sethostname", "EPERM", "UTS namespace of another user namespace"},
	"sethostname without rights":    {"unshare -u " + noCaps + "$P provoke sethostname -- sethostname", "EPERM", "no CAP_SYS_ADMIN"},
	"reboot without rights":         {noCaps + "$P provoke reboot -- reboot", "EPERM", "no CAP_SYS_BOOT"},
	"raw socket without rights":     {noCaps + "$P provoke raw -- ping", "EPERM", "no CAP_NET_RAW"},
	"raw socket of others":          {"unshare -U --map-root-user $P provoke raw -- socket", "EPERM", "network of another user namespace"},
	"file beyond the bounds":        {"cp /bin/true $D/p; setcap cap_net_raw+ep $D/p; " + noCaps + "$P provoke execve $D/p -- execve $D/p", "EPERM", "capabilities of the file out of bounds"},
	"ping without a group":          {"$P provoke ping -- ping", "EACCES", "ping group"},
	"setns upwards":                 {"OUT=$$; unshare -p --fork $P provoke setns $OUT pid -- setns $OUT pid", "EINVAL", "PID namespace above"},
	"bind twice":                    {"$P provoke twice 127.0.0.1:8080 -- bind 8080", "EADDRINUSE", "port in use"},
	"bind to a privileged port":     {"setpriv --reuid 54321 --clear-groups --inh-caps=-all --bounding-set=-all $P provoke bind 127.0.0.1:80 -- bind 80", "EACCES", "privileged port"},
	"bind elsewhere":                {"$P provoke bind 192.0.2.1:80 -- bind 192.0.2.1", "EADDRNOTAVAIL", "address of another host"},
	"nobody listens":                {"$P provoke connect 127.0.0.1:81 -- connect 81", "ECONNREFUSED", "nobody listens"},
	"no route":                      {"$P provoke connect 192.0.2.1:81 -- connect", "ENETUNREACH", "no route"},
	"rename between mounts":         {"mkdir $D/d; mount -t tmpfs none $D/d; touch $D/f; $P provoke rename $D/f $D/d/f -- rename $D/f $D/d/f", "EXDEV", "two mounts"},
	"circle of links":               {"ln -s b $D/a; ln -s a $D/b; $P provoke write $D/a x -- open $D/a", "ELOOP", "links in a circle"},
	"sticky":                        {"chmod 1777 $D; touch $D/f; setpriv --reuid 54321 --clear-groups --inh-caps=-all --bounding-set=-all $P provoke unlink $D/f -- unlink $D/f", "EPERM", "sticky directory"},
	"no room":                       {"mkdir $D/s; mount -t tmpfs -o size=64k none $D/s; $P provoke fill $D/s/f -- write $D/s", "ENOSPC", "no blocks left"},
	"no inodes":                     {"mkdir $D/s; mount -t tmpfs -o nr_inodes=2 none $D/s; touch $D/s/a; $P provoke create $D/s/b -- write $D/s", "ENOSPC", "no inodes left"},
	"mount point":                   {"mkdir $D/d; mount -t tmpfs none $D/d; $P provoke rmdir $D/d -- rmdir $D/d", "EBUSY", "mount point"},
	"process that is gone":          {"true & N=$!; wait; $P provoke kill $N -- kill $N", "ESRCH", "process that is gone"},
	"file that is not there":        {"$P provoke execve $D/no -- execve $D/no", "ENOENT", "missing file"},
	"CRLF":                          {`printf '#!/bin/sh\r\n' >$D/f; chmod +x $D/f; $P provoke execve $D/f -- execve $D/f`, "ENOENT", "CRLF"},
	"missing interpreter":           {`printf '#!/bin/nosuch -x\n' >$D/f; chmod +x $D/f; $P provoke execve $D/f -- execve $D/f`, "ENOENT", "missing interpreter"},
	"not executable":                {"echo >$D/f; $P provoke execve $D/f -- execve $D/f", "EACCES", "not executable"},
	"directory":                     {"$P provoke execve $D -- execve $D", "EACCES", "not a regular file"},
	"noexec":                        {"cp /bin/true $D/f; mount -o remount,noexec $D; $P provoke execve $D/f -- execve $D/f", "EACCES", "noexec mount"},
	"no format":                     {"echo hello >$D/f; chmod +x $D/f; $P provoke execve $D/f -- execve $D/f", "ENOEXEC", "no known format"},
	"empty":                         {": >$D/f; chmod +x $D/f; $P provoke execve $D/f -- execve $D/f", "ENOEXEC", "empty file"},
	"no name":                       {`printf '#!\n' >$D/f; chmod +x $D/f; $P provoke execve $D/f -- execve $D/f`, "ENOEXEC", "#! without a name"},
	"wrong architecture":            {`cp $P $D/f; printf '\363' | dd of=$D/f bs=1 seek=18 conv=notrunc 2>/dev/null; $P provoke execve $D/f -- execve $D/f`, "ENOEXEC", "wrong architecture"},
	"text busy":                     {"cp /bin/true $D/f; exec 9>>$D/f; $P provoke execve $D/f -- execve $D/f", "ETXTBSY", "open for writing"},
	"clone3 under a filter":         {"$P filter " + nr(unix.SYS_CLONE3) + ":38 $P provoke clone3 -- clone3", "ENOSYS", "seccomp filter"},
	"mount where no way leads":      {"mkdir -m 700 $D/d; mkdir $D/d/e; " + someone("+sys_admin") + "$P provoke mount none $D/d/e tmpfs -- mount $D/d/e", "EACCES", "no way through"},
	"umount of a locked mount":      {"mkdir $D/d; mount -t tmpfs none $D/d; unshare -Um --map-root-user $P provoke umount $D/d -- umount $D/d", "EINVAL", "locked mount"},
	"pivot to a locked mount":       {"mkdir -p $D/d; mount -t tmpfs none $D/d; mkdir $D/d/old; unshare -Um --map-root-user $P provoke pivot_root $D/d $D/d/old -- pivot_root $D/d $D/d/old", "EINVAL", "locked, or of another namespace"},
	"upper of two":                  {"mkdir $D/l $D/u $D/w $D/m $D/t; mount -t overlay none -o lowerdir=$D/l,upperdir=$D/u,workdir=$D/w,index=on $D/m; $P provoke overlay $D/l $D/u $D/w $D/t ,index=on -- overlay $D/u", "EBUSY", "upper or work in use"},
	"pid namespaces too deep":       {"printf 'unshare -p -f true 2>/dev/null && exec unshare -p -f sh $D/deeper\nexec $P provoke clone pid -- unshare' >$D/deeper; sh $D/deeper", "ENOSPC", "nested too deep"},
	"user namespace of threads":     {"sh -c 'exec $P provoke unshare -- unshare $$'", "EINVAL", "several threads"},
	"setns to the host":             {"OUT=$$; exec 9</proc/$$/ns/net; unshare -U --map-root-user $P provoke setns-file /proc/self/fd/9 -- setns $OUT net", "EPERM", "target belongs to another user namespace"},
	"setns without chroot":          {"setpriv --bounding-set=-sys_chroot --inh-caps=-all $P provoke setns $$ mnt -- setns $$ mnt", "EPERM", "no CAP_SYS_CHROOT"},
	"setns to a file":               {"touch $D/f; $P provoke setns-file $D/f -- setns $D/f", "EINVAL", "no namespace, or another kind"},
	"uid_map of many":               {strange + "$P provoke write /proc/$N/uid_map '0 100000 65536' -- uid_map $N '0 100000 65536'; kill $N", "EPERM", "more than one's own id"},
	"gid_map before setgroups":      {strange + "$P provoke write /proc/$N/gid_map '0 54321 1' -- gid_map $N '0 54321 1'; kill $N", "EPERM", "setgroups"},
	"uid_map of root":               {"W='setpriv --bounding-set=-setfcap --inh-caps=-all'; " + inOther + "$W $P provoke write /proc/$N/uid_map '0 0 1' -- uid_map $N '0 0 1'; kill $N", "EPERM", "no CAP_SETFCAP"},
	"uid_map of nobody":             {within(inOther + "$P provoke write /proc/$N/uid_map '0 5 1' -- uid_map $N '0 5 1'; kill $N"), "EPERM", "id that is not mapped above"},
	"newuidmap of a stranger":       {subordinate("") + "$P provoke newuidmap $N 0 100000 65536 -- newuidmap; kill $N", "EPERM", "no subordinate ids"},
	"newgidmap of a stranger":       {subordinate("") + "$P provoke newgidmap $N 0 100000 65536 -- newgidmap; kill $N", "EPERM", "no subordinate ids"},
	"newuidmap without its bit":     {"cp /usr/bin/newuidmap $D/newuidmap; mount --bind $D/newuidmap /usr/bin/newuidmap; " + subordinate("54321:100000:65536") + "$P provoke newuidmap $N 0 100000 65536 -- newuidmap; kill $N", "EPERM", "helper without rights"},
	"newuidmap without new rights":  {"W=\"setpriv --no-new-privs $W\"; " + subordinate("54321:100000:65536") + "setpriv --no-new-privs $P provoke newuidmap $N 0 100000 65536 -- newuidmap; kill $N", "EPERM", "helper without rights"},
	"newuidmap with nosuid":         {"cp -p /usr/bin/newuidmap $D/newuidmap; mount --bind $D/newuidmap /usr/bin/newuidmap; mount -o remount,bind,nosuid /usr/bin/newuidmap; " + subordinate("54321:100000:65536") + "$P provoke newuidmap $N 0 100000 65536 -- newuidmap; kill $N", "EPERM", "helper without rights"},
	"newuidmap within":              {"echo root:100000:65536 >$D/sub; mount --bind $D/sub /etc/subuid; " + within(inOther+"$P provoke newuidmap $N 0 100000 65536 -- newuidmap; kill $N"), "EPERM", "in a user namespace already"},
	"newuidmap of lines that cross": {subordinate("54321:100000:65536\n54321:120000:65536") + "$P provoke newuidmap $N 0 100000 65536 65536 120000 65536 -- newuidmap; kill $N", "EINVAL", "ranges that overlap"},
	"newuidmap with oneself":        {subordinate("54321:54000:65536") + "$P provoke newuidmap $N 0 54321 1 1 54000 65536 -- newuidmap; kill $N", "EINVAL", "ranges that overlap"},
	"chown of what stays":           {"touch $D/f; chattr +i $D/f; $P provoke chown $D/f 5 -- chown $D/f; chattr -i $D/f", "EPERM", "immutable"},
	"unlink of what stays":          {"touch $D/f; chattr +i $D/f; $P provoke unlink $D/f -- unlink $D/f; chattr -i $D/f", "EPERM", "immutable"},
	"group that was never":          {cgroup2 + "$P provoke create $G/none/cgroup.procs -- cgroup $G/none", "ENOENT", "group that is gone"},
	"no cgroup2":                    {"umount -Rl /sys/fs/cgroup; $P provoke write /sys/fs/cgroup/memory.max 1 -- cgroup /sys/fs/cgroup/memory.max", "ENOENT", "no cgroup v2 mounted"},
	"groups read-only":              {cgroup2 + "mount --bind $G $G; mount -o remount,bind,ro $G; $P provoke write $G/cgroup.max.depth 1 -- cgroup $G", "EROFS", "mounted read-only"},
	"groups of others":              {cgroup2 + someone("") + "$P provoke write $G/cgroup.procs 0 -- cgroup.procs $G", "EACCES", "not delegated"},
	"missing loader":                {"sed 's|/lib64/ld-|/lib64/no-|' /bin/true >$D/f; chmod +x $D/f; $P provoke execve $D/f -- execve $D/f", "ENOENT", "missing loader"},
	"program where no way leads":    {"mkdir -m 700 $D/d; cp /bin/true $D/d/f; " + someone("") + "$P provoke execve $D/d/f -- execve $D/d/f", "EACCES", "no way through"},
	"large environment":             {"$P provoke exec-large -- execve", "E2BIG", "arguments too long"},
	"connection that is over":       {"$P provoke over 127.0.0.1:8080 -- bind 8080", "EADDRINUSE", "connection that is over"},
	"listens to itself":             {"ip addr add 192.0.2.9/32 dev lo; $P provoke listens 127.0.0.1:81 192.0.2.9:81 -- connect 81", "ECONNREFUSED", "listens on loopback only"},
	"file where no way leads":       {"mkdir -m 700 $D/d; touch $D/d/f; " + someone("") + "$P provoke create $D/d/f -- open $D/d/f", "EACCES", "no way through"},
	"file of another":               {"touch $D/f; " + someone("") + "$P provoke create $D/f -- open $D/f", "EACCES", "numbers that differ"},
	"rename of a lower directory":   {"mkdir -p $D/l/d $D/u $D/w $D/m; mount -t overlay none -o lowerdir=$D/l,upperdir=$D/u,workdir=$D/w,redirect_dir=off $D/m; $P provoke rename $D/m/d $D/m/e -- rename $D/m/d $D/m/e", "EXDEV", "directory of a lower layer"},
	"watches of a user namespace":   {"unshare -Um --map-root-user sh -c 'echo 3 >/proc/sys/user/max_inotify_watches; exec $P provoke watch $D -- inotify'", "ENOSPC", "max_user_watches"},
	"instances of a user namespace": {"unshare -U --map-root-user sh -c 'echo 3 >/proc/sys/user/max_inotify_instances; exec $P provoke inotify -- inotify'", "EMFILE", "max_user_instances"},
	"reboot of others":              {"unshare -U --map-root-user $P provoke reboot -- reboot", "EPERM", "PID namespace of another user namespace"},
	"clock without rights":          {noCaps + "$P provoke adjtime -- adjtimex", "EPERM", "no CAP_SYS_TIME"},
	"clock in a user namespace":     {"unshare -U --map-root-user $P provoke adjtime -- adjtimex", "EPERM", "user namespace"},
	"tracing root's process":        {"sleep 100 & N=$!; " + someone("") + "$P provoke ptrace $N -- ptrace $N; kill $N", "EPERM", "no CAP_SYS_PTRACE"},
	"traced already":                {"sleep 100 & N=$!; strace -qq -o /dev/null -p $N & until ! grep -q 'TracerPid:.0$' /proc/$N/status; do sleep 0.01; done; $P provoke ptrace $N -- ptrace $N; kill $N", "EPERM", "traced already"},
	"signal to another's process":   {someone("") + "$P provoke kill $$ -- kill $$", "EPERM", "another user's process"},
	"userfaultfd by anybody":        {someone("") + "$P provoke userfaultfd -- userfaultfd", "EPERM", "no capability for it"},
	"inotify":                       {"setpriv --reuid 54321 --clear-groups $P provoke inotify -- inotify", "EMFILE", "max_user_instances"},
}

// someone begins a command as a user who is nobody else, with capabilities.
func someone(capabilities string) string {
	c := "setpriv --reuid 54321 --regid 54321 --clear-groups "
	if capabilities != "" {
		return c + "--inh-caps=" + capabilities + " --ambient-caps=" + capabilities + " "
	}
	return c + "--inh-caps=-all --bounding-set=-all "
}

// inOther makes a process N in a user namespace without a map; W is what begins it.
const inOther = "$W unshare -U sleep 100 & N=$!; until [ \"$(readlink /proc/$N/ns/user)\" != \"$(readlink /proc/self/ns/user)\" ]; do sleep 0.01; done; "

// within has root of a user namespace run a script.
func within(script string) string {
	return "cat >$D/script <<'END'\n" + script + "\nEND\nunshare -U --map-root-user sh $D/script"
}

// strange makes one of a user who is nobody else, as whom the shell goes on.
var strange = "W='" + someone("") + "'; " + inOther + "$W "

// subordinate does so with these lines in /etc/subuid and /etc/subgid.
func subordinate(lines string) string {
	return "W=\"$W setpriv --reuid 54321 --regid 54321 --clear-groups\"; printf '" + lines + "\\n' >$D/sub; mount --bind $D/sub /etc/subuid; mount --bind $D/sub /etc/subgid; " +
		"(cat /etc/passwd; echo someone:x:54321:54321::/:) >$D/passwd; mount --bind $D/passwd /etc/passwd; " + inOther + "$W "
}

// cgroup2 finds where groups are.
const cgroup2 = "G=$(findmnt -nt cgroup2 -o TARGET | head -1); "

func nr[N int | uintptr](n N) string { return strconv.FormatUint(uint64(n), 10) }

// TestProvoked makes each situation for real: the call must fail with that errno, and the first cause must be the true one.
func TestProvoked(t *testing.T) {
	need.Root(t)
	for _, p := range []string{"unshare", "setpriv", "mount", "chroot"} {
		need.Program(t, p)
	}
	program := public(t)
	for name, s := range situations {
		t.Run(name, func(t *testing.T) { s.play(t, program) })
	}
}

func (s situation) play(t *testing.T, program string) {
	o := s.run(t, program)
	if o.Errno != s.errno || o.Answer == nil {
		t.Fatalf("the call failed with %q, not %s; %s", o.Errno, s.errno, o.Error)
	}
	first := o.Answer.Causes[0]
	if first.Name != s.cause || first.Holds != Yes {
		t.Errorf("the first cause is %q (%s: %q), not %q; all: %+v", first.Name, first.Holds, first.Evidence, s.cause, o.Answer.Causes)
	}
}

func (s situation) run(t *testing.T, program string) (o outcome) {
	t.Helper()
	script := "ip link set lo up; mount -t tmpfs none $D; chmod 755 $D\n" + s.script
	c := exec.Command("unshare", "-mn", "--propagation", "private", "sh", "-c", script)
	c.Env = append(os.Environ(), "D=/mnt", "P="+program)
	var errs strings.Builder
	c.Stderr = &errs
	out, failed := c.Output()
	if err := json.Unmarshal(out, &o); err != nil {
		t.Fatalf("%v, %v\n%s%s", failed, err, out, errs.String())
	}
	return o
}

// public is a copy of the test program that users other than root can execute.
func public(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copied, err := os.MkdirTemp("/var/tmp", "why-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(copied) })
	os.Chmod(copied, 0o755)
	b, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(copied+"/why.test", b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return copied + "/why.test"
}
