package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"glassbox/screen"

	"github.com/docker/go-units"
)

// Sections are the parts that can be shown by themselves, in the order of `all`.
func Sections() []string {
	return []string{"processes", "namespaces", "mounts", "users", "rights", "cgroup", "network", "names", "clocks", "limits", "resources"}
}

// All is the section that is all of them.
const All = "all"

// Draw writes one section, or the summary where section is empty. command is how the program is called: "glassbox".
func (v *View) Draw(s *screen.Screen, section, command string) {
	v.title(s)
	switch section {
	case "":
		v.summary(s)
	case All:
		for _, name := range Sections() {
			v.section(s, name)
		}
	default:
		v.section(s, section)
	}
	v.verdict(s)
	v.next(s, section, command)
}

func (v *View) title(s *screen.Screen) {
	if w := v.Waits; w != nil {
		s.Title("Container %s (%s): half made, process %d of the host", v.Name, v.ID[:12], v.Pid)
		s.Tell(screen.Notice, fmt.Sprintf("Process %d steps through its start, which waits before %s.", w.Stepper, w))
	} else {
		began := strings.ToLower(units.HumanDuration(time.Since(v.Started)))
		s.Title("Container %s (%s): %s, process %d of the host, began %s ago", v.Name, v.ID[:12], v.Status, v.Pid, began)
	}
	s.Blank()
}

// shownProcesses is how many the summary lists.
const shownProcesses = 4

func (v *View) summary(s *screen.Screen) {
	v.processTable(s, shownProcesses)
	s.Blank()
	v.sides(s)
	s.Blank()
	v.limitTable(s, false)
	s.Blank()
	v.interfaceTable(s, false)
}

// narrowest is the width below which there is no room for the host's side: only the container's is shown.
const narrowest = 64

func (v *View) processTable(s *screen.Screen, most int) {
	var rows [][]screen.Cell
	var narrow []screen.Field
	for _, p := range v.Processes[:min(most, len(v.Processes))] {
		state := screen.Cell{Text: stateWord(p.State)}
		if p.Zombie {
			state.Tone = screen.Notice
		}
		command := screen.Shown(p.Command)
		if p.Role == "entered" {
			command = "(exec) " + command
		}
		if p.Mark != "" {
			command = p.Mark + ": " + command
		}
		row := append(screen.Row(fmt.Sprint(p.Pid), orNone(p.Inside), id(p.User), id(p.UserIn)), state, screen.Cell{Text: screen.Clip(command, max(s.Width()-58, 20))})
		rows = append(rows, row)
		narrow = append(narrow, screen.Field{Label: fmt.Sprint(p.Pid), Value: fmt.Sprintf("%s inside, user %s inside, %s: %s", orNone(p.Inside), id(p.UserIn), state.Text, command), Tone: state.Tone})
	}
	if s.Width() < narrowest {
		s.Say("Processes, by the host's numbers:")
		s.Fields(narrow...)
	} else {
		s.Table([]string{"HOST'S PID", "PID INSIDE", "HOST'S USER", "INSIDE", "STATE", "COMMAND"}, rows)
	}
	if more := len(v.Processes) - most; more > 0 {
		s.Tell(screen.Faint, fmt.Sprintf("... and %d more; %s in all", more, several(v.zombies(), "zombie")))
	}
	for _, sentence := range v.unreaped() {
		s.Tell(screen.Notice, sentence+".")
	}
}

// unreaped says of each parent how many of its children have ended without its asking.
func (v *View) unreaped() (sentences []string) {
	for _, parent := range v.Processes {
		n := 0
		for _, p := range v.Processes {
			if p.Zombie && p.Parent == parent.Pid {
				n++
			}
		}
		if n > 0 {
			sentences = append(sentences, fmt.Sprintf("%s: process %s inside (%s) has not called wait(2) for what has ended. A PID 1 of --init does", several(n, "zombie"), orNone(parent.Inside), screen.Shown(parent.Name)))
		}
	}
	return sentences
}

func (v *View) zombies() (n int) {
	for _, p := range v.Processes {
		if p.Zombie {
			n++
		}
	}
	return n
}

