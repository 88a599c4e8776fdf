package why

import (
	"os"
	"strings"
	"testing"

	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// armed begins a command under an AppArmor profile that allows what is said.
func armed(rules string) string {
	return "mount -t securityfs none /sys/kernel/security; printf '%s' 'profile why-test flags=(attach_disconnected) { signal, ptrace, unix, " + rules + " }' | apparmor_parser -Kr; A='aa-exec -p why-test'; $A "
}

// machineSituations change settings of the whole machine, or want a kernel that has what this one may have not.
var machineSituations = map[string]situation{
	"mount under a profile":       {armed("file, capability, network,") + "$P provoke mount none $D tmpfs -- mount", "EACCES", "security module"},
	"open under a profile":        {"touch $D/f; " + armed("capability, /** mrwlkix, deny /mnt/f rw,") + "$P provoke create $D/f -- open $D/f", "EACCES", "security module"},
	"execve under a profile":      {"cp /bin/true $D/f; " + armed("capability, /** mrwlkix, deny /mnt/f x,") + "$P provoke execve $D/f -- execve $D/f", "EACCES", "security module"},
	"socket under a profile":      {armed("file, capability,") + "$P provoke socket -- socket", "EACCES", "security module"},
	"bind under a profile":        {armed("file, capability,") + "$P provoke bind 127.0.0.1:80 -- bind 80", "EACCES", "security module"},
	"capability under a profile":  {armed("file, network, mount,") + "$P provoke mount none $D tmpfs -- mount", "EPERM", "capability that a security module takes"},
	"clone under a profile":       {armed("file, network, mount,") + "$P provoke clone uts -- unshare", "EPERM", "capability that a security module takes"},
	"user namespaces for root":    {"echo 0 >/proc/sys/kernel/unprivileged_userns_clone; " + someone("") + "$P provoke clone user -- unshare user; echo 1 >/proc/sys/kernel/unprivileged_userns_clone", "EPERM", "user namespaces switched off"},
	"log for root":                {"echo 1 >/proc/sys/kernel/dmesg_restrict; " + someone("") + "$P provoke syslog -- syslog", "EPERM", "no CAP_SYSLOG"},
	"Yama":                        {yamaAt("1") + someone("") + "$P provoke ptrace $N -- ptrace $N; kill $N; " + yamaBack, "EPERM", "Yama"},
	"Yama at 2":                   {yamaAt("2") + someone("") + "$P provoke ptrace $N -- ptrace $N; kill $N; " + yamaBack, "EPERM", "Yama"},
	"read-only device":            {"modprobe loop; truncate -s 4M $D/f; mke2fs -q -F $D/f; L=$(losetup -r -f --show $D/f); mkdir $D/d; $P provoke mount $L $D/d ext4 -- mount $L; losetup -d $L", "EACCES", "read-only block device"},
	"too many mounts":             {"mkdir $D/d; M=$(cat /proc/sys/fs/mount-max); wc -l </proc/self/mountinfo >/proc/sys/fs/mount-max; $P provoke mount none $D/d tmpfs -- mount; echo $M >/proc/sys/fs/mount-max", "ENOSPC", "too many mounts"},
	"watches of a user":           {"M=$(cat /proc/sys/fs/inotify/max_user_watches); echo 3 >/proc/sys/fs/inotify/max_user_watches; chmod 1777 $D; " + someone("") + "$P provoke watch $D -- inotify; echo $M >/proc/sys/fs/inotify/max_user_watches", "ENOSPC", "max_user_watches"},
	"quota of a user":             {quota("usrquota", "u") + "chmod 1777 $D/d; " + someone("") + "$P provoke fill $D/d/f -- write $D/d; umount $D/d", "EDQUOT", "quota"},
	"quota of a file's owner":     {quota("usrquota", "u") + "touch $D/d/f; chown 54321 $D/d/f; " + unlimited + "$P provoke fill $D/d/f -- write $D/d/f; umount $D/d", "EDQUOT", "quota"},
	"Ubuntu's leave":              {ubuntu + someone("") + "$P provoke clone user -- unshare user" + ubuntuBack, "EACCES", "user namespaces need AppArmor's leave"},
	"Ubuntu's leave, and profile": {ubuntu + usersProfileOfUbuntu + someone("") + "unshare -U $P provoke mount none $D tmpfs -- uid_map" + ubuntuBack, "EPERM", "user namespaces need AppArmor's leave"},
}

// yamaAt lets nobody trace process N, who has not the right.
func yamaAt(scope string) string {
	return "Y=$(cat /proc/sys/kernel/yama/ptrace_scope); echo " + scope + " >/proc/sys/kernel/yama/ptrace_scope; " + someone("") + "sleep 100 & N=$!; until grep -qx sleep /proc/$N/comm; do sleep 0.01; done; "
}

const yamaBack = "echo $Y >/proc/sys/kernel/yama/ptrace_scope"
const unlimited = "setpriv --bounding-set=-sys_resource --inh-caps=-all "

// quota mounts an ext4 at $D/d on which user 54321 may have 256 KiB.
func quota(option, kind string) string {
	return "modprobe -a loop quota_v2; truncate -s 16M $D/img; mke2fs -q -F -t ext4 -O quota -E quotatype=" + option + " $D/img; mkdir $D/d; mount -o loop," + option + " $D/img $D/d; perl -e 'open F, \"<\", \"$ENV{D}/d\"; " +
		// Q_SETQUOTA by quotactl_fd(2): struct if_dqblk, its limits in KiB, and QIF_BLIMITS.
		"$q = pack \"Q8Lx4\", 256, 256, 0, 0, 0, 0, 0, 0, 1; syscall(443, fileno(F), 0x80000800, 54321, $q) == 0 or die \"quotactl_fd: $!\"'; "
}

// Ubuntu's kernels alone have this; what it is like with the profile is Ubuntu 24.04's.
const (
	ubuntu               = "mount -t securityfs none /sys/kernel/security; echo 1 >/proc/sys/kernel/apparmor_restrict_unprivileged_userns; "
	ubuntuBack           = "; echo 0 >/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
	usersProfileOfUbuntu = "printf 'profile unprivileged_userns { audit deny capability, file rwlkm /**, file pix /**, network, unix, ptrace, signal, mount, umount, pivot_root, }' | apparmor_parser -Kr; "
)

// TestProvokedOnAMachine is TestProvoked with what concerns a whole machine.
func TestProvokedOnAMachine(t *testing.T) {
	need.Disposable(t)
	need.AppArmor(t)
	program := public(t)
	for name, s := range machineSituations {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"); strings.HasPrefix(s.script, ubuntu) && err != nil {
				t.Skip("a kernel of Ubuntu's has kernel.apparmor_restrict_unprivileged_userns")
			}
			s.play(t, program)
		})
	}
}

