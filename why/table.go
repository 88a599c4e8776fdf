package why

// tables are the errors that are known, by what they are about.
func tables() []([]Known) {
	return [][]Known{mountErrors, procErrors, pivotErrors, overlayErrors, namespaceErrors, idErrors, forkErrors, cgroupErrors, execErrors, networkErrors, pingErrors, fileErrors, roomErrors, hostErrors}
}

// all are their entries.
func all() (entries []*Known) {
	for _, t := range tables() {
		for i := range t {
			entries = append(entries, &t[i])
		}
	}
	return entries
}

// What several calls have in common.
var (
	noAdmin = Cause{
		Name: "no CAP_SYS_ADMIN", Why: "the call wants CAP_SYS_ADMIN in the user namespace that owns what is to be changed; containers do not have it",
		Check: "grep CapEff /proc/self/status; capsh --decode=HEX", Fix: "sudo; in a container: --cap-add SYS_ADMIN, or do it on the host; as a user: unshare --user --map-root-user first",
		Learn: "capabilities-seccomp", test: lacksAdmin,
	}
	foreignMounts = Cause{
		Name: "mount namespace of another user namespace", Why: "capabilities in a user namespace count for what that namespace owns: who enters a new one without a new mount namespace has all capabilities, and none over the mounts around",
		Check: "readlink /proc/self/ns/user /proc/self/ns/mnt; lsns -t mnt -o NS,PID,COMMAND", Fix: "make both together: unshare --user --map-root-user --mount",
		Learn: "user-namespace", test: func(p *probe) verdict { return p.process().foreign("mnt") },
	}
)

func lacksAdmin(p *probe) verdict { return p.process().lacks(capSysAdmin) }

// seccompWhy is the rule, where a filter may be what refuses.
const (
	seccompWhy   = "a seccomp filter answers before the kernel looks at the arguments; Docker's refuses this call with EPERM to who has not the capability for it"
	seccompCheck = "grep Seccomp /proc/self/status"
	seccompFix   = "in a container: --security-opt seccomp=unconfined shows whether it is that; then a profile that allows the one call"
)
