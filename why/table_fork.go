package why

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// forkErrors follow kernel/fork.c, copy_process, and kernel/pid.c, alloc_pid.
var forkErrors = []Known{
	{
		Errno: unix.EAGAIN, Calls: []string{"clone", "fork", "clone3", "vfork", "pthread_create"}, Objects: "[PID]", Manual: "fork(2), cgroups(7)",
		Causes: []Cause{
			{
				Name: "pids limit of a cgroup", Why: "a group, or one above it, has as many processes and threads as its pids.max allows: docker run --pids-limit, systemd's TasksMax", Check: "cat /sys/fs/cgroup/GROUP/pids.current pids.max pids.events",
				Fix: "glassbox update --pids-limit N CONTAINER, or end what multiplies", Learn: "pids-limit", test: pidsFull,
			},
			{
				Name: "RLIMIT_NPROC", Why: "a user may have so many processes and threads, in all containers of the same user namespace together; CAP_SYS_RESOURCE and root of the host are exempt", Check: "ulimit -u; ps -L -U USER | wc -l",
				Fix: "--ulimit nproc=N", Learn: "pids-limit", test: processLimit,
			},
			{
				Name: "threads-max or pid_max", Why: "the whole machine has as many threads as kernel.threads-max allows, or numbers for them as kernel.pid_max has", Check: "sysctl kernel.threads-max kernel.pid_max; cut -d' ' -f4 /proc/loadavg", Fix: "sysctl -w kernel.pid_max=4194304", Learn: "pids-limit", test: machineFull,
			},
		},
	},
	{
		Errno: unix.ENOMEM, Calls: []string{"clone", "fork", "clone3", "vfork"}, Objects: "[PID]", Manual: "pid_namespaces(7), clone(2)",
		Causes: []Cause{
			{
				Name: "PID namespace without an init", Why: "when PID 1 of a PID namespace has ended nobody can be born in it any more; unshare --pid without --fork makes its first child PID 1, and with that child's end all is over", Check: "ls -l /proc/PID/ns/pid_for_children; strace -e trace=clone,clone3 ...",
				Fix: "unshare --pid --fork", Learn: "pid-namespace", test: initGone,
			},
			{
				Name: "no memory for it", Why: "the kernel found no memory for the new process's tables: the machine is full, or the group at its memory.max", Check: "free -m; cat /sys/fs/cgroup/GROUP/memory.current memory.max", Fix: "more memory, or fewer processes", Learn: "memory-limit", test: memoryFull,
			},
		},
	},
}

// groups are the directories of the process's cgroup that hold a controller's files, its own first, then those above it.
func (p *probe) groups(controller string) (dirs []string) {
	text, err := read(p.proc("cgroup"))
	if err != nil {
		return nil
	}
	all := p.of("self").mounts()
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) < 3 {
			continue
		}
		for _, m := range all {
			two := f[0] == "0" && m.kind == "cgroup2"
			one := f[0] != "0" && m.kind == "cgroup" && contains(strings.Split(f[1], ","), controller) && contains(m.super, controller)
			rel, below := strings.CutPrefix(f[2]+"/", strings.TrimSuffix(m.root, "/")+"/")
			if (!one && !two) || !below {
				continue
			}
			for dir := filepath.Join(m.point, rel); ; dir = filepath.Dir(dir) {
				dirs = append(dirs, dir)
				if dir == m.point || dir == "/" {
					break
				}
			}
			break
		}
	}
	return dirs
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

func pidsFull(p *probe) verdict {
	var seen []string
	for _, dir := range p.process().groups("pids") {
		most, limited := number(dir + "/pids.max")
		now, known := number(dir + "/pids.current")
		if !limited || !known {
			continue
		}
		line := fmt.Sprintf("%s: pids.current %d, pids.max %d", dir, now, most)
		if events, err := read(dir + "/pids.events"); err == nil {
			line += ", pids.events " + strings.Join(strings.Fields(events), " ")
		}
		if now >= most {
			return yes("%s", line)
		}
		seen = append(seen, line)
	}
	if seen == nil {
		return no("no group of %s has a pids.max with a number", p.process().proc("cgroup"))
	}
	return verdict{No, seen}
}

