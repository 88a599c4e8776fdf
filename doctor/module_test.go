package doctor

import (
	"os/exec"
	"strings"
	"testing"

	"glassbox/test/need"
)

// TestSecurityModules: what doctor says of a kernel with AppArmor, in each state that it can be in.
func TestSecurityModules(t *testing.T) {
	need.AppArmor(t)
	need.Disposable(t)
	const secured = "mount -t securityfs none /sys/kernel/security 2>/dev/null || true; "
	unload(t)
	t.Cleanup(func() { unload(t) })
	for _, p := range []struct {
		name, prepare, check string
		result               Result
		found                string
	}{
		{"no profile", secured, "apparmor", Pass, "the first start will load the profile"},
		{"broken parser", secured + "mount --bind /bin/false /sbin/apparmor_parser", "apparmor", Fail, "apparmor_parser: exit status 1"},
		{"no securityfs", "umount /sys/kernel/security; mount -t tmpfs none /sys/kernel", "apparmor", Warn, "cannot be loaded"},
		{"modules", secured, "modules", Pass, "apparmor"},
		{"a profile", secured + "printf 'profile docker-default { file, }' | apparmor_parser -Kr", "apparmor", Pass, "is loaded"},
		{"Yama at 3", "echo 3 >$DIR/yama; mount --bind $DIR/yama /proc/sys/kernel/yama/ptrace_scope", "ptrace", Warn, "ptrace_scope=3"},
	} {
		c := patient(t, p.prepare, "security").check(t, "security/"+p.check)
		if c.Result != p.result || !strings.Contains(c.Found, p.found) || (c.Fix != "") != (c.Result != Pass) {
			t.Errorf("%s: want %s %q; got %+v", p.name, p.result, p.found, c)
		}
	}
	c := patient(t, "echo 0 >/proc/sys/kernel/unprivileged_userns_clone", "namespaces").check(t, "namespaces/unprivileged")
	if patient(t, "echo 1 >/proc/sys/kernel/unprivileged_userns_clone", "namespaces").check(t, "namespaces/unprivileged").Result != Pass {
		t.Error("user namespaces are not switched on again")
	}
	if c.Result != Warn || !strings.Contains(c.Found, "kernel.unprivileged_userns_clone=0") {
		t.Errorf("%+v", c)
	}
}

func unload(t *testing.T) {
	t.Helper()
	exec.Command("sh", "-c", "printf 'profile docker-default {}' | apparmor_parser -R").Run() //nolint:errcheck // it may not be loaded
}

// TestSELinux shows doctor a selinuxfs that is none: the VM's kernel has its word from AppArmor.
func TestSELinux(t *testing.T) {
	need.Root(t)
	for enforce, want := range map[string]Result{"1": Warn, "0": Pass} {
		c := patient(t, "mount -t tmpfs none /sys/fs; mkdir /sys/fs/selinux; echo "+enforce+" >/sys/fs/selinux/enforce", "security").check(t, "security/selinux")
		if c.Result != want || strings.Contains(c.Found, "none") {
			t.Errorf("enforce %s: %+v", enforce, c)
		}
	}
}
