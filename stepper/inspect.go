package stepper

import (
	"bytes"
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"strings"

	"glassbox/program"
	"glassbox/screen"

	"golang.org/x/sys/unix"
)

// inspect shows what the kernel holds of the process now.
func (s *Stepper) inspect(stop program.Stop) error {
	if stop.Pid == 0 {
		s.say("There is no process yet: the call that makes it is clone3.")
		return nil
	}
	p := process("/proc/" + strconv.Itoa(stop.Pid))
	fields := []screen.Field{{Label: "process", Value: p.numbers(stop.Pid)}}
	for _, f := range []struct {
		label string
		value func() (string, error)
	}{
		{"namespaces", p.namespaces}, {"hostname", p.hostname}, {"root", p.root}, {"mounts", p.mounts}, {"ids", p.ids}, {"rights", p.rights}, {"cgroup", p.cgroup},
	} {
		value, err := f.value()
		if err != nil {
			value = "cannot be read: " + err.Error()
		}
		fields = append(fields, screen.Field{Label: f.label, Value: screen.Shown(brief(value))})
	}
	w := screen.New(s.Out, s.Style)
	w.Fields(fields...)
	return w.Flush()
}

// process is its directory in the host's /proc.
type process string

// status reads a line of proc_pid_status(5).
func (p process) status(name string) string {
	text, err := os.ReadFile(string(p) + "/status")
	if err != nil {
		return ""
	}
	_, after, _ := bytes.Cut(text, []byte("\n"+name+":"))
	value, _, _ := bytes.Cut(after, []byte("\n"))
	return strings.Join(strings.Fields(string(value)), " ")
}

func (p process) numbers(pid int) string {
	all := strings.Fields(p.status("NSpid"))
	if len(all) < 2 {
		return fmt.Sprintf("%d, as the host counts", pid)
	}
	return fmt.Sprintf("%d on the host, %s inside", pid, all[len(all)-1])
}

// namespaces tells the process's own from ours.
func (p process) namespaces() (string, error) {
	var own, shared []string
	for _, name := range []string{"pid", "mnt", "uts", "ipc", "net", "user", "cgroup", "time"} {
		its, err := os.Readlink(string(p) + "/ns/" + name)
		if err != nil {
			return "", err
		}
		if ours, err := os.Readlink("/proc/self/ns/" + name); err == nil && its == ours {
			shared = append(shared, name)
		} else {
			own = append(own, name)
		}
	}
	return "its own: " + listed(own) + "; the host's: " + listed(shared), nil
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

// hostname is what the process's UTS namespace says: a thread of ours enters it, and ends there.
func (p process) hostname() (string, error) {
	var name unix.Utsname
	done := make(chan error, 1)
	program.Apart(func() {
		done <- func() error {
			ns, err := os.Open(string(p) + "/ns/uts")
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWUTS); err != nil {
				return os.NewSyscallError("setns", err)
			}
			return unix.Uname(&name)
		}()
	})
	err := <-done
	return unix.ByteSliceToString(name.Nodename[:]), err
}

// root says whether the process's root is still the host's.
func (p process) root() (string, error) {
	var its, ours unix.Stat_t
	if err := unix.Stat(string(p)+"/root/.", &its); err != nil {
		return "", &os.PathError{Op: "stat", Path: string(p) + "/root", Err: err}
	}
	if err := unix.Stat("/", &ours); err != nil {
		return "", &os.PathError{Op: "stat", Path: "/", Err: err}
	}
	if its.Dev == ours.Dev && its.Ino == ours.Ino {
		return "the host's", nil
	}
	mounts, err := p.mountinfo()
	for _, m := range mounts {
		if m.at == "/" {
			return "its own: " + m.kind, err
		}
	}
	return "its own", err
}

type mount struct{ at, kind string }

// mountinfo reads proc_pid_mountinfo(5).
func (p process) mountinfo() ([]mount, error) {
	text, err := os.ReadFile(string(p) + "/mountinfo")
	if err != nil {
		return nil, err
	}
	var all []mount
	for line := range strings.Lines(string(text)) {
		left, right, _ := strings.Cut(line, " - ")
		if at, kind := strings.Fields(left), strings.Fields(right); len(at) > 4 && len(kind) > 0 {
			all = append(all, mount{at[4], kind[0]})
		}
	}
	return all, nil
}

// mounts are how many there are, and the newest.
func (p process) mounts() (string, error) {
	all, err := p.mountinfo()
	if err != nil || len(all) == 0 {
		return "none", err
	}
	const shown = 4
	var last []string
	for _, m := range all[max(0, len(all)-shown):] {
		last = append(last, m.at+" ("+m.kind+")")
	}
	return fmt.Sprintf("%d, at last %s", len(all), strings.Join(last, ", ")), nil
}

// ids are those that the process has on the host, and what they are mapped from.
func (p process) ids() (string, error) {
	first := func(name string) string {
		id, _, _ := strings.Cut(p.status(name), " ")
		return id
	}
	maps, err := os.ReadFile(string(p) + "/uid_map")
	if err != nil {
		return "", err
	}
	mapped := strings.Join(strings.Fields(string(maps)), " ")
	switch mapped {
	case "":
		mapped = "no id is mapped yet"
	case "0 0 4294967295":
		mapped = "inside as on the host"
	default:
		mapped = "uid_map " + mapped
	}
	return fmt.Sprintf("uid %s, gid %s on the host; %s", first("Uid"), first("Gid"), mapped), nil
}

// rights are what the process may do.
func (p process) rights() (string, error) {
	effective, err := strconv.ParseUint(p.status("CapEff"), 16, 64)
	if err != nil {
		return "", err
	}
	bounding, err := strconv.ParseUint(p.status("CapBnd"), 16, 64)
	if err != nil {
		return "", err
	}
	filter := "no seccomp filter"
	if n := p.status("Seccomp_filters"); n != "0" && n != "" {
		filter = "seccomp filters: " + n
	}
	return fmt.Sprintf("%d capabilities, of %d that can be had; no_new_privs %s; %s", bits.OnesCount64(effective), bits.OnesCount64(bounding), p.status("NoNewPrivs"), filter), nil
}

func (p process) cgroup() (string, error) {
	text, err := os.ReadFile(string(p) + "/cgroup")
	for line := range strings.Lines(string(text)) {
		if path, is := strings.CutPrefix(line, "0::"); is {
			return strings.TrimSpace(path), nil
		}
	}
	return "none of cgroup v2", err
}