// sides is what host and container have of the same thing, beside each other.
func (v *View) sides(s *screen.Screen) {
	var rows [][]screen.Cell
	var narrow []screen.Field
	row := func(what, host, container, mark string) {
		cell := marked(screen.Shown(container), mark)
		narrow = append(narrow, screen.Field{Label: strings.TrimSuffix(what, " namespace"), Value: cell.Text, Tone: cell.Tone})
		rows = append(rows, []screen.Cell{{Text: what}, {Text: screen.Shown(host)}, marked(screen.Shown(container), mark)})
	}
	for _, n := range v.Namespaces {
		row(n.Kind+" namespace", fmt.Sprint(n.Host), fmt.Sprintf("%d, %s", n.Container, same(n.Same)), n.Mark)
	}
	row("root", v.Root.Host, v.rootWord(), v.Root.ReadOnly.Mark)
	row("users", "root is root", v.userWord(), v.Users.Mark)
	row("capabilities", fmt.Sprintf("%d known", v.Capabilities.Known), v.capabilityWord(), v.Capabilities.Mark)
	row("seccomp", several(v.Seccomp.Inherited, "filter"), v.seccompWord(), v.Seccomp.Mark)
	row("host name", v.Hostname.Host, v.Hostname.Container, v.Hostname.Mark)
	if v.shifted() {
		for _, c := range v.Clocks {
			row(c.Name+" clock", c.Host, c.Inside, c.Mark)
		}
	}
	if s.Width() < narrowest {
		s.Fields(narrow...)
		return
	}
	s.Table([]string{"WHAT", "HOST", "CONTAINER"}, rows)
}

// marked is a value with its mark behind it.
func marked(text, mark string) screen.Cell {
	if mark == "" {
		return screen.Cell{Text: text}
	}
	return screen.Cell{Text: text + " " + mark, Tone: screen.Notice}
}

func (v *View) shifted() bool {
	return slices.ContainsFunc(v.Clocks, func(c Clock) bool { return c.Offset != "0s" || c.Mark != "" })
}

func (v *View) rootWord() string {
	if v.Root.Same {
		return "the host's, with " + several(len(v.Mounts), "mount")
	}
	writable := "writable"
	if v.Root.ReadOnly.Container == "true" {
		writable = "read-only"
	}
	hidden := 0
	for _, m := range v.Mounts {
		if m.Role == roleMask || m.Role == roleReadOnly {
			hidden++
		}
	}
	return fmt.Sprintf("%s, %s; %s in it, %d of them mask or protect", v.Root.Type, writable, several(len(v.Mounts)-1, "mount"), hidden)
}

func (v *View) userWord() string {
	if v.Users.All {
		return "the host's: root inside is root"
	}
	if len(v.Users.UIDs) == 0 {
		return "no maps: every user is nobody"
	}
	return written(v.Users.UIDs)
}

func (v *View) capabilityWord() string {
	c := v.Capabilities
	if len(c.Missing) == 0 {
		return fmt.Sprintf("all %d", c.Known)
	}
	return fmt.Sprintf("%d now, %d at most; not %s", len(c.Effective), len(c.Bounding), important(c.Missing))
}

