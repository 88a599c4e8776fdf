package lab

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/store"

	"golang.org/x/sys/unix"
)

// namespaceKinds are the links of /proc/PID/ns, namespaces(7).
var namespaceKinds = []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}

// process is one that /proc shows.
type process struct {
	pid        int
	name       string
	parent     int
	started    uint64 // ticks since boot
	terminal   bool   // it leads the session of a terminal: somebody types there
	namespaces []string
	group      string
	away       bool   // in a namespace that nothing older than the lesson is in
	from       string // its working directory
	attached   bool   // to a terminal
}

func (p process) String() string { return fmt.Sprintf("process %d (%s)", p.pid, p.name) }

// ownProc is an error where the numbers in /proc are not ours, so that nobody may be signalled by them. Where /proc was mounted for a PID
// namespace that this process is not in, /proc/self leads nowhere; in a child namespace without a /proc of its own it names another number.
func ownProc() error {
	self, err := os.Readlink("/proc/self")
	switch {
	case err != nil:
		return errors.New("/proc of this machine is covered by one of another PID namespace: glassbox lab reset takes it away, as umount /proc does")
	case self != strconv.Itoa(os.Getpid()):
		return errors.New("this shell is in a PID namespace of its own, and /proc shows the numbers of another one: leave it by exit")
	}
	return nil
}

// uncover takes away what was mounted over /proc for a PID namespace that this process is not in.
func uncover() error {
	for {
		if _, err := os.Readlink("/proc/self"); err == nil {
			return nil
		}
		if err := unix.Unmount("/proc", unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting what covers /proc: %w", err)
		}
	}
}

// processes are all that have not ended.
func processes() (all []process) {
	for _, pid := range pids() {
		s, err := readStat(pid)
		if err != nil || s.state == 'Z' || s.state == 'X' {
			continue
		}
		from, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		all = append(all, process{
			pid: pid, name: s.name, parent: s.parent, started: s.started, terminal: s.terminal != 0 && s.session == pid,
			namespaces: namespacesOf(pid), group: groupOf(pid), from: from, attached: s.terminal != 0,
		})
	}
	return all
}

// namespacesOf are a process's namespaces as the links name them, "net:[4026531840]". A kernel thread's are the first ones.
func namespacesOf(pid int) (all []string) {
	for _, kind := range namespaceKinds {
		if link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind)); err == nil {
			all = append(all, link)
		}
	}
	return all
}

// groupOf is a process's place in the hierarchy that systemd follows: cgroup v2, or where there is none its own.
func groupOf(pid int) (group string) {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if path, is := strings.CutPrefix(line, "0::"); is {
			return path
		}
		if _, path, is := strings.Cut(line, ":name=systemd:"); is {
			group = path
		}
	}
	return group
}

