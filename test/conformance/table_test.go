package conformance

import (
	"os"
	"strings"
)

// program is what the table says of one: that it must pass, unless there is a reason why it cannot.
type program struct {
	why     string        // it cannot pass, because
	objects []string      // then: what it has against glassrun, all of it; nil: it ends with an error, or with what depends on the machine
	says    string        // its output holds this
	needs   func() string // what the machine lacks for it; nil: it needs nothing
	hybrid  bool          // it writes to a cgroup v1 hierarchy beside cgroup v2
	later   string        // it relies on this command being slow, so a second passes before
	race    bool          // chance decides: it must pass in one of a few attempts, or may pass where there is a reason why it mostly cannot
	shared  bool          // it uses what others use too, so it runs alone
}

// cgroup1 are those that look for limits in cgroup v1: "cgroupv2 is not supported yet" (cgroups/cgroups.go of runtime-tools). glassrun knows
// cgroup v2 only; test/fields looks there for the same limits.
var cgroup1 = program{why: "it reads the limits in cgroup v1 only, and glassrun sets them in cgroup v2 only", shared: true}

var table = map[string]program{
	"config_updates_without_affect": {},
	"create":                        {},
	"default":                       {},
	"delete":                        {},
	"delete_only_create_resources":  {hybrid: true, needs: version1},
	"delete_resources":              cgroup1,
	"hooks": {
		why:     "it compares with \"post-start1\" where its own hook writes \"post-start1 called\": it can tell of success to nobody",
		objects: []string{"Hooks MUST be called in the listed order"},
	},
	"hooks_stdin":                    {},
	"hostname":                       {},
	"kill":                           {},
	"kill_no_effect":                 {},
	"killsig":                        {later: "kill"},
	"linux_cgroups_blkio":            cgroup1,
	"linux_cgroups_cpus":             cgroup1,
	"linux_cgroups_devices":          cgroup1,
	"linux_cgroups_hugetlb":          cgroup1,
	"linux_cgroups_memory":           cgroup1,
	"linux_cgroups_network":          cgroup1,
	"linux_cgroups_pids":             cgroup1,
	"linux_cgroups_relative_blkio":   cgroup1,
	"linux_cgroups_relative_cpus":    cgroup1,
	"linux_cgroups_relative_devices": cgroup1,
	"linux_cgroups_relative_hugetlb": cgroup1,
	"linux_cgroups_relative_memory":  cgroup1,
	"linux_cgroups_relative_network": cgroup1,
	"linux_cgroups_relative_pids":    cgroup1,
	"linux_devices":                  {},
	"linux_masked_paths":             {},
	"linux_mount_label":              {needs: selinux},
	"linux_ns_itype":                 {},
	"linux_ns_nopath":                {},
	"linux_ns_path":                  {},
	"linux_ns_path_type":             {},
	"linux_process_apparmor_profile": {needs: apparmor},
	"linux_readonly_paths":           {},
	"linux_rootfs_propagation":       {},
	"linux_seccomp":                  {},
	"linux_sysctl":                   {},
	"linux_uid_mappings":             {},
	"misc_props": {
		why:     "its first bundle has /runtimetest as program, and it copies no such file there",
		objects: []string{"implementations that are reading/processing this configuration file MUST NOT generate an error if they encounter an unknown annotation key"},
	},
	"mounts": {},
	"pidfile": {
		race:    true, // `true` may live until it is looked at for the first time
		why:     "it sends a signal to `true` ten seconds after that has ended, and wants no error: runtime.md asks for one",
		objects: []string{"create with '--pid-file' option works"},
		says:    "container not running",
	},
	"poststart":      {race: true},
	"poststart_fail": {}, // a warning, as the specification had it before 1.3, which wants an error
	"poststop":       {},
	"poststop_fail":  {},
	"prestart": {
		why:     "it wants prestart hooks in `start`, as before version 1.1 of the specification: config.md has them in `create`",
		objects: []string{"Pre-start hooks MUST be called after the `start` operation is called"},
	},
	"prestart_fail":        {},
	"process":              {},
	"process_capabilities": {needs: allCapabilities},
	"process_capabilities_fail": {
		why:  "it wants an error for an unknown capability, which is a warning since version 1.1 of the specification",
		says: "Any value which cannot be mapped to a relevant kernel interface MUST cause an error",
	},
	"process_oom_score_adj": {},
	"process_rlimits": {
		why:     "its runtimetest is a Go program, and since 1.19 Go raises its own RLIMIT_NOFILE before main",
		objects: []string{"has expected soft RLIMIT_NOFILE"},
	},
	"process_rlimits_fail": {says: "RLIMIT_TEST"},
	"process_user":         {},
	"root_readonly_true":   {},
	"start": {
		why:     "it wants `start` without a process to succeed, under the name \"MUST generate an error if `process` was not set\"",
		objects: []string{"exit status 1"},
	},
	"state": {},
}

// version1 looks for the pids controller of cgroup v1, in which one program makes a group.
func version1() string {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil || !strings.Contains(string(groups), ":pids:") {
		return "a cgroup v1 hierarchy with the pids controller"
	}
	return ""
}

func selinux() string {
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err != nil {
		return "SELinux"
	}
	return ""
}

func apparmor() string {
	const profile = "acme_secure_profile"
	loaded, err := os.ReadFile("/sys/kernel/security/apparmor/profiles")
	if err != nil || !strings.Contains(string(loaded), profile+" ") {
		return "AppArmor with a profile " + profile
	}
	return ""
}

// allCapabilities: one that we do not have cannot be given away.
func allCapabilities() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil || !strings.Contains(string(status), "CapBnd:\t000001ffffffffff") {
		return "all capabilities, which this machine does not let root have"
	}
	return ""
}