// important names first what containers are kept from most.
func important(missing []string) string {
	first := []string{"CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_MODULE"}
	var names []string
	for _, n := range first {
		if slices.Contains(missing, n) {
			names = append(names, n)
		}
	}
	for _, n := range missing {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	const most = 3
	text := strings.ReplaceAll(strings.Join(names[:min(most, len(names))], " "), "CAP_", "")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (v *View) seccompWord() string {
	c := v.Seccomp
	if c.Mode != "filter" {
		return c.Mode + ": no call is refused"
	}
	n := 0
	for _, r := range c.Refused {
		n += len(r.Calls)
	}
	text := fmt.Sprintf("%s: %d of %d calls refused, %d by arguments", several(c.Filters, "filter"), n, c.Calls, len(c.Sometimes))
	if c.Source == "asked" {
		text += " (as asked)"
	}
	return text
}

// limitTable lists the group's files: on the first screen those that bound something, or that somebody has asked for or changed.
func (v *View) limitTable(s *screen.Screen, all bool) {
	c := v.Cgroup
	if c.Path == "" {
		s.Say("No group: no cgroup2 is mounted here.")
		return
	}
	var rows [][]screen.Cell
	var lacking []string
	for _, l := range c.Limits {
		controller, _, _ := strings.Cut(l.File, ".")
		if l.Missing != "" && !slices.Contains(lacking, controller) {
			lacking = append(lacking, controller)
		}
		if all || l.Used != "" || len(l.Asked) > 0 || l.Mark != "" {
			rows = append(rows, limitRow(l))
		}
	}
	s.Table([]string{"LIMIT", "ASKED FOR", "SET IN THE KERNEL", "USED NOW"}, rows)
	if !all && len(lacking) > 0 {
		s.Tell(screen.Faint, "No files here: "+strings.Join(lacking, " ")+" (the section cgroup says why)")
	}
}

func limitRow(l Limit) []screen.Cell {
	var asked []string
	for _, a := range l.Asked {
		asked = append(asked, human(l.File, a))
	}
	set := marked(quoted(human(l.File, l.Set)), l.Mark)
	if l.Missing != "" {
		set = marked("-", l.Mark)
	}
	use := humanUse(l.File, l.Used)
	if use == "" {
		use = "-"
	}
	return append(screen.Row(l.File, quoted(strings.Join(asked, ", "))), set, screen.Cell{Text: use})
}

// lacking says why files are not there, once for each controller.
func (v *View) lacking(s *screen.Screen) {
	var fields []screen.Field
	for _, l := range v.Cgroup.Limits {
		controller, _, _ := strings.Cut(l.File, ".")
		if l.Missing != "" && !slices.ContainsFunc(fields, func(f screen.Field) bool { return f.Label == controller }) {
			fields = append(fields, screen.Field{Label: controller, Value: l.Missing})
		}
	}
	if len(fields) > 0 {
		s.Blank()
		s.Say("Files that are not here:")
		s.Fields(fields...)
	}
}

// interfaceTable lists interfaces; lo is on the first screen only if something is wrong with it.
func (v *View) interfaceTable(s *screen.Screen, all bool) {
	n := v.Network
	if n.Same {
		s.Say("Network: the host's own interfaces, addresses, routes and ports.")
		return
	}
	var rows [][]screen.Cell
	for _, i := range n.Interfaces {
		if i.Kind == "loopback" && i.Mark == "" && !all && len(n.Interfaces) > 1 {
			continue
		}
		end := "none"
		if p := i.Peer; p != nil {
			end = fmt.Sprintf("%s (%s)", p.Name, up(p.Up))
			if p.Master != "" {
				end = fmt.Sprintf("%s (%s) in %s", p.Name, up(p.Up), p.Master)
			}
			if i.sits() {
				end = "sits on " + end
			}
		}
		rows = append(rows, []screen.Cell{
			{Text: screen.Shown(i.Name)}, {Text: quoted(strings.Join(i.Addresses, " "))}, {Text: up(i.Up)}, marked(screen.Shown(end), i.Mark),
		})
	}
	s.Table([]string{"INTERFACE", "ADDRESS", "STATE", "HOST'S END"}, rows)
	var fields []screen.Field
	for _, r := range n.Routes {
		if r.To == "default" && !all {
			fields = append(fields, screen.Field{Label: "default route", Value: screen.Shown(strings.TrimSpace("via " + r.Gateway + " dev " + r.Device))})
		}
	}
	for _, m := range n.Missing {
		fields = append(fields, screen.Field{Label: m.What, Value: "missing " + m.Mark, Tone: screen.Notice})
	}
	s.Fields(fields...)
}

// verdict counts what is not as it was asked for, and names the first of it.
func (v *View) verdict(s *screen.Screen) {
	s.Blank()
	n := len(v.Differences)
	switch {
	case n == 0:
		s.Tell(screen.Good, "All is as it was asked for.")
		return
	case v.Waits != nil:
		s.Tell(screen.Notice, fmt.Sprintf("%s not yet as asked for: the start waits.", several(n, "value")))
		return
	}
	s.Tell(screen.Notice, several(n, "value")+" not as asked for:")
	const most = 4
	for _, d := range v.Differences[:min(n, most)] {
		s.Fields(screen.Field{Label: d.Section + " " + screen.Shown(d.What), Value: screen.Shown(d.Is + " " + d.Mark)})
	}
	if n > most {
		s.Say("... and %d more", n-most)
	}
}

// next is what to look at after this: where something differs, or else the section behind this one.
func (v *View) next(s *screen.Screen, section, command string) {
	at := command + " view " + v.Name
	switch {
	case v.Waits != nil:
		s.Next(at+" --watch", "follows it while the other terminal goes on")
	case len(v.Differences) > 0 && section != v.Differences[0].Section && section != All:
		s.Next(at+" "+v.Differences[0].Section, "what is not as it was asked for, in full")
	case section == "":
		s.Next(at+" "+All, "every part in full")
	case section == All:
		s.Next(command+" layers --live "+v.Name, "what it writes, as it happens")
	default:
		all := Sections()
		i := slices.Index(all, section) + 1
		if i == len(all) {
			s.Next(at+" "+All, "everything")
			return
		}
		s.Next(at+" "+all[i], "the next part")
	}
}
