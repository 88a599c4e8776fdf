package view

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"glassbox/test/need"
)

// Every value that view shows equals what is read independently: by lsns, nsenter, ip, findmnt, capsh, prlimit, and from /proc.
func TestEveryValueIsTheKernels(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct{ name, flags string }{
		{"plain", "--hostname deep --domainname example.org --ulimit core=1:2 --oom-score-adj 77 -v $DIR:/data:ro --tmpfs /scratch"},
		{"mapped", "--userns auto --read-only --user 7:8"},
		{"shared", "--network container:plain --cap-add SYS_ADMIN --security-opt seccomp=unconfined"},
		{"hosts", "--privileged --network host --pid host --uts host --ipc host --cgroupns host"},
		{"lonely", "--network none --cap-drop ALL --security-opt no-new-privileges"},
	} {
		pid := m.run(c.name, c.flags, "sh -c 'sleep 1000 & exec sleep 1000'")
		m.soon("two processes that sleep", func() bool {
			p := m.view(c.name).Processes
			return len(p) == 2 && p[0].Command == "sleep 1000" && p[1].Command == "sleep 1000"
		})
		t.Run(c.name, func(t *testing.T) {
			m := &machine{t}
			v := m.view(c.name)
			m.equal("pid", fmt.Sprint(v.Pid), pid)
			m.processes(v)
			m.namespaces(v, pid)
			m.mounts(v, pid)
			m.rights(v, pid)
			m.network(v, pid)
			m.rest(v, pid)
			m.resources(v, c.name)
			if len(v.Differences) > 0 {
				t.Errorf("it differs from what was asked for: %+v", v.Differences)
			}
		})
	}
}

func (m *machine) processes(v *View) {
	m.Helper()
	for i, p := range v.Processes {
		at := "/proc/" + fmt.Sprint(p.Pid)
		m.equal("processes' pid inside", fmt.Sprint(p.Inside), m.sh("awk '/^NSpid/ {print $NF}' "+at+"/status"))
		m.equal("user", fmt.Sprint(p.User), m.sh("stat -c %u "+at))
		m.soon("the state that ps says, which changes", func() bool {
			now := m.view(v.Name).Processes
			return len(now) == len(v.Processes) && now[i].State == m.sh("ps -o state= -p "+fmt.Sprint(p.Pid))
		})
		m.equal("command", p.Command, m.sh("ps -ww -o args= -p "+fmt.Sprint(p.Pid)))
		m.equal("parent", fmt.Sprint(p.Parent), strings.TrimSpace(m.sh("ps -o ppid= -p "+fmt.Sprint(p.Pid))))
		if !v.Users.All {
			m.equal("user inside", fmt.Sprint(p.UserIn), m.sh("nsenter -t "+fmt.Sprint(p.Pid)+" -U --preserve-credentials -- stat -c %u "+at))
		}
	}
	m.equal("processes of the group", pids(v), m.sh("sort -n "+v.Cgroup.Path+"/cgroup.procs | xargs"))
}

func pids(v *View) string {
	var all []int
	for _, p := range v.Processes {
		all = append(all, p.Pid)
	}
	slices.Sort(all)
	return strings.Trim(fmt.Sprint(all), "[]")
}

func (m *machine) namespaces(v *View, pid string) {
	m.Helper()
	if len(v.Namespaces) != 8 {
		m.Errorf("%d namespaces", len(v.Namespaces))
	}
	for _, n := range v.Namespaces {
		number := func(pid string) string { return m.sh("readlink /proc/" + pid + "/ns/" + n.Kind + " | tr -dc 0-9") }
		m.equal(n.Kind+" of the host", fmt.Sprint(n.Host), number("self"))
		m.equal(n.Kind, fmt.Sprint(n.Container), number(pid))
		m.equal(n.Kind+" by lsns", fmt.Sprint(n.Container), strings.TrimSpace(m.sh("lsns -n -o NS -t "+n.Kind+" -p "+pid)))
		m.equal(n.Kind+" same", fmt.Sprint(n.Same), fmt.Sprint(number("self") == number(pid)))
	}
}

