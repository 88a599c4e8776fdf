package why

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// pivotErrors follow fs/namespace.c, SYSCALL_DEFINE2(pivot_root).
var pivotErrors = []Known{
	{
		Errno: unix.EINVAL, Calls: []string{"pivot_root"}, Objects: "[NEW_ROOT [PUT_OLD]]", Manual: "pivot_root(2)",
		Causes: []Cause{
			{
				Name: "new root is no mount point", Why: "the new root must be the root of a mount, since a mount takes the old one's place", Check: "findmnt NEW_ROOT",
				Fix: "make it one: mount --bind NEW_ROOT NEW_ROOT", Learn: "by-hand", test: pivotNewRoot,
			},
			{
				Name: "shared mounts", Why: "neither the parent of the new root, nor that of the current root, nor the mount of put_old may be shared: the change would spread to other namespaces", Check: "findmnt -o TARGET,PROPAGATION",
				Fix: "mount --make-rprivate /  (in a mount namespace of one's own)", Learn: "mount-namespace", test: pivotShared,
			},
			{
				Name: "root on the initial ramfs", Why: "the root that the kernel has begun with is mounted on nothing, and cannot be moved", Check: "findmnt -no FSTYPE /",
				Fix: "move to a tmpfs first, as live systems do: mount -t tmpfs, copy, switch_root", Learn: "by-hand", test: pivotRootfs,
			},
			{
				Name: "current root is no mount point", Why: "after a chroot into a plain directory there is no root mount that could change its place", Check: "stat -c %m /",
				Fix: "leave the chroot, or begin it with a bind mount", Learn: "by-hand", test: pivotChrooted,
			},
			{
				Name: "put_old outside the new root", Why: "the old root is put to a place at or below the new one", Check: "realpath NEW_ROOT PUT_OLD",
				Fix: "mkdir NEW_ROOT/old; or pivot_root . . inside it", Learn: "by-hand", test: pivotPutOld,
			},
			{
				Name: "locked, or of another namespace", Why: "a mount that came from a more privileged mount namespace is locked where it is, and one of another mount namespace is none of ours", Check: "readlink /proc/self/ns/mnt; findmnt NEW_ROOT",
				Fix: "bind it onto itself here: mount --rbind NEW_ROOT NEW_ROOT", Learn: "user-namespace", test: pivotLocked,
			},
		},
	},
	{
		Errno: unix.EBUSY, Calls: []string{"pivot_root"}, Objects: "NEW_ROOT [PUT_OLD]", Manual: "pivot_root(2)",
		Causes: []Cause{{
			Name: "on the current root's mount", Why: "neither the new root nor put_old may lie on the mount that is the root now", Check: "findmnt -T NEW_ROOT",
			Fix: "make the new root a mount of its own: mount --bind NEW_ROOT NEW_ROOT", Learn: "by-hand", test: pivotSame,
		}},
	},
	{
		Errno: unix.EPERM, Calls: []string{"pivot_root"}, Manual: "pivot_root(2)",
		Causes: []Cause{noAdmin, foreignMounts, {
			Name: "seccomp filter", Why: seccompWhy, Check: seccompCheck, Fix: seccompFix, Learn: "capabilities-seccomp",
			test: func(p *probe) verdict {
				if v := p.lacks(capSysAdmin); v.holds == Yes {
					return unknown("without CAP_SYS_ADMIN the kernel itself says EPERM as well")
				}
				return p.filtered(unix.EPERM, func() error { return unix.PivotRoot(nowhere, nowhere) })
			},
		}},
	},
}

func pivotNewRoot(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the new root: why EINVAL pivot_root NEW_ROOT PUT_OLD")
	}
	return notMountPoint(p)
}

func pivotShared(p *probe) verdict {
	all := p.mounts()
	var seen []string
	parentOf := func(path string) {
		id, _, err := look(path)
		m, found := byID(all, id)
		if err != nil || !found {
			return
		}
		if parent, found := byID(all, m.parent); found && parent.shared() {
			seen = append(seen, "the parent of "+path+", "+parent.String()+": ["+strings.Join(parent.optional, " ")+"]")
		}
	}
	parentOf(p.root())
	if p.object(0) == "" {
		if seen == nil {
			return unknown("the parent of / is not shared, or not to be seen; name the new root: why EINVAL pivot_root NEW_ROOT PUT_OLD")
		}
		return verdict{Yes, seen}
	}
	parentOf(p.object(0))
	old := p.object(1)
	if old == "" {
		old = p.object(0)
	}
	if m, _, err := p.on(old); err == nil && m.shared() {
		seen = append(seen, "the mount of put_old, "+m.String()+": ["+strings.Join(m.optional, " ")+"]")
	}
	if seen == nil {
		return no("%s: none of the three is shared", p.proc("mountinfo"))
	}
	return verdict{Yes, seen}
}

func pivotRootfs(p *probe) verdict {
	m, _, err := p.on(p.root())
	if err != nil {
		return unknown("%v", err)
	}
	return when(m.kind == "rootfs", "%s: / is %s", p.proc("mountinfo"), m.kind)
}

func pivotChrooted(p *probe) verdict {
	_, isRoot, err := look(p.proc("root"))
	if err != nil {
		return unknown("%v", err)
	}
	return when(!isRoot, "statx of %s: mount point %v", p.proc("root"), isRoot)
}

func pivotPutOld(p *probe) verdict {
	if len(p.objects) < 2 {
		return unknown("name both: why EINVAL pivot_root NEW_ROOT PUT_OLD")
	}
	top, old := whole(p.object(0)), whole(p.object(1))
	rel, err := filepath.Rel(top, old)
	outside := err != nil || rel == ".." || strings.HasPrefix(rel, "../")
	return when(outside, "%s, seen from %s: %s", old, top, rel)
}

func pivotLocked(p *probe) verdict {
	if !p.inUserNamespace() {
		return no("%s is the first user namespace: nothing is locked", p.proc("ns/user"))
	}
	if p.object(0) == "" {
		return unknown("name the new root")
	}
	return lockedMount(p)
}

func pivotSame(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the new root: why EBUSY pivot_root NEW_ROOT PUT_OLD")
	}
	root, _, err := look(p.root())
	if err != nil {
		return unknown("%v", err)
	}
	for _, o := range p.objects {
		id, _, err := look(o)
		if err != nil {
			return unknown("%v", err)
		}
		if id == root {
			return yes("statx: %s lies on mount %d, and so does /", o, id)
		}
	}
	return no("statx: none of %s lies on the root's mount", join(p.objects))
}

// existing is the nearest directory of a path that is there.
func existing(path string) string {
	for path != "/" && path != "." {
		if _, err := os.Lstat(path); err == nil {
			return path
		}
		path = filepath.Dir(path)
	}
	return path
}

// root is the process's.
func (p *probe) root() string {
	if p.self() {
		return "/"
	}
	return p.proc("root/")
}