// limit is a soft limit of proc_pid_limits(5).
func (p *probe) limit(name string) (n uint64, unlimited, known bool) {
	text, err := read(p.proc("limits"))
	if err != nil {
		return 0, false, false
	}
	_, after, found := strings.Cut("\n"+text, "\n"+name)
	f := strings.Fields(after)
	if !found || len(f) == 0 {
		return 0, false, false
	}
	if f[0] == "unlimited" {
		return 0, true, true
	}
	n, err = strconv.ParseUint(f[0], 10, 64)
	return n, false, err == nil
}

func processLimit(p *probe) verdict {
	p = p.process()
	most, unlimited, known := p.limit("Max processes")
	switch {
	case !known:
		return unknown("%s could not be read", p.proc("limits"))
	case unlimited:
		return no("Max processes in %s: unlimited", p.proc("limits"))
	}
	ids := strings.Fields(p.status("Uid"))
	if len(ids) == 0 {
		return unknown("%s could not be read", p.proc("status"))
	}
	line := fmt.Sprintf("Max processes in %s: %d; threads of user %s: %d", p.proc("limits"), most, ids[0], threadsOf(ids[0]))
	if ids[0] == "0" && !p.inUserNamespace() {
		return no("%s; root of the host is exempt", line)
	}
	if p.lacks(unix.CAP_SYS_RESOURCE).holds == No && !p.inUserNamespace() {
		return no("%s; CAP_SYS_RESOURCE is exempt", line)
	}
	return when(threadsOf(ids[0]) >= most, "%s", line)
}

// threadsOf counts the threads of all processes of a real user that /proc shows.
func threadsOf(uid string) (n uint64) {
	for _, pid := range pids() {
		one := &probe{pid: itoa(pid)}
		if f := strings.Fields(one.status("Uid")); len(f) > 0 && f[0] == uid {
			t, _ := strconv.ParseUint(one.status("Threads"), 10, 64)
			n += t
		}
	}
	return n
}

func machineFull(*probe) verdict {
	text, err := read("/proc/loadavg")
	f := strings.Fields(text)
	if err != nil || len(f) < 4 {
		return unknown("/proc/loadavg could not be read")
	}
	_, count, _ := strings.Cut(f[3], "/")
	now, _ := strconv.ParseUint(count, 10, 64)
	threads, _ := number("/proc/sys/kernel/threads-max")
	numbers, _ := number("/proc/sys/kernel/pid_max")
	return when(now >= threads || now+300 >= numbers, "threads in /proc/loadavg: %d; kernel.threads-max %d, kernel.pid_max %d", now, threads, numbers)
}

func initGone(p *probe) verdict {
	p = p.process()
	if p.self() {
		return unknown("name the process that cannot fork: why ENOMEM clone PID (from another terminal: it cannot start glassbox either)")
	}
	v := otherChildren(p)
	if v.holds != Yes {
		return v
	}
	ino, known := p.namespace("pid_for_children")
	if !known {
		return no("%s; the next child will be its PID 1", v.evidence[0])
	}
	for _, pid := range pids() {
		other := &probe{pid: itoa(pid)}
		levels := strings.Fields(other.status("NSpid"))
		if its, _ := other.namespace("pid"); its == ino && len(levels) > 0 && levels[len(levels)-1] == "1" {
			return no("%s: process %s is PID 1 there", v.evidence[0], named(pid))
		}
	}
	return verdict{Yes, append(v.evidence, "no process of /proc is PID 1 there")}
}

func memoryFull(p *probe) verdict {
	for _, dir := range p.process().groups("memory") {
		most, limited := number(dir + "/memory.max")
		now, known := number(dir + "/memory.current")
		if limited && known && now+now/64 >= most {
			return yes("%s: memory.current %d, memory.max %d", dir, now, most)
		}
	}
	text, err := read("/proc/meminfo")
	if err != nil {
		return unknown("%v", err)
	}
	_, after, _ := strings.Cut(text, "MemAvailable:")
	f := strings.Fields(after)
	if len(f) == 0 {
		return unknown("/proc/meminfo has no MemAvailable")
	}
	kib, _ := strconv.ParseUint(f[0], 10, 64)
	return when(kib < 16<<10, "MemAvailable in /proc/meminfo: %d kB; no group of the process is at its memory.max", kib)
}

// there says whether a file exists.
func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