func (m *machine) mounts(v *View, pid string) {
	m.Helper()
	var shown []string
	for _, mount := range v.Mounts {
		shown = append(shown, fmt.Sprintf("%s %s %s %d", mount.Place, mount.Type, mount.Options, mount.ID))
		if mount.Role == roleOther {
			m.Errorf("nobody asked for %s", mount.Place)
		}
	}
	m.equal("mounts", strings.Join(shown, "\n"), m.sh("findmnt -N "+pid+" -rn -o TARGET,FSTYPE,VFS-OPTIONS,ID"))
	m.equal("read-only", v.Root.ReadOnly.Container, fmt.Sprint(strings.HasPrefix(m.sh("findmnt -N "+pid+" -n -o OPTIONS /"), "ro")))
	m.equal("root type", v.Root.Type, m.sh("findmnt -N "+pid+" -n -o FSTYPE /"))
	m.equal("uid map", fmt.Sprintln(v.Users.UIDs[0].Inside, v.Users.UIDs[0].Outside, v.Users.UIDs[0].Size), m.sh("xargs </proc/"+pid+"/uid_map")+"\n")
	m.equal("gid map", fmt.Sprintln(v.Users.GIDs[0].Inside, v.Users.GIDs[0].Outside, v.Users.GIDs[0].Size), m.sh("xargs </proc/"+pid+"/gid_map")+"\n")
}

func (m *machine) rights(v *View, pid string) {
	m.Helper()
	for label, names := range map[string][]string{"CapEff": v.Capabilities.Effective, "CapBnd": v.Capabilities.Bounding, "CapAmb": v.Capabilities.Ambient,
		"CapPrm": v.Capabilities.Permitted, "CapInh": v.Capabilities.Inheritable} {
		decoded := m.sh("capsh --decode=$(awk '/^" + label + "/ {print $2}' /proc/" + pid + "/status)")
		_, list, _ := strings.Cut(decoded, "=")
		m.equal(label, strings.ToLower(strings.Join(names, ",")), list)
	}
	status := func(label string) string { return m.sh("awk '/^" + label + ":/ {print $2}' /proc/" + pid + "/status") }
	m.equal("no_new_privs", v.NoNewPrivs.Container, fmt.Sprint(status("NoNewPrivs") == "1"))
	m.equal("seccomp", v.Seccomp.Mode, map[string]string{"0": "disabled", "2": "filter"}[status("Seccomp")])
	m.equal("seccomp filters", fmt.Sprint(v.Seccomp.Filters), status("Seccomp_filters"))
	m.equal("seccomp's source", v.Seccomp.Source, "kernel")
	m.equal("label", v.Label.Container, m.sh("cat /proc/"+pid+"/attr/current 2>/dev/null | tr -d '\\0' || true"))
}

