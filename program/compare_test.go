package program

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// recorded is what strace -f -o wrote of a start: 100 is the host, 101 the child, whose calls the host's cut in two;
// 102 goes on after the second clone.
const recorded = `100   clone3({flags=CLONE_PIDFD|CLONE_NEWNS, pidfd=0xc000010000, exit_signal=SIGCHLD, stack=NULL, stack_size=0}, 88 <unfinished ...>
101   rt_sigprocmask(SIG_SETMASK, [], NULL, 8) = 0
100   <... clone3 resumed> => {pidfd=[7]}, 88) = 101
101   write(5, "m", 1 <unfinished ...>
100   read(4,  <unfinished ...>
101   <... write resumed>)              = 1
100   <... read resumed>"m", 1)         = 1
101   read(5,  <unfinished ...>
100   openat(AT_FDCWD, "/proc/101/uid_map", O_WRONLY|O_CLOEXEC) = 8
100   write(8, "0 1000 1\n", 9)         = 9
100   --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL, si_pid=100, si_uid=0} ---
101   <... read resumed>0x7f0000001000, 1) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)
101   --- SIGCONT {si_signo=SIGCONT, si_code=SI_USER, si_pid=1, si_uid=0} ---
101   read(5, "\1", 1)                  = 1
101   mount("a = b) = ", "/x", NULL, MS_BIND, NULL) = -1 ENOENT (No such file or directory)
101   clone3({flags=CLONE_PARENT, exit_signal=SIGCHLD, stack=NULL, stack_size=0}, 88) = 2
101   exit_group(0)                     = ?
101   +++ exited with 0 +++
100   clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0, stack=0x7f0000000000, stack_size=0x8000}, 88) = 103
103   gettid()                          = 103
102   read(9, 0x7f0000002000, 4)        = -1 EBADF (Bad file descriptor)
102   execve("/bin/sh", ["sh"], ["A=b"]) = 0
102   brk(NULL)                         = 0x55000
102   +++ killed by SIGKILL +++
100   exit_group(0)                     = ?
`

// account is what the child of recorded did, as its program tells.
func account() []Done {
	var b Builder
	b.Call(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, words(0), nil, 8)
	b.Call(unix.SYS_WRITE, Sync, []byte("m"), 1)
	b.Call(unix.SYS_READ, Sync, Out(1), 1)
	b.Call(unix.SYS_MOUNT, "a = b) = ", "/x", nil, unix.MS_BIND, nil).Tolerate(unix.ENOENT)
	b.Call(unix.SYS_CLONE3, words(unix.CLONE_PARENT, 0, 0, 0, int(unix.SIGCHLD), 0, 0, 0, 0, 0, 0), 88)
	b.Call(unix.SYS_READ, 9, Out(4), 4).Tolerate(unix.EBADF)
	b.Call(unix.SYS_EXECVE, "/bin/sh", []string{"sh"}, []string{"A=b"})
	ran := []Ran{{}, {Result: 1}, {Result: 1, Out: [][]byte{{1}}}, {Result: -int64(unix.ENOENT)}, {Result: 0}, {Result: -int64(unix.EBADF), Out: [][]byte{make([]byte, 4)}}, {}}
	return Live([]Phase{{Child: b.Program()}}, nil, ran, Numbers{Sync: 5})[0].Child
}

