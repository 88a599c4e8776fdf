package view

import (
	"fmt"
	"strings"

	"glassbox/screen"
)

// section draws one part in full.
func (v *View) section(s *screen.Screen, name string) {
	s.Section("%s", heading(name))
	switch name {
	case "processes":
		v.processTable(s, len(v.Processes))
		for _, p := range v.Processes {
			if len(p.Elsewhere) > 0 {
				s.Say("Process %d is in other namespaces than the first one: %s", p.Pid, strings.Join(p.Elsewhere, " "))
			}
		}
	case "namespaces":
		v.namespaceTable(s)
	case "mounts":
		v.mountTable(s)
	case "users":
		v.userTable(s)
	case "rights":
		v.rightsFields(s)
	case "cgroup":
		v.groupFields(s)
	case "network":
		v.networkTables(s)
	case "names":
		s.Table([]string{"NAME", "HOST", "CONTAINER"}, [][]screen.Cell{valueRow("host", v.Hostname), valueRow("domain", v.Domainname)})
	case "clocks":
		v.clockTable(s)
	case "limits":
		v.rlimitTable(s)
	case "resources":
		v.resourceTable(s)
	}
}

func heading(name string) string {
	return map[string]string{
		"processes": "Processes", "namespaces": "Namespaces: equal numbers are one namespace, namespaces(7)", "mounts": "Mounts, as the container sees them, mount_namespaces(7)",
		"users": "Users: whom a number inside is on the host, user_namespaces(7)", "rights": "Rights of the first process, capabilities(7) and seccomp(2)",
		"cgroup": "Control group, cgroups(7)", "network": "Network, network_namespaces(7)", "names": "Names of the UTS namespace, uts_namespaces(7)",
		"clocks": "Clocks, time_namespaces(7)", "limits": "The first process's own limits, getrlimit(2)",
		"resources": "Resources: what programs are told, and what counts, cgroups(7)",
	}[name]
}

func valueRow(label string, value Value) []screen.Cell {
	return []screen.Cell{{Text: label}, {Text: quoted(screen.Shown(value.Host))}, marked(quoted(screen.Shown(value.Container)), value.Mark)}
}

func (v *View) namespaceTable(s *screen.Screen) {
	var rows [][]screen.Cell
	for _, n := range v.Namespaces {
		rows = append(rows, append(screen.Row(n.Kind, fmt.Sprint(n.Host), fmt.Sprint(n.Container), same(n.Same)), marked(n.Asked, n.Mark)))
	}
	s.Table([]string{"NAMESPACE", "HOST", "CONTAINER", "THEY ARE", "ASKED FOR"}, rows)
}

func (v *View) mountTable(s *screen.Screen) {
	var rows [][]screen.Cell
	host := 0
	for _, m := range v.Mounts {
		if m.Role == roleHost && v.Waits != nil {
			host++
			continue
		}
		role := m.Role
		if m.Covered {
			role += ", covered"
		}
		rows = append(rows, append(screen.Row(screen.Clip(screen.Shown(m.Place), 34), m.Type, strings.SplitN(m.Options, ",", 2)[0], m.propagation()), marked(role, m.Mark)))
	}
	if len(rows) > 0 {
		s.Table([]string{"PLACE", "TYPE", "MODE", "PROPAGATION", "WHY IT IS THERE"}, rows)
	}
	if host > 0 {
		s.Say("%s as on the host: it has not let go of the host's tree yet.", several(host, "mount"))
	}
	for _, d := range v.Differences {
		if d.Section == "mounts" && d.Is == "nothing" {
			s.Tell(screen.Notice, fmt.Sprintf("%s: nothing there %s", screen.Shown(d.What), d.Mark))
		}
	}
	if m := v.at("/"); m != nil && !v.Root.Same {
		s.Blank()
		fields := []screen.Field{{Label: "root", Value: m.Type + " " + m.Options}}
		for option := range strings.SplitSeq(m.Super, ",") {
			if key, value, ok := strings.Cut(option, "="); ok {
				fields = append(fields, screen.Field{Label: key, Value: screen.Shown(strings.ReplaceAll(value, ":/", " /"))})
			}
		}
		s.Fields(fields...)
	}
}

// propagation in short: the numbers of peer groups say little to people.
func (m *Mount) propagation() string {
	var words []string
	for _, w := range strings.Fields(m.Propagation) {
		kind, _, _ := strings.Cut(w, ":")
		words = append(words, strings.Replace(kind, "master", "slave", 1))
	}
	return strings.Join(words, "+")
}

func (v *View) userTable(s *screen.Screen) {
	if v.Users.All {
		s.Say("No user namespace of its own: each number is the same user inside and outside, and root inside is the host's root.")
		return
	}
	var rows [][]screen.Cell
	for _, part := range []struct {
		kind string
		all  []Range
	}{{"users", v.Users.UIDs}, {"groups", v.Users.GIDs}} {
		for _, r := range part.all {
			rows = append(rows, screen.Row(part.kind, span(r.Inside, r.Size), span(r.Outside, r.Size)))
		}
	}
	s.Table([]string{"WHOSE", "INSIDE", "ON THE HOST"}, rows)
	if v.Users.Mark != "" {
		s.Tell(screen.Notice, v.Users.Mark)
	}
}

func span(from, size int64) string { return fmt.Sprintf("%d to %d", from, from+size-1) }