func (m *machine) network(v *View, pid string) {
	m.Helper()
	m.equal("network same", fmt.Sprint(v.Network.Same), fmt.Sprint(m.sh("readlink /proc/self/ns/net") == m.sh("readlink /proc/"+pid+"/ns/net")))
	if v.Network.Same {
		return
	}
	in := "nsenter -t " + pid + " -n "
	var links []struct {
		IfIndex   int
		IfName    string
		Address   string
		MTU       int
		Flags     []string
		LinkIndex int `json:"link_index"`
		AddrInfo  []struct {
			Local     string
			PrefixLen int
		} `json:"addr_info"`
	}
	if err := json.Unmarshal([]byte(m.sh(in+"ip -j addr")), &links); err != nil || len(links) != len(v.Network.Interfaces) {
		m.Fatalf("%d interfaces, ip has %d: %v", len(v.Network.Interfaces), len(links), err)
	}
	for i, l := range links {
		is := v.Network.Interfaces[i]
		m.equal("interface", fmt.Sprint(is.Index, is.Name, is.MAC, is.MTU, is.Up, is.Carrier),
			fmt.Sprint(l.IfIndex, l.IfName, strings.TrimPrefix(l.Address, "00:00:00:00:00:00"), l.MTU, slices.Contains(l.Flags, "UP"), slices.Contains(l.Flags, "LOWER_UP")))
		var addresses []string
		for _, a := range l.AddrInfo {
			addresses = append(addresses, a.Local+"/"+strconv.Itoa(a.PrefixLen))
		}
		m.equal("addresses", strings.Join(is.Addresses, " "), strings.Join(addresses, " "))
		if is.Peer != nil {
			m.equal("host's end", is.Peer.Name+" "+is.Peer.Master, m.sh("ip -j link | jq -r '.[] | select(.ifindex == "+fmt.Sprint(l.LinkIndex)+") | .ifname + \" \" + .master'"))
		} else if is.Kind == "veth" {
			m.Errorf("%s has no end on the host", is.Name)
		}
	}
	var routes []string
	for _, r := range v.Network.Routes {
		routes = append(routes, strings.TrimSpace(fmt.Sprint(r.To, " ", r.Gateway, " ", r.Device)))
	}
	said := m.sh(in + "ip -j route | jq -r '.[] | .dst + \" \" + (.gateway // \"\") + \" \" + .dev'")
	for _, line := range strings.Split(said, "\n") {
		if line != "" && !slices.Contains(routes, line) {
			m.Errorf("no route %q in %q", line, routes)
		}
	}
}

func (m *machine) rest(v *View, pid string) {
	m.Helper()
	m.equal("host name", v.Hostname.Container, m.sh("nsenter -t "+pid+" -u uname -n"))
	m.equal("domain name", v.Domainname.Container, m.sh("nsenter -t "+pid+" -u cat /proc/sys/kernel/domainname"))
	m.equal("host's name", v.Hostname.Host, m.sh("uname -n"))
	m.equal("oom_score_adj", v.OOMScoreAdj.Container, m.sh("cat /proc/"+pid+"/oom_score_adj"))
	m.equal("core, soft and hard", v.rlimit("Max core file size"), m.sh("prlimit -p "+pid+" --core -o SOFT,HARD --noheadings --raw"))
	m.equal("group", v.Cgroup.Path, m.sh("d=$(findmnt -n -t cgroup2 -o TARGET | tail -1); grep -o '/.*' /proc/"+pid+"/cgroup | tail -1 | sed s:^:$d:"))
	started, _ := strconv.ParseInt(m.sh("date -d \"$(ps -o lstart= -p "+pid+")\" +%s"), 10, 64)
	if d := v.Started.Unix() - started; d < -1 || d > 1 {
		m.Errorf("began at %v, ps says %d", v.Started, started)
	}
	for _, c := range v.Clocks {
		m.equal(c.Name, c.Offset, "0s")
	}
}

// resources are what the programs say that people type.
func (m *machine) resources(v *View, name string) {
	m.Helper()
	m.equal("threads", v.resource("threads").Container, m.sh("glassbox exec "+name+" sh -c 'ulimit -u'"))
	m.equal("threads on the host", v.resource("threads").Host, m.sh("prlimit --nproc -o SOFT --noheadings --raw"))
	for what, typed := range map[string]string{
		"memory": "free -b | awk '/^Mem/ {print $2}'", "swap": "free -b | awk '/^Swap/ {print $2}'", "processors": "nproc",
		"processors listed": "grep -c ^processor /proc/cpuinfo",
	} {
		r := v.resource(what)
		m.equal(what+" on the host", r.Host, m.sh(typed))
		m.equal(what, r.Container, m.sh("glassbox exec "+name+" "+typed))
	}
	if l := v.resource("load"); l.Host == "" || l.Container != l.Host {
		m.Errorf("load %q on the host, %q in the container", l.Host, l.Container)
	}
}

