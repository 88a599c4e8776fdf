package doctor

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

func limitProbes() []probe {
	return []probe{
		{"limits", "nofile", "open files: a container inherits the limit unless --ulimit says otherwise", "", resource(unix.RLIMIT_NOFILE, "RLIMIT_NOFILE", "ulimit -n 65536", 256, 1024)},
		{"limits", "nproc", "processes and threads of a user; root is not held to it, containers with users are", "pids-limit", resource(unix.RLIMIT_NPROC, "RLIMIT_NPROC", "ulimit -u unlimited", 64, 1024)},
		{"limits", "pid_max", "process numbers, for all containers together", "pids-limit", sysctl("kernel.pid_max", 1000, 8192, 4194304)},
		{"limits", "threads", "threads, for all containers together", "pids-limit", sysctl("kernel.threads-max", 1000, 4096, 100000)},
		{"limits", "inotify", "events, logs -f and many programs in containers watch files; all of root's count together", "", tryInotify},
		{"limits", "keys", "each container gets a session keyring of its own", "", tryKeys},
		{"limits", "max_map_count", "databases and Java in containers map many files", "", sysctl("vm.max_map_count", 1000, 65530, 262144)},
		{"limits", "mounts", "a container has some dozens of mounts, in a namespace of its own", "mount-namespace", sysctl("fs.mount-max", 200, 10000, 100000)},
	}
}

// resource asks for a limit of ours that containers inherit.
func resource(which int, name, fix string, none, few uint64) func(*machine) finding {
	return func(*machine) finding {
		var l unix.Rlimit
		if err := unix.Prlimit(0, which, nil, &l); err != nil {
			return fail(named(err), asRoot)
		}
		shown := func(n uint64) string {
			if n == unix.RLIM_INFINITY {
				return "unlimited"
			}
			return strconv.FormatUint(n, 10)
		}
		found := fmt.Sprintf("%s: %s, at most %s", name, shown(l.Cur), shown(l.Max))
		switch {
		case l.Max < none:
			return fail(found, fix)
		case l.Max < few:
			return warn(found, fix)
		}
		return pass(found)
	}
}

// sysctl reads a limit of the kernel's.
func sysctl(name string, none, few, better int) func(*machine) finding {
	return func(*machine) finding {
		n, err := strconv.Atoi(text("/proc/sys/" + strings.ReplaceAll(name, ".", "/")))
		found, fix := fmt.Sprintf("%s=%d", name, n), fmt.Sprintf("sysctl -w %s=%d", name, better)
		switch {
		case err != nil:
			return warn("cannot read "+name, "mount proc, or look outside of this sandbox")
		case n < none:
			return fail(found, fix)
		case n < few:
			return warn(found, fix)
		}
		return pass(found)
	}
}

// tryInotify takes an instance and a watch: what counts is what is left, which no file tells.
func tryInotify(*machine) finding {
	instances, watches := text("/proc/sys/fs/inotify/max_user_instances"), text("/proc/sys/fs/inotify/max_user_watches")
	found := "instances: " + instances + ", watches: " + watches
	const fix = "sysctl -w fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=524288"
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return fail(found+": "+named(err), fix)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, os.TempDir(), unix.IN_DELETE_SELF); err != nil {
		return fail(found+": "+named(err), fix)
	}
	if n, err := strconv.Atoi(watches); err == nil && n < 8192 {
		return warn(found, fix)
	}
	return pass(found + "; took one of each")
}

const keyctlJoinSessionKeyring = 1

func tryKeys(*machine) finding {
	err := child(0, nil, func(b *program.Builder) {
		b.Call(unix.SYS_KEYCTL, keyctlJoinSessionKeyring, nil, 0, 0, 0).Why("a session keyring without a name")
	})
	switch {
	case err == nil:
		return pass("made a keyring; root has " + text("/proc/sys/kernel/keys/root_maxkeys") + ", others " + text("/proc/sys/kernel/keys/maxkeys"))
	case strings.Contains(said(err), "EDQUOT"):
		return warn(said(err), "sysctl -w kernel.keys.maxkeys=2000 kernel.keys.maxbytes=2000000").because("further containers share the caller's keyring")
	}
	return warn(said(err), "a kernel with CONFIG_KEYS; in a container: a filter that allows keyctl").because("containers share the caller's session keyring")
}
