package why

import (
	"slices"
	"strconv"
	"strings"

	"glassbox/linux"

	"github.com/xrash/smetrics"
	"golang.org/x/sys/unix"
)

func meaning(e unix.Errno) linux.Errno { return linux.Meaning(int(e)) }

// errnos are all error numbers that a kernel answers with.
const errnos = 133

// Errno reads EPERM, 1, -1 as the kernel's own code has it, or "Operation not permitted".
func Errno(text string) (unix.Errno, bool) {
	if n, err := strconv.Atoi(text); err == nil {
		e := meaning(unix.Errno(max(n, -n)))
		return unix.Errno(e.Number), e.Name != ""
	}
	switch strings.ToUpper(text) {
	case "EWOULDBLOCK":
		return unix.EAGAIN, true
	case "ENOTSUP":
		return unix.EOPNOTSUPP, true
	}
	for n := 1; n <= errnos; n++ {
		if e := meaning(unix.Errno(n)); e.Name != "" && (strings.EqualFold(e.Name, text) || strings.EqualFold(e.Message, text)) {
			return unix.Errno(n), true
		}
	}
	return 0, false
}

// plain is a call's name as the table has it: without a manual's section, or what people put before and after.
func plain(call string) string {
	call, _, _ = strings.Cut(call, "(")
	call = strings.ToLower(strings.TrimPrefix(call, "sys_"))
	if i := strings.LastIndexByte(call, '/'); i >= 0 {
		call = call[i+1:]
	}
	switch call {
	case "subtree_control":
		return "cgroup.subtree_control"
	case "umount2":
		return "umount"
	case "overlayfs":
		return "overlay"
	case "proc_mount", "mount_proc":
		return "proc"
	case "cgroup2":
		return "cgroup"
	}
	for _, controller := range []string{"memory.", "cpu.", "pids.", "io.", "cpuset.", "hugetlb."} {
		if strings.HasPrefix(call, controller) {
			return "cgroup"
		}
	}
	return call
}

func (k *Known) answers(call string) bool {
	return slices.ContainsFunc(k.Calls, func(c string) bool { return strings.EqualFold(c, call) })
}

// find is the entry of an error and a call.
func find(errno unix.Errno, call string) *Known {
	for _, k := range all() {
		if k.Errno == errno && k.answers(call) {
			return k
		}
	}
	return nil
}

// Pair is an error and the calls that answer with it.
type Pair struct {
	Errno   string
	Message string
	Calls   []string
	Objects string `json:",omitempty"`
	Causes  []string
}

// Pairs are all that is known, by error.
func Pairs() (pairs []Pair) {
	for _, k := range all() {
		pairs = append(pairs, k.pair())
	}
	slices.SortStableFunc(pairs, func(a, b Pair) int { return strings.Compare(a.Errno, b.Errno) })
	return pairs
}

func (k *Known) pair() Pair {
	e := meaning(k.Errno)
	p := Pair{Errno: e.Name, Message: e.Message, Calls: k.Calls, Objects: k.Objects}
	for _, c := range k.Causes {
		p.Causes = append(p.Causes, c.Name)
	}
	return p
}

// nearest are the entries that may have been meant: of the same call, of the same error, and of calls with a name like it.
func nearest(errno unix.Errno, call string) (pairs []Pair) {
	const most = 8
	for _, like := range []func(*Known) bool{
		func(k *Known) bool { return k.answers(call) },
		func(k *Known) bool {
			return k.Errno == errno && slices.ContainsFunc(k.Calls, func(c string) bool { return smetrics.JaroWinkler(c, call, 0.7, 4) > 0.85 })
		},
		func(k *Known) bool { return k.Errno == errno },
		func(k *Known) bool {
			return slices.ContainsFunc(k.Calls, func(c string) bool { return smetrics.JaroWinkler(c, call, 0.7, 4) > 0.85 })
		},
	} {
		for _, k := range all() {
			if p := k.pair(); like(k) && len(pairs) < most && !slices.ContainsFunc(pairs, func(o Pair) bool { return o.Errno == p.Errno && o.Calls[0] == p.Calls[0] }) {
				pairs = append(pairs, p)
			}
		}
	}
	return pairs
}