func trace(t *testing.T, text string) []Traced {
	t.Helper()
	calls, err := Trace(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

func TestCompareAgrees(t *testing.T) {
	if err := Compare(account(), Child(trace(t, recorded), 101)); err != nil {
		t.Fatal(err)
	}
}

// The same output as strace writes it to a terminal.
func TestTraceOfATerminal(t *testing.T) {
	text := "strace: Process 101 attached\n"
	for line := range strings.Lines(recorded) {
		pid, rest, _ := strings.Cut(line, "   ")
		text += "[pid   " + pid + "] " + rest
	}
	if err := Compare(account(), Child(trace(t, text), 101)); err != nil {
		t.Fatal(err)
	}
}

func TestTraceRefusesWhatItCannotRead(t *testing.T) {
	for _, text := range []string{"100 something else\n", "100 <... read resumed>) = 0\n", "100 read(3, <unfinished ...>\n100 <... read gone\n"} {
		if _, err := Trace(strings.NewReader(text)); err == nil {
			t.Errorf("read %q", text)
		}
	}
}

// An account that leaves something out, adds, changes or reorders must not be confirmed, and is told where.
func TestCompareDisagrees(t *testing.T) {
	seen := Child(trace(t, recorded), 101)
	for _, c := range []struct {
		name   string
		change func([]Done) []Done
		want   string
	}{
		{"drop", func(d []Done) []Done { return append(d[:3], d[4:]...) }, "before step 4: not in the account, but on line 15 of the trace:\n  seen mount("},
		{"add", func(d []Done) []Done {
			return append(append(append([]Done{}, d[:1]...), Done{Call: "getpid()", Result: "1"}), d[1:]...)
		}, "step 2: in the account, but not seen:\n  told getpid() = 1"},
		{"argument", func(d []Done) []Done { d[1].Call = `write(5, "n", 1)`; return d }, "step 2 differs from line 4"},
		{"result", func(d []Done) []Done { d[3].Result = "0"; return d }, "step 4 differs from line 15"},
		{"errno", func(d []Done) []Done { d[3].Result = "-1 EPERM (Operation not permitted)"; return d }, "step 4 differs"},
		{"number instead of an address", func(d []Done) []Done { d[5].Call = "read(9, 0x1, 4)"; return d }, "step 6 differs"},
		{"address instead of a number", func(d []Done) []Done { d[5].Call = "read(<memory>, <memory>, 4)"; return d }, "step 6 differs"},
		{"swap", func(d []Done) []Done { d[0], d[1] = d[1], d[0]; return d }, "in 2 places"},
		{"end", func(d []Done) []Done { return d[:6] }, "before step 7: not in the account"},
	} {
		err := Compare(c.change(account()), seen)
		if err == nil {
			t.Errorf("%s: not seen", c.name)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nlacks %q", c.name, err, c.want)
		}
	}
}

// A start that failed ends in the interpreter's exit_group, which is no step.
func TestCompareFailure(t *testing.T) {
	seen := trace(t, "1 chdir(\"/x\") = -1 ENOENT (No such file or directory)\n1 exit_group(127) = ?\n")
	told := []Done{{Call: `chdir("/x")`, Result: "-1 ENOENT (No such file or directory)", Failed: true}}
	if err := Compare(told, seen); err != nil {
		t.Error(err)
	}
	told[0].Failed = false
	if Compare(told, seen) == nil {
		t.Error("an exit after a step that did not fail was not seen")
	}
}

const recordedHost = `100 mkdirat(AT_FDCWD, "/sys/fs/cgroup/a/b", 0755) = 0
100 openat(AT_FDCWD</root>, "/sys/fs/cgroup/a/b/memory.max", O_WRONLY|O_CLOEXEC) = 7</sys/fs/cgroup/a/b/memory.max>
100 write(7</sys/fs/cgroup/a/b/memory.max>, "67108864", 8) = 8
100 write(7</sys/fs/cgroup/a/b/cpuset.cpus>, "99", 2) = -1 EINVAL (Invalid argument)
100 write(8</proc/101/uid_map>, "0 1000 1\n", 9) = 9
100 write(9</proc/100/comm>, "glassrun", 8) = 8
100 write(1</dev/null>, "9</x>", 5) = 5
100 write(9</run/glassbox/state.json>, "{}", 2) = 2
100 mount_setattr(11</>, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_RDONLY, attr_clr=0, propagation=0, userns_fd=0}, 32) = 0
100 mkdirat(AT_FDCWD, "/run/glassbox/c", 0700) = 0
100 clone3({flags=CLONE_PIDFD|CLONE_NEWNS|CLONE_CLEAR_SIGHAND|CLONE_INTO_CGROUP, pidfd=0xc000010000, exit_signal=SIGCHLD, stack=NULL, stack_size=0, cgroup=9} => {pidfd=[7</proc>]}, 88) = 101
100 clone3({flags=CLONE_VM, exit_signal=0, stack=0x7f000, stack_size=0x100}, 88) = 102
100 fchownat(AT_FDCWD</root>, "/upper", 1000, 1000, 0) = 0
100 fchownat(AT_FDCWD</root>, "/elsewhere", 1000, 1000, 0) = 0
100 mount_setattr(13</a (b)>(deleted), "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_IDMAP, attr_clr=0, propagation=0, userns_fd=14<user:[4026]>}, 32) = 0
100 sendto(12<NETLINK:[ROUTE:5]>, [{nlmsg_len=32}], 32, 0, NULL, 0) = 32
`

func hostAccount() []Done {
	return []Done{
		{Call: `mkdirat(AT_FDCWD, "/sys/fs/cgroup/a/b", 0755)`},
		{Call: `write("/sys/fs/cgroup/a/b/memory.max", "67108864", 8)`},
		{Call: `write("/sys/fs/cgroup/a/b/cpuset.cpus", "99", 2)`, Failed: true},
		{Call: `write("/proc/77/uid_map", "0 1000 1\n", 9)`},
		{Call: `mount_setattr(11, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_RDONLY, attr_clr=0, propagation=0, userns_fd=0}, 32)`},
		{Call: `clone3({flags=CLONE_PIDFD|CLONE_NEWNS|CLONE_CLEAR_SIGHAND|CLONE_INTO_CGROUP, pidfd=<memory>, exit_signal=SIGCHLD, stack=NULL, stack_size=0, cgroup=<group>}, 88)`},
		{Call: `fchownat(AT_FDCWD, "/upper", 1000, 1000, 0)`},
		{Call: `mount_setattr(<layer>, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_IDMAP, attr_clr=0, propagation=0, userns_fd=<user namespace>}, 32)`},
		{Call: `sendto(12, [{nlmsg_len=32}], 32, 0, NULL, 0)`},
	}
}

func TestCompareHost(t *testing.T) {
	seen := Asked(trace(t, recordedHost), "/sys/fs/cgroup", hostAccount()...)
	if err := CompareHost(hostAccount(), seen); err != nil {
		t.Fatal(err)
	}
	for i := range hostAccount() {
		d := hostAccount()
		if CompareHost(append(d[:i], d[i+1:]...), seen) == nil {
			t.Errorf("a dropped request %d is not seen", i+1)
		}
		d = hostAccount()
		d[i].Call = strings.Replace(d[i].Call, ", ", ",  ", 1)
		if CompareHost(d, seen) == nil {
			t.Errorf("an altered request %d is not seen", i+1)
		}
		d = hostAccount()
		d[i].Failed = !d[i].Failed
		if CompareHost(d, seen) == nil {
			t.Errorf("another outcome of request %d is not seen", i+1)
		}
		if j := (i + 1) % len(d); true {
			d = hostAccount()
			d[i], d[j] = d[j], d[i]
			if CompareHost(d, seen) == nil {
				t.Errorf("swapped requests %d and %d are not seen", i+1, j+1)
			}
		}
	}
}