func (v *View) rightsFields(s *screen.Screen) {
	c := v.Capabilities
	list := func(names []string) string { return quoted(strings.ReplaceAll(strings.Join(names, " "), "CAP_", "")) }
	tone := func(mark string) screen.Tone {
		if mark != "" {
			return screen.Notice
		}
		return screen.Plain
	}
	s.Fields(
		screen.Field{Label: "effective", Value: list(c.Effective)}, screen.Field{Label: "bounding", Value: list(c.Bounding)},
		screen.Field{Label: "ambient", Value: list(c.Ambient)}, screen.Field{Label: "missing", Value: list(c.Missing)},
	)
	if c.Mark != "" {
		s.Tell(screen.Notice, c.Mark)
	}
	s.Blank()
	label := v.Label.Container
	if label == "" {
		label = "none: this kernel has no security module that labels processes"
	}
	s.Fields(
		screen.Field{Label: "no_new_privs", Value: marked(v.NoNewPrivs.Container, v.NoNewPrivs.Mark).Text, Tone: tone(v.NoNewPrivs.Mark)},
		screen.Field{Label: "label", Value: marked(label, v.Label.Mark).Text, Tone: tone(v.Label.Mark)},
		screen.Field{Label: "seccomp", Value: marked(v.seccompWord(), v.Seccomp.Mark).Text, Tone: tone(v.Seccomp.Mark)},
	)
	v.refusals(s)
}

func (v *View) refusals(s *screen.Screen) {
	c := v.Seccomp
	var fields []screen.Field
	for _, r := range c.Refused {
		fields = append(fields, screen.Field{Label: r.Answer, Value: strings.Join(r.Calls, " ")})
	}
	if len(c.Sometimes) > 0 {
		fields = append(fields, screen.Field{Label: "by arguments", Value: strings.Join(c.Sometimes, " ")})
	}
	if len(fields) > 0 {
		s.Blank()
		s.Fields(fields...)
		s.Blank()
	}
	switch {
	case c.Mode != "filter":
	case c.Source == "kernel":
		s.Tell(screen.Faint, "These answers were worked out from the kernel's own copy of the filters (ptrace PTRACE_SECCOMP_GET_FILTER).")
	default:
		s.Tell(screen.Faint, "These answers are those of the filter that was asked for; the kernel's own could not be read: "+c.Because)
	}
}

func (v *View) groupFields(s *screen.Screen) {
	c := v.Cgroup
	if c.Path == "" {
		s.Say("None: no cgroup2 is mounted here.")
		return
	}
	s.Verbatim(2, c.Path)
	if c.Mark != "" {
		s.Tell(screen.Notice, c.Mark)
	}
	s.Blank()
	v.limitTable(s, true)
	v.lacking(s)
	s.Blank()
	switch {
	case c.OOMs == nil:
		s.Say("Processes killed for want of memory: not counted here.")
	default:
		s.Say("Processes killed for want of memory: %d.", *c.OOMs)
	}
	if c.Frozen {
		s.Say("Frozen: no process of it runs.")
	}
}

func (v *View) networkTables(s *screen.Screen) {
	if v.Network.Shared != "" {
		s.Say("It is in the network namespace of container %s.", v.Network.Shared)
		s.Blank()
	}
	v.interfaceTable(s, true)
	if v.Network.Same {
		return
	}
	s.Blank()
	var rows [][]screen.Cell
	for _, r := range v.Network.Routes {
		rows = append(rows, screen.Row(r.To, quoted(r.Gateway), quoted(r.Device), quoted(r.Source)))
	}
	if len(rows) > 0 {
		s.Table([]string{"ROUTE TO", "VIA", "INTERFACE", "FROM"}, rows)
	}
	v.portTable(s)
}

func (v *View) portTable(s *screen.Screen) {
	var rows [][]screen.Cell
	for _, p := range v.Network.Published {
		listeners := strings.Join(p.Listeners, " ")
		if listeners == "" {
			listeners = "nobody listens yet"
		}
		rows = append(rows, append(screen.Row(p.Host, p.Port), marked(listeners, p.Mark)))
	}
	if len(rows) > 0 {
		s.Blank()
		s.Table([]string{"HOST'S PORT", "LEADS TO", "HEARD AT, INSIDE"}, rows)
	}
}

func (v *View) clockTable(s *screen.Screen) {
	var rows [][]screen.Cell
	for _, c := range v.Clocks {
		rows = append(rows, append(screen.Row(c.Name, c.Host, c.Inside), marked(c.Offset, c.Mark)))
	}
	s.Table([]string{"CLOCK", "HOST", "CONTAINER", "OFFSET"}, rows)
	s.Say("The first process began at %s.", v.Started.Format("2006-01-02 15:04:05"))
}

func (v *View) rlimitTable(s *screen.Screen) {
	rows := [][]screen.Cell{valueRow("oom_score", v.OOMScore), valueRow("oom_score_adj", v.OOMScoreAdj)}
	for _, l := range v.Rlimits {
		host := l.Soft.Host + " / " + l.Hard.Host
		mark := l.Soft.Mark
		if mark == "" {
			mark = l.Hard.Mark
		}
		rows = append(rows, []screen.Cell{{Text: l.Name}, {Text: host}, marked(l.Soft.Container+" / "+l.Hard.Container, mark)})
	}
	s.Table([]string{"LIMIT", "HOST (SOFT / HARD)", "CONTAINER (SOFT / HARD)"}, rows)
}
