package doctor

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"glassbox/engine"
	"glassbox/linux"

	"github.com/moby/profiles/apparmor"
	"golang.org/x/sys/unix"
)

func securityProbes() []probe {
	return []probe{
		{"security", "root", "data, mounts and networks of containers belong to root", "", tryRoot},
		{"security", "capabilities", "a start needs them; what the caller lacks no container can have", "capabilities-seccomp", tryCapabilities},
		{"security", "no_new_privs", "containers inherit it: sudo and ping with file capabilities do not work in them", "capabilities-seccomp", tryNoNewPrivs},
		{"security", "own-filter", "containers inherit a filter that is on us", "capabilities-seccomp", tryOwnFilter},
		{"security", "modules", "security modules judge on top of everything else", "escape", tryModules},
		{"security", "apparmor", "containers run under the profile docker-default, where the kernel has AppArmor", "escape", tryAppArmor},
		{"security", "selinux", "with SELinux, files that containers share need labels", "escape", trySELinux},
		{"security", "ptrace", "strace, gdb, and lessons that look into processes", "", tryPtrace},
	}
}

func tryRoot(*machine) finding {
	if id := os.Geteuid(); id != 0 {
		return fail(fmt.Sprintf("we are user %d", id), asRoot)
	}
	return pass("we are root; uid_map: " + strings.Join(strings.Fields(text("/proc/self/uid_map")), " "))
}

// needed are the capabilities without which no container starts; useful those that some starts need, and what for. Found by taking them
// away one by one.
var (
	needed = []int{unix.CAP_DAC_OVERRIDE, unix.CAP_MKNOD, unix.CAP_NET_ADMIN, unix.CAP_SETGID, unix.CAP_SETPCAP, unix.CAP_SYS_ADMIN}
	useful = []struct {
		number int
		what   string
	}{
		{unix.CAP_CHOWN, "owners of files in images, --userns"}, {unix.CAP_FOWNER, "modes of files in images"}, {unix.CAP_FSETID, "set-group-ID files in images"},
		{unix.CAP_SETFCAP, "capabilities of files in images"}, {unix.CAP_SETUID, "--user, --userns"}, {unix.CAP_SYS_CHROOT, "--userns"},
		{unix.CAP_KILL, "signals to users in containers"}, {unix.CAP_SYS_PTRACE, "exec, cp and view where a container has other users"},
		{unix.CAP_SYS_RESOURCE, "--ulimit and --oom-score-adj beyond our own"}, {unix.CAP_NET_BIND_SERVICE, "-p with a port below 1024, containers that listen there"},
		{unix.CAP_NET_RAW, "ping in containers"}, {unix.CAP_AUDIT_WRITE, "login programs in containers"},
	}
)

func tryCapabilities(*machine) finding {
	effective := statusMask("CapEff")
	var lacking, partly []string
	for _, c := range needed {
		if effective&(1<<c) == 0 {
			lacking = append(lacking, capability(c))
		}
	}
	for _, c := range useful {
		if effective&(1<<c.number) == 0 {
			partly = append(partly, capability(c.number)+" ("+c.what+")")
		}
	}
	switch {
	case len(lacking) > 0:
		return fail("lacking: "+strings.Join(lacking, " "), asRoot)
	case len(partly) > 0:
		return warn("lacking: "+strings.Join(partly, ", "), asRoot).because("containers start, but what stands in brackets fails")
	}
	return pass("all that starts use")
}

func capability(number int) string { return linux.Capabilities.Of(uint64(number)) }

// statusMask reads a hexadecimal field of proc_pid_status(5).
func statusMask(field string) uint64 {
	v, _ := strconv.ParseUint(status(field), 16, 64) // a kernel without the field has none of it
	return v
}

func status(field string) string {
	for line := range strings.Lines(text("/proc/self/status")) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func tryNoNewPrivs(*machine) finding {
	on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err == nil && on == 1 {
		return warn("set on us", "start glassbox from a shell without it (systemd: NoNewPrivileges=no; docker: without --security-opt no-new-privileges)")
	}
	return pass("not set")
}

func tryOwnFilter(*machine) finding {
	switch status("Seccomp") {
	case "0", "":
		return pass("none")
	case "1":
		return fail("strict mode: only read, write and exit are allowed", "start glassbox outside of it")
	}
	n, _ := strconv.Atoi(status("Seccomp_filters")) // before Linux 5.9 there is no such line
	return warn("filters on us: "+strconv.Itoa(max(n, 1)), "in a container: run that one with --security-opt seccomp=unconfined").
		because("it judges calls of containers too; what it refuses shows in the other checks")
}

func tryModules(*machine) finding {
	if l := text("/sys/kernel/security/lsm"); l != "" {
		return pass(strings.ReplaceAll(l, ",", " "))
	}
	return pass("not told: securityfs is not mounted (mount -t securityfs none /sys/kernel/security)")
}

// tryAppArmor looks for Docker's profile, or else has the parser compile one, without loading it.
func tryAppArmor(*machine) finding {
	if !strings.HasPrefix(text("/sys/module/apparmor/parameters/enabled"), "Y") {
		return pass("the kernel has it off: containers run without a profile")
	}
	if !engine.Armored() {
		return warn("on, but profiles cannot be loaded: /sys/kernel/security/apparmor or /sbin/apparmor_parser is missing", "apt install apparmor; mount -t securityfs none /sys/kernel/security").
			because("containers run unconfined by AppArmor, as Docker's do then")
	}
	loaded, err := apparmor.IsLoaded("docker-default")
	if err != nil {
		return warn(named(err), asRoot)
	}
	if loaded {
		return pass("on; the profile docker-default is loaded")
	}
	c := exec.Command("/sbin/apparmor_parser", "--skip-kernel-load", "--skip-cache")
	c.Stdin = strings.NewReader("profile glassbox-doctor flags=(attach_disconnected,mediate_deleted) { file, network, }\n")
	if out, err := c.CombinedOutput(); err != nil {
		return fail(fmt.Sprintf("apparmor_parser: %v: %s", err, strings.TrimSpace(string(out))), "--security-opt apparmor=unconfined; or repair apparmor_parser")
	}
	return pass("on; the first start will load the profile docker-default")
}

func trySELinux(*machine) finding {
	switch text("/sys/fs/selinux/enforce") {
	case "1":
		return warn("enforcing", "-v /dir:/dir:z labels what is shared; setenforce 0 for a lesson's length").because("containers may be refused files of the host that lack a container's label")
	case "0":
		return pass("permissive: it only logs")
	}
	return pass("the kernel has none")
}

func tryPtrace(*machine) finding {
	switch v := text("/proc/sys/kernel/yama/ptrace_scope"); v {
	case "":
		return pass("Yama does not restrict it")
	case "3":
		return warn("kernel.yama.ptrace_scope=3: nobody may attach, until the next boot", "boot without it (look in /etc/sysctl.d)")
	default:
		return pass("kernel.yama.ptrace_scope=" + v + ": root may attach")
	}
}