// TestDescriptors: of a process that can open no more. Whoever asks is another one.
func TestDescriptors(t *testing.T) {
	need.Root(t)
	perl := need.Program(t, "perl")
	const fills = `$|=1; while (open(my $f, "<", "/")) { push @all, $f } print "$!\n"; <STDIN>`
	said, pid := stuck(t, "prlimit", "--nofile=32", perl, "-e", fills)
	if said != "Too many open files" {
		t.Fatalf("open: %s", said)
	}
	if c := first(t, unix.EMFILE, "open", itoa(pid)); c.Name != "RLIMIT_NOFILE" || c.Holds != Yes {
		t.Errorf("%+v", c)
	}
}

// TestFilesOfTheMachine: root is exempt, and asks.
func TestFilesOfTheMachine(t *testing.T) {
	need.Disposable(t)
	most, err := os.ReadFile("/proc/sys/fs/file-max")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { write("/proc/sys/fs/file-max", string(most)) })
	if err := write("/proc/sys/fs/file-max", "1500"); err != nil {
		t.Fatal(err)
	}
	said, _ := stuck(t, "prlimit", "--nofile=4096", "setpriv", "--reuid", "54321", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", need.Program(t, "perl"), "-e",
		`$|=1; while (open(my $f, "<", "/")) { push @all, $f } print "$!\n"; <STDIN>`)
	if said != "Too many open files in system" {
		t.Fatalf("open: %s", said)
	}
	if c := first(t, unix.ENFILE, "open"); c.Name != "fs.file-max" || c.Holds != Yes {
		t.Errorf("%+v", c)
	}
}