func (v *View) resource(what string) (r Resource) {
	for _, r := range v.Resources {
		if r.What == what {
			return r
		}
	}
	return r
}

func (v *View) rlimit(name string) string {
	for _, l := range v.Rlimits {
		if l.Name == name {
			return l.Soft.Container + " " + l.Hard.Container
		}
	}
	return "none"
}

// The group's limits, which only cgroup v2 has, and what is used of them.
func TestLimitsAreTheKernels(t *testing.T) {
	m := newMachine(t)
	need.CgroupV2(t, "memory", "pids", "cpu")
	m.run("web", "-m 64m --cpus 0.5 --pids-limit 40 --cpu-shares 512", "sh -c 'sleep 1000 & exec sleep 1000'")
	var v *View
	used := map[string]string{}
	m.soon("as many threads before and after", func() bool { // those of Go's come and go
		v = m.view("web")
		for _, l := range v.Cgroup.Limits {
			used[l.File] = l.Used
		}
		return used["pids.max"] == m.sh("cat "+v.Cgroup.Path+"/pids.current")
	})
	for _, l := range v.Cgroup.Limits {
		if l.Missing == "" {
			m.equal(l.File, l.Set, m.sh("cat "+v.Cgroup.Path+"/"+l.File))
		}
	}
	if n, _ := strconv.Atoi(used["memory.max"]); n < 1<<16 || n > 64<<20 {
		t.Errorf("memory used: %d", n)
	}
	if len(v.Differences) > 0 {
		t.Errorf("it differs from what was asked for: %+v", v.Differences)
	}
	m.bounds(v)
	for file, change := range map[string]string{"memory.max": "33554432", "pids.max": "7", "cpu.max": "20000 100000", "memory.high": "1000000", "cpu.weight": "77"} {
		m.sh("echo " + change + " >" + v.Cgroup.Path + "/" + file)
	}
	var lines []string
	for _, d := range m.view("web").Differences {
		lines = append(lines, d.Is+" "+d.Mark)
	}
	said := strings.Join(lines, "\n")
	for _, want := range []string{"32MiB != asked 64MiB", "7 != asked 40", "0.2 processors != asked 0.5 processors", "976KiB != asked nothing (no limit)", "77 != asked "} {
		if !strings.Contains(said, want) || len(lines) != 5 {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	m.sh("glassbox update --pids-limit 7 -m 32m --memory-swap 64m web")
	for _, d := range m.view("web").Differences {
		if d.What == "pids.max" || d.What == "memory.max" {
			t.Errorf("asked for by update: %+v", d)
		}
	}
}

// bounds: programs see the host's, and the lowest limit counts, which may be that of a group above.
func (m *machine) bounds(v *View) {
	m.Helper()
	memory, processors := v.resource("memory"), v.resource("processors")
	m.equal("memory that counts", memory.Bound, "67108864")
	m.equal("processors that count", processors.Bound+" "+processors.Group, "50000 100000 "+v.Cgroup.Path)
	m.equal("memory that is seen", memory.Container, memory.Host)
	above := filepath.Dir(v.Cgroup.Path)
	m.sh("echo 33554432 >" + above + "/memory.max")
	memory = m.view("web").resource("memory")
	m.equal("memory of the group above", memory.Bound+" "+memory.Group, "33554432 "+above)
	m.sh("echo max >" + above + "/memory.max")
	screen := m.sh("glassbox view web resources")
	for _, want := range []string{"memory.max: 64MiB, not seen inside", "cpu.max: 0.5 processors, not seen inside", "pids.max: 40, not seen inside"} {
		if !strings.Contains(strings.Join(strings.Fields(screen), " "), want) {
			m.Errorf("no %q in\n%s", want, screen)
		}
	}
}