// noteOld writes to $LAB/.before the inode numbers of the namespaces that are older than the lesson, and of those of glassbox's containers: what has
// another was made by hand since. A number says so only as long as somebody is in the namespace: the kernel gives it away again.
func (d *Desk) noteOld(a *active) error {
	links := d.ofContainers()
	for link := range a.old(processes()) {
		links = append(links, link)
	}
	var numbers []string
	for _, link := range links {
		_, number, _ := strings.Cut(strings.TrimSuffix(link, "]"), "[")
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	return store.Replace(a.Dir+"/.before", []byte(strings.Join(numbers, "\n")+"\n"), 0o644)
}

// old are the namespaces that a process older than the lesson is in, or that had a name before it.
func (a *active) old(all []process) map[string]bool {
	old := map[string]bool{}
	for _, p := range all {
		if p.started <= a.Ticks {
			for _, n := range p.namespaces {
				old[n] = true
			}
		}
	}
	for _, n := range netnsLinks(a.Before.Netns) {
		old[n] = true
	}
	return old
}

// byHand are the processes that the lesson has made by hand: started after it began, and either in one of its control groups; or in the very
// control group from which the lesson's commands were given, and there without a terminal in the lesson's directory (whoever called
// unshare(CLONE_NEWPID) is itself where it was, and the namespace shows nowhere before it has a child), or in a namespace that nothing older
// is in, with a sign that it came from the learner's hands. The group alone is no such sign: where no systemd makes sessions, everybody who
// works on the machine is in the same one.
func (d *Desk) byHand(a *active, l *Lesson) []process {
	return slices.DeleteFunc(d.younger(a), func(p process) bool {
		here := !p.attached && a.inside(p.from)
		return !inGroups(l, p.group) && !(contains(a.Seats, p.group) && (here || p.away && a.started(p.pid)))
	})
}

// shell is the session that a command was given in: its number, and when the process began that has the same number and leads it.
type shell struct {
	Session int
	Started uint64 // ticks since boot
}

// shellOf is a process's, or an error where nobody leads it any more, so that its number may have become somebody else's.
func shellOf(pid int) (shell, error) {
	s, err := readStat(pid)
	if err != nil {
		return shell{}, err
	}
	leader, err := readStat(s.session)
	return shell{s.session, leader.started}, err
}

// started says whether a process, or one that it descends from, was started by the learner: in a session that commands of the lesson were given
// in, or from the lesson's directory. All that has lost its parent descends from PID 1, which therefore says nothing.
func (a *active) started(pid int) bool {
	for pid > 1 {
		if s, err := shellOf(pid); err == nil && slices.Contains(a.Shells, s) || a.fromHere(pid) {
			return true
		}
		s, err := readStat(pid)
		if err != nil {
			return false
		}
		pid = s.parent
	}
	return false
}

// inside says whether a path is that of the lesson's directory, or below it.
func (a *active) inside(path string) bool { return path == a.Dir || strings.HasPrefix(path, a.Dir+"/") }

// fromHere says whether a process stands in the lesson's directory, or stood there when it was started: shells export PWD and OLDPWD, and the
// lesson's own scripts have LAB.
func (a *active) fromHere(pid int) bool {
	if at, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil && a.inside(at) {
		return true
	}
	environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	for entry := range strings.SplitSeq(string(environ), "\x00") {
		name, value, _ := strings.Cut(entry, "=")
		if (name == "PWD" || name == "OLDPWD" || name == "LAB") && a.inside(value) {
			return true
		}
	}
	return false
}

// younger are the processes started after the lesson began, without ourselves.
func (d *Desk) younger(a *active) (found []process) {
	all := processes()
	old := a.old(all)
	for _, n := range d.ofContainers() {
		old[n] = true
	}
	for _, p := range all {
		p.away = slices.ContainsFunc(p.namespaces, func(n string) bool { return !old[n] })
		if p.started > a.Ticks && p.pid != os.Getpid() {
			found = append(found, p)
		}
	}
	return found
}

// ofContainers are the namespaces of glassbox's running containers.
func (d *Desk) ofContainers() (all []string) {
	list, _ := d.containers()
	for _, id := range list {
		if c, err := d.engine.Containers.Inspect(id, false); err == nil && c.State.Pid > 0 {
			all = append(all, namespacesOf(c.State.Pid)...)
		}
	}
	return all
}

func inGroups(l *Lesson, group string) bool {
	return slices.ContainsFunc(l.Uses, func(o Object) bool {
		return o.Kind == "cgroup" && (group == "/"+o.Name || strings.HasPrefix(group, "/"+o.Name+"/"))
	})
}

// endByHand kills them. Those that somebody types at, and those that this command was given from, are left, and named.
func (d *Desk) endByHand(a *active, l *Lesson) (ended []string, err error) {
	mine := ancestors(os.Getpid())
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var errs []error
		var killed int
		for _, p := range d.byHand(a, l) {
			if contains(mine, strconv.Itoa(p.pid)) || p.terminal {
				if !p.away { // in the directory, or in a group, which it will be moved out of
					continue
				}
				errs = append(errs, fmt.Errorf("%v is a shell that you type at: leave it by exit, then reset again", p))
				continue
			}
			if err := unix.Kill(p.pid, unix.SIGKILL); err == nil {
				killed++
				if text := p.String(); !contains(ended, text) {
					ended = append(ended, text)
				}
			}
		}
		if killed == 0 {
			return ended, errors.Join(errs...)
		}
		if time.Now().After(deadline) {
			return ended, fmt.Errorf("processes do not end: %v", d.byHand(a, l))
		}
	}
}

// ancestors are a process and those above it.
func ancestors(pid int) (all []string) {
	for range 1000 {
		all = append(all, strconv.Itoa(pid))
		s, err := readStat(pid)
		if err != nil || s.parent == 0 {
			break
		}
		pid = s.parent
	}
	return all
}
