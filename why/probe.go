package why

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glassbox/binfmt"
	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// probe is who makes the call, and on what: what a test looks at.
type probe struct {
	pid     string // "self", or the number of another process: whose rights and limits count
	objects []string
	open    binfmt.Opener // of the tree in which a program would run
	runs    bool          // the object is a file in that tree
	call    string        // by its plain name
	born    bool          // the call is made in a user namespace that this process makes
}

func (p *probe) object(i int) string {
	if i < len(p.objects) {
		return p.objects[i]
	}
	return ""
}

// of is the probe of another process.
func (p *probe) of(pid string) *probe {
	return &probe{pid: pid, objects: p.objects, open: p.open, runs: p.runs, call: p.call}
}

// self says whether what this process tries, and what /proc/sys shows it, counts.
func (p *probe) self() bool { return p.pid == "self" }

// elsewhere is what a test says that could only try as this process.
func (p *probe) elsewhere() verdict {
	if p.pid == "none" {
		return unknown("the container does not run: there is no process that could be asked")
	}
	return unknown("process %s makes the call, and what this one may do says nothing of it", p.pid)
}

// process is the one that an object names, or the caller.
func (p *probe) process() *probe {
	if _, err := strconv.Atoi(p.object(0)); err == nil {
		return p.of(p.object(0))
	}
	return p
}

// proc is a file of the process.
func (p *probe) proc(name string) string { return "/proc/" + p.pid + "/" + name }

// read is a small file without its end of line.
func read(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimSuffix(string(b), "\n"), err
}

// number reads a file that holds one; known is false where there is none, or "max".
func number(path string) (n uint64, known bool) {
	text, err := read(path)
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	return n, err == nil
}

// sysctl reads a setting by its dotted name.
func sysctl(name string) (string, bool) {
	text, err := read("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	return strings.Join(strings.Fields(text), " "), err == nil
}

// status is one line of proc_pid_status(5).
func (p *probe) status(field string) string {
	text, err := read(p.proc("status"))
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut("\n"+text, "\n"+field+":")
	value, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(value)
}

// lacks tests whether a capability is missing among the effective ones.
func (p *probe) lacks(capability int) verdict {
	mask, err := strconv.ParseUint(p.status("CapEff"), 16, 64)
	if err != nil {
		return unknown("%s could not be read", p.proc("status"))
	}
	name := linux.Capabilities.Of(uint64(capability))
	if mask&(1<<capability) != 0 {
		return no("CapEff in %s: %016x, with %s", p.proc("status"), mask, name)
	}
	return yes("CapEff in %s: %016x, without %s (bit %d)", p.proc("status"), mask, name, capability)
}

// namespace is the inode of one.
func (p *probe) namespace(kind string) (uint64, bool) {
	var s unix.Stat_t
	if unix.Stat(p.proc("ns/"+kind), &s) != nil {
		return 0, false
	}
	return s.Ino, true
}

// initialUser is the inode of the first user namespace: PROC_USER_INIT_INO of the kernel's include/linux/proc_ns.h.
const initialUser = 0xEFFFFFFD

// inUserNamespace says whether the process is in another user namespace than the first.
func (p *probe) inUserNamespace() bool {
	ino, known := p.namespace("user")
	return known && ino != initialUser
}

// nsGetUserns is NS_GET_USERNS, ioctl_nsfs(2).
const nsGetUserns = 0xb701

// foreign tests whether a namespace of the process belongs to another user namespace than its own: there its capabilities do not count.
func (p *probe) foreign(kind string) verdict {
	mine, known := p.namespace("user")
	fd, err := unix.Open(p.proc("ns/"+kind), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if !known || err != nil {
		return unknown("%s could not be read", p.proc("ns"))
	}
	defer unix.Close(fd)
	owner, err := unix.IoctlRetInt(fd, nsGetUserns)
	if err == unix.EPERM {
		return yes("%s belongs to a user namespace above that of the process, user:[%d] (ioctl NS_GET_USERNS: EPERM)", p.proc("ns/"+kind), mine)
	}
	if err != nil {
		return unknown("ioctl NS_GET_USERNS on %s: %v", p.proc("ns/"+kind), err)
	}
	defer unix.Close(owner)
	var s unix.Stat_t
	if err := unix.Fstat(owner, &s); err != nil {
		return unknown("%v", err)
	}
	return when(s.Ino != mine, "%s belongs to user:[%d]; the process is in user:[%d]", p.proc("ns/"+kind), s.Ino, mine)
}

// filtered says whether a seccomp filter is in force, and with `try`, a harmless form of the call that would otherwise be answered differently,
// whether that is what refuses it.
func (p *probe) filtered(errno unix.Errno, try func() error) verdict {
	mode := p.status("Seccomp")
	if mode == "" {
		return unknown("%s has no line Seccomp", p.proc("status"))
	}
	line := fmt.Sprintf("Seccomp in %s: %s", p.proc("status"), mode)
	switch {
	case mode != "2":
		return no("%s (2 would be a filter)", line)
	case !p.self() || try == nil:
		return unknown("%s: a filter is in force, and what it refuses cannot be read back", line)
	}
	if err := try(); err == errno {
		return verdict{Yes, []string{line + ", a filter is in force", "a call that cannot succeed, and needs no right, is answered " + meaning(errno).Name + " all the same"}}
	}
	return verdict{No, []string{line + ", a filter is in force", "but it lets the call pass: one that cannot succeed gets the kernel's own answer"}}
}

// pids are all processes that /proc shows, in order.
func pids() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// named is "4711 (sleep)".
func named(pid int) string {
	comm, err := read(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return strconv.Itoa(pid)
	}
	return fmt.Sprintf("%d (%s)", pid, comm)
}

// list names the first few.
func list(all []string) string {
	const most = 6
	if len(all) <= most {
		return join(all)
	}
	return fmt.Sprintf("%s and %d more", join(all[:most]), len(all)-most)
}

func join(all []string) string { return strings.Join(all, ", ") }

// whole is a path without links, as the mount table has it.
func whole(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	return abs
}
