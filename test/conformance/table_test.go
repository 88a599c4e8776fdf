package conformance

// program is what the table says of one: that it must pass, unless there is a reason why it cannot.
type program struct {
	why     string        // it cannot pass; that is so because
	objects []string      // then: what it says against glassrun, all of it
	says    string        // its output holds this
	needs   func() string // what the machine lacks for it; nil: it needs nothing
	hybrid  bool          // it wants a cgroup v1 hierarchy beside cgroup v2
	shared  bool          // it uses what others use too, so it runs alone
}

var table = map[string]program{
	"config_updates_without_affect":  {},
	"create":                         {},
	"default":                        {},
	"delete":                         {},
	"delete_only_create_resources":   {hybrid: true},
	"delete_resources":               {},
	"hooks":                          {},
	"hooks_stdin":                    {},
	"hostname":                       {},
	"kill":                           {},
	"kill_no_effect":                 {},
	"killsig":                        {},
	"linux_cgroups_blkio":            {},
	"linux_cgroups_cpus":             {},
	"linux_cgroups_devices":          {},
	"linux_cgroups_hugetlb":          {},
	"linux_cgroups_memory":           {},
	"linux_cgroups_network":          {},
	"linux_cgroups_pids":             {},
	"linux_cgroups_relative_blkio":   {},
	"linux_cgroups_relative_cpus":    {},
	"linux_cgroups_relative_devices": {},
	"linux_cgroups_relative_hugetlb": {},
	"linux_cgroups_relative_memory":  {},
	"linux_cgroups_relative_network": {},
	"linux_cgroups_relative_pids":    {},
	"linux_devices":                  {},
	"linux_masked_paths":             {},
	"linux_mount_label":              {},
	"linux_ns_itype":                 {},
	"linux_ns_nopath":                {},
	"linux_ns_path":                  {},
	"linux_ns_path_type":             {},
	"linux_process_apparmor_profile": {},
	"linux_readonly_paths":           {},
	"linux_rootfs_propagation":       {},
	"linux_seccomp":                  {},
	"linux_sysctl":                   {},
	"linux_uid_mappings":             {},
	"misc_props":                     {},
	"mounts":                         {},
	"pidfile":                        {},
	"poststart":                      {},
	"poststart_fail":                 {},
	"poststop":                       {},
	"poststop_fail":                  {},
	"prestart":                       {},
	"prestart_fail":                  {},
	"process":                        {},
	"process_capabilities":           {},
	"process_capabilities_fail":      {},
	"process_oom_score_adj":          {},
	"process_rlimits":                {},
	"process_rlimits_fail":           {},
	"process_user":                   {},
	"root_readonly_true":             {},
	"start":                          {},
	"state":                          {},
}
