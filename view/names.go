package view

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// names reads the host and domain name of the UTS namespace. uname(2) gives those of the caller's: a thread goes there, and ends.
func (v *View) names() error {
	mine, err := uname(nil)
	if err != nil {
		return err
	}
	ns, err := os.Open(v.init.path("ns/uts"))
	if err != nil {
		return err
	}
	defer ns.Close()
	theirs, err := uname(ns)
	if err != nil {
		return err
	}
	v.Hostname = Value{Host: name(mine.Nodename), Container: name(theirs.Nodename)}
	v.Domainname = Value{Host: name(mine.Domainname), Container: name(theirs.Domainname)}
	if v.asks("uts") != ownNamespace {
		return nil
	}
	v.Hostname.Asked, v.Domainname.Asked = v.sight.Spec.Hostname, v.sight.Spec.Domainname
	for what, value := range map[string]*Value{"hostname": &v.Hostname, "domainname": &v.Domainname} {
		if value.Asked != "" {
			v.compare("names", what, value)
		}
	}
	return nil
}

func uname(ns *os.File) (u unix.Utsname, err error) {
	if ns == nil {
		return u, unix.Uname(&u)
	}
	done := make(chan error, 1)
	program.Apart(func() {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWUTS); err != nil {
			done <- fmt.Errorf("entering the UTS namespace: %w", err)
			return
		}
		done <- unix.Uname(&u)
	})
	return u, <-done
}

func name(field [65]byte) string { return unix.ByteSliceToString(field[:]) }

// Clock is one of the two that a time namespace shifts, time_namespaces(7).
type Clock struct {
	Name   string `json:"name"`   // monotonic, boottime
	Host   string `json:"host"`   // what the process that looks sees, as a duration
	Inside string `json:"inside"` // what the container's processes see
	Offset string `json:"offset"` // of the container's against the first time namespace's
	Asked  string `json:"asked"`
	Mark   string `json:"mark,omitempty"`
}

func (v *View) clocks() error {
	theirs, err := offsets(v.init)
	if err != nil {
		return err
	}
	mine, err := offsets(v.host)
	if err != nil {
		return err
	}
	for id, name := range map[int32]string{unix.CLOCK_MONOTONIC: "monotonic", unix.CLOCK_BOOTTIME: "boottime"} {
		var now unix.Timespec
		if err := unix.ClockGettime(id, &now); err != nil {
			return err
		}
		host := time.Duration(now.Nano())
		asked := mine[name] // what is not asked for is as with whoever asks
		if o, ok := v.sight.Spec.Linux.TimeOffsets[name]; ok {
			asked = offset(o)
		}
		c := Clock{Name: name, Host: host.String(), Inside: (host - mine[name] + theirs[name]).String(), Offset: theirs[name].String(), Asked: asked.String()}
		if c.Offset != c.Asked {
			c.Mark = v.differs("clocks", name, c.Offset, "asked %s", c.Asked)
		}
		v.Clocks = append(v.Clocks, c)
	}
	slices.SortFunc(v.Clocks, func(a, b Clock) int { return strings.Compare(b.Name, a.Name) })
	return nil
}

func offset(o specs.LinuxTimeOffset) time.Duration {
	return time.Duration(o.Secs)*time.Second + time.Duration(o.Nanosecs)
}

// offsets reads timens_offsets. It is about the time namespace of the process's children, which is its own once it has executed a program. A kernel
// without time namespaces has no such file.
func offsets(h *held) (map[string]time.Duration, error) {
	text, err := h.read("timens_offsets")
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := map[string]time.Duration{}
	for line := range strings.Lines(text) {
		var name string
		var o specs.LinuxTimeOffset
		if _, err := fmt.Sscan(line, &name, &o.Secs, &o.Nanosecs); err == nil {
			all[name] = offset(o)
		}
	}
	return all, nil
}

// Rlimit is a process's own bound, getrlimit(2), in the kernel's words.
type Rlimit struct {
	Name  string `json:"name"` // "Max open files", as in /proc/PID/limits
	Soft  Value  `json:"soft"`
	Hard  Value  `json:"hard"`
	Units string `json:"units"`
}

