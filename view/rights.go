package view

import (
	"slices"
	"strconv"
	"strings"

	"glassbox/linux"
)

// Capabilities are the sets of the first process, capabilities(7), by name.
type Capabilities struct {
	Effective   []string `json:"effective"` // what it may do now
	Bounding    []string `json:"bounding"`  // what any of its programs can get
	Ambient     []string `json:"ambient"`
	Permitted   []string `json:"permitted"`
	Inheritable []string `json:"inheritable"`
	Missing     []string `json:"missing"` // of all that this kernel knows, what is in neither the effective nor the bounding set
	Known       int      `json:"known"`   // how many this kernel knows
	Mark        string   `json:"mark,omitempty"`
}

func (v *View) rights() error {
	status, err := v.init.status()
	if err != nil {
		return err
	}
	mine, err := v.host.status()
	if err != nil {
		return err
	}
	last, err := v.last()
	if err != nil {
		return err
	}
	c := &v.Capabilities
	c.Known = last + 1
	for label, set := range map[string]*[]string{"CapEff": &c.Effective, "CapBnd": &c.Bounding, "CapAmb": &c.Ambient, "CapPrm": &c.Permitted, "CapInh": &c.Inheritable} {
		*set = capabilities(status[label], last)
	}
	c.Missing = []string{}
	for n := range c.Known {
		if name := capability(n); !slices.Contains(c.Bounding, name) && !slices.Contains(c.Effective, name) {
			c.Missing = append(c.Missing, name)
		}
	}
	v.compareCapabilities()
	asked := v.sight.Spec.Process.NoNewPrivileges
	v.NoNewPrivs = Value{Host: strconv.FormatBool(mine["NoNewPrivs"] == "1"), Container: strconv.FormatBool(status["NoNewPrivs"] == "1"), Asked: strconv.FormatBool(asked)}
	v.compare("rights", "no_new_privs", &v.NoNewPrivs)
	v.label()
	return nil
}

// last is the highest capability that the kernel knows.
func (v *View) last() (int, error) {
	text, err := readFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

func capability(n int) string {
	if name := linux.Capabilities.Of(uint64(n)); name != "" {
		return name
	}
	return "CAP_" + strconv.Itoa(n)
}

// capabilities are those in a mask of /proc/PID/status.
func capabilities(mask string, last int) []string {
	bits, _ := strconv.ParseUint(mask, 16, 64)
	names := []string{}
	for n := range last + 1 {
		if bits&(1<<n) != 0 {
			names = append(names, capability(n))
		}
	}
	return names
}

// compareCapabilities marks sets that are not as they were asked for. A program of root may lay down capabilities by itself; what it never gets back
// is what the bounding set lacks.
func (v *View) compareCapabilities() {
	asked := v.sight.Spec.Process.Capabilities
	if asked == nil {
		return
	}
	c := &v.Capabilities
	effective := asked.Effective
	if v.sight.Spec.Process.User.UID != 0 {
		effective = asked.Ambient // execve(2) leaves others nothing else, capabilities(7)
	}
	var marks []string
	for _, set := range []struct {
		name      string
		is, asked []string
	}{{"bounding", c.Bounding, asked.Bounding}, {"effective", c.Effective, effective}, {"ambient", c.Ambient, asked.Ambient}} {
		more, fewer := without(set.is, set.asked), without(v.known(set.asked), set.is)
		var parts []string
		if len(more) > 0 {
			parts = append(parts, "without "+short(more))
		}
		if len(fewer) > 0 {
			parts = append(parts, "with "+short(fewer))
		}
		if len(parts) > 0 {
			marks = append(marks, v.differs("rights", set.name+" capabilities", strconv.Itoa(len(set.is)), "asked %s", strings.Join(parts, " and ")))
		}
	}
	c.Mark = strings.Join(slices.Compact(marks), "; ")
}

// known are those that this kernel knows.
func (v *View) known(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		n, ok := linux.Capabilities.Value(name)
		return !ok || int(n) >= v.Capabilities.Known
	})
}

func without(all, others []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(others, name) })
}

// short is names without the prefix that all have; of many, the first ones.
func short(names []string) string {
	const most = 3
	var out []string
	for _, n := range names[:min(most, len(names))] {
		out = append(out, strings.TrimPrefix(n, "CAP_"))
	}
	text := strings.Join(out, " ")
	if more := len(names) - most; more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return text
}

// label is what the security module calls the process: AppArmor's profile, or SELinux's context. Without a module there is no such file, or it
// cannot be read.
func (v *View) label() {
	asked := v.sight.Spec.Process.ApparmorProfile
	if asked == "" {
		asked = v.sight.Spec.Process.SelinuxLabel
	}
	v.Label = Value{Host: label(v.host), Container: label(v.init), Asked: asked}
	if asked != "" && v.Label.Container != asked && !strings.HasPrefix(v.Label.Container, asked+" (") {
		v.compare("rights", "label", &v.Label)
	}
}

func label(h *held) string {
	text, err := h.read("attr/apparmor/current")
	if err != nil {
		text, err = h.read("attr/current")
	}
	if err != nil {
		return ""
	}
	return strings.TrimRight(text, "\x00\n")
}
