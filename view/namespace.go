package view

import (
	"path"
	"strconv"
	"strings"

	"glassbox/monitor"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// kinds are the files of proc_pid_ns(5).
var kinds = []string{"pid", "mnt", "uts", "ipc", "net", "user", "cgroup", "time"}

// Namespace is one of the eight. Inode numbers are those of proc_pid_ns(5): two processes are in one namespace if the numbers are equal.
type Namespace struct {
	Kind      string `json:"kind"` // pid, mnt, ...; pid_for_children, time_for_children where they differ from pid and time
	Host      uint64 `json:"host"`
	Container uint64 `json:"container"`
	Same      bool   `json:"same"`
	Asked     string `json:"asked"` // "its own", "the host's", or the path of the one that is shared
	Mark      string `json:"mark,omitempty"`
}

// What a spec may ask of a namespace beside a path.
const (
	ownNamespace  = "its own"
	hostNamespace = "the host's"
)

// specified is what config.json calls the kinds.
var specified = map[string]specs.LinuxNamespaceType{
	"pid": specs.PIDNamespace, "mnt": specs.MountNamespace, "uts": specs.UTSNamespace, "ipc": specs.IPCNamespace,
	"net": specs.NetworkNamespace, "user": specs.UserNamespace, "cgroup": specs.CgroupNamespace, "time": specs.TimeNamespace,
}

// asks is what was asked of a namespace.
func (v *View) asks(kind string) string {
	for _, n := range v.sight.Spec.Linux.Namespaces {
		if n.Type == specified[kind] {
			if n.Path == "" {
				return ownNamespace
			}
			return n.Path
		}
	}
	return hostNamespace
}

func (v *View) namespaces() error {
	for _, kind := range kinds {
		n, err := v.namespace(kind)
		if err != nil {
			return err
		}
		v.Namespaces = append(v.Namespaces, n)
		if kind != "pid" && kind != "time" {
			continue
		}
		later, err := v.namespace(kind + "_for_children")
		if err == nil && (later.Container != n.Container || later.Host != n.Host) { // until its first process is made a pid namespace cannot be read
			later.Asked = n.Asked
			v.Namespaces = append(v.Namespaces, later)
		}
	}
	for i := range v.Namespaces {
		if n := &v.Namespaces[i]; !strings.HasSuffix(n.Kind, "_for_children") {
			v.judge(n)
		}
	}
	return nil
}

func (v *View) namespace(kind string) (Namespace, error) {
	n := Namespace{Kind: kind, Asked: v.asks(kind)}
	var err error
	if n.Container, err = inode(v.init, kind); err != nil {
		return n, err
	}
	if n.Host, err = inode(v.host, kind); err != nil {
		return n, err
	}
	n.Same = n.Host == n.Container
	return n, nil
}

// inode is the number in a link such as "net:[4026531840]".
func inode(h *held, kind string) (uint64, error) {
	link, err := h.link("ns/" + kind)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSuffix(link[strings.IndexByte(link, '[')+1:], "]"), 10, 64)
}

// judge marks a namespace that is another one than was asked for.
func (v *View) judge(n *Namespace) {
	switch n.Asked {
	case ownNamespace:
		if n.Same {
			n.Mark = v.differs("namespaces", n.Kind, "the host's", "asked its own")
		}
	case hostNamespace:
		if !n.Same {
			n.Mark = v.differs("namespaces", n.Kind, "another", "asked the host's")
		}
	default:
		if other, known := v.joined(n.Asked); known && other != n.Container {
			n.Mark = v.differs("namespaces", n.Kind, "another", "asked %s", n.Asked)
		}
	}
}

// joined is the namespace at a path /proc/PID/ns/KIND, unless that process has ended, and its number is another's.
func (v *View) joined(at string) (number uint64, known bool) {
	pid, err := strconv.Atoi(path.Base(path.Dir(path.Dir(at))))
	if err != nil {
		return 0, false
	}
	donor, err := monitor.Identify(pid)
	if err != nil || donor.PidStart > v.init.began() {
		return 0, false
	}
	h, err := hold(strconv.Itoa(pid))
	if err != nil {
		return 0, false
	}
	defer h.close()
	number, err = inode(h, path.Base(at))
	return number, err == nil
}