// rlimitNames are the names in /proc/PID/limits of what setrlimit(2) calls RLIMIT_*.
var rlimitNames = map[string]string{
	"RLIMIT_CPU": "Max cpu time", "RLIMIT_FSIZE": "Max file size", "RLIMIT_DATA": "Max data size", "RLIMIT_STACK": "Max stack size",
	"RLIMIT_CORE": "Max core file size", "RLIMIT_RSS": "Max resident set", "RLIMIT_NPROC": "Max processes", "RLIMIT_NOFILE": "Max open files",
	"RLIMIT_MEMLOCK": "Max locked memory", "RLIMIT_AS": "Max address space", "RLIMIT_LOCKS": "Max file locks", "RLIMIT_SIGPENDING": "Max pending signals",
	"RLIMIT_MSGQUEUE": "Max msgqueue size", "RLIMIT_NICE": "Max nice priority", "RLIMIT_RTPRIO": "Max realtime priority", "RLIMIT_RTTIME": "Max realtime timeout",
}

// bounds reads what bounds the first process by itself: its limits, and how readily it is killed when memory runs out.
func (v *View) bounds() error {
	theirs, err := v.init.read("limits")
	if err != nil {
		return err
	}
	host, err := callersLimits()
	if err != nil {
		return err
	}
	for _, l := range limits(theirs) {
		for _, h := range host {
			if h.Name == l.Name {
				l.Soft.Host, l.Hard.Host = h.Soft.Container, h.Hard.Container
			}
		}
		for _, asked := range v.sight.Spec.Process.Rlimits {
			if rlimitNames[asked.Type] == l.Name {
				l.Soft.Asked, l.Hard.Asked = rlimit(asked.Soft), rlimit(asked.Hard)
				v.compare("limits", l.Name+" (hard)", &l.Hard)
				if l.Soft.Container != l.Soft.Asked {
					l.Soft.Mark = v.differs("limits", l.Name+" (soft)", l.Soft.Container, "asked %s; a program may move it by itself, up to the hard one", l.Soft.Asked)
				}
			}
		}
		v.Rlimits = append(v.Rlimits, l)
	}
	return v.scores()
}

// callersLimits are those of who has called glassbox: Go's runtime changes a program's own (RLIMIT_NOFILE).
func callersLimits() ([]Rlimit, error) {
	caller, err := hold(strconv.Itoa(os.Getppid()))
	if err != nil {
		return nil, err
	}
	defer caller.close()
	text, err := caller.read("limits")
	return limits(text), err
}

func (v *View) scores() error {
	for file, value := range map[string]*Value{"oom_score": &v.OOMScore, "oom_score_adj": &v.OOMScoreAdj} {
		theirs, err := v.init.read(file)
		if err != nil {
			return err
		}
		mine, err := v.host.read(file)
		if err != nil {
			return err
		}
		value.Host, value.Container = strings.TrimSpace(mine), strings.TrimSpace(theirs)
	}
	if adj := v.sight.Spec.Process.OOMScoreAdj; adj != nil {
		v.OOMScoreAdj.Asked = strconv.Itoa(*adj)
		v.compare("limits", "oom_score_adj", &v.OOMScoreAdj)
	}
	return nil
}

func rlimit(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// limits reads /proc/PID/limits, whose columns have fixed places (fs/proc/base.c): "%-25s %-20s %-20s %-10s".
func limits(text string) []Rlimit {
	var all []Rlimit
	for line := range strings.Lines(text) {
		if len(line) < 67 || strings.HasPrefix(line, "Limit ") {
			continue
		}
		all = append(all, Rlimit{
			Name: strings.TrimSpace(line[:25]), Soft: Value{Container: strings.TrimSpace(line[26:46])},
			Hard: Value{Container: strings.TrimSpace(line[47:67])}, Units: strings.TrimSpace(line[67:]),
		})
	}
	return all
}
