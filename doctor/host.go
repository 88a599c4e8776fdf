package doctor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"glassbox/engine"
	"glassbox/namespaces"

	"golang.org/x/sys/unix"
)

// Machine says which one was examined.
type Machine struct {
	Hostname     string    `json:"hostname"`
	Kernel       string    `json:"kernel"`
	Architecture string    `json:"architecture"`
	System       string    `json:"system,omitempty"` // os-release(5)
	Glassbox     string    `json:"glassbox"`
	User         int       `json:"user"`
	Date         time.Time `json:"date"`
}

func observe() Machine {
	var u unix.Utsname
	m := Machine{Glassbox: engine.Version, User: os.Geteuid(), Date: time.Now().UTC().Truncate(time.Second)}
	if unix.Uname(&u) == nil {
		m.Hostname, m.Kernel, m.Architecture = unix.ByteSliceToString(u.Nodename[:]), unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:])
	}
	for line := range strings.Lines(text("/etc/os-release")) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			m.System = strings.Trim(v, `"'`)
		}
	}
	return m
}

func machineProbes() []probe {
	return []probe{
		{"machine", "clock", "registries' certificates are refused outside of their time, builds compare times of files", "", tryClock},
		{"machine", "virtual", "in a VM of one's own nothing can be broken; in a container, others hold part of what we need", "", tryVirtual},
		{"machine", "kvm", "a VM inside this machine is quick only with it", "", tryKVM},
	}
}

func stateProbes() []probe {
	return []probe{{"state", "leftovers", "what killed commands leave is found by system check", "", tryState}}
}

// young is the year of this program's sources: a clock before it is wrong.
const young = 2026

func tryClock(*machine) finding {
	now := time.Now().UTC()
	found := now.Format("2006-01-02 15:04:05 UTC")
	const fix = "set the clock: timedatectl set-ntp true, or date -s"
	if st, err := os.Stat("/proc/self/exe"); err == nil && st.ModTime().After(now.Add(24*time.Hour)) {
		return fail(found+": earlier than when glassbox was written to disk", fix)
	}
	if now.Year() < young || now.Year() > young+20 {
		return fail(found+" cannot be right", fix)
	}
	return pass(found + ", by " + text("/sys/devices/system/clocksource/clocksource0/current_clocksource"))
}

// tryVirtual tells what surrounds us, innermost first.
func tryVirtual(*machine) finding {
	var in []string
	release := strings.ToLower(text("/proc/sys/kernel/osrelease"))
	if strings.Contains(release, "microsoft") {
		in = append(in, "WSL")
	}
	if name := container(); name != "" {
		in = append(in, name)
	}
	if vendor := strings.TrimSpace(text("/sys/class/dmi/id/sys_vendor") + " " + text("/sys/class/dmi/id/product_name")); hypervised() || strings.Contains(vendor, "QEMU") {
		in = append(in, strings.TrimSpace("a virtual machine "+vendor))
	}
	switch {
	case namespaces.Nested():
		return warn(strings.Join(append(in, "a user namespace"), ", "), "glassbox works here with less: no devices, no ids but those that are mapped").
			because("root is root in some respects only, user_namespaces(7)")
	case len(in) == 0:
		return pass("a machine, as far as it can be told")
	}
	return pass(strings.Join(in, ", "))
}

// container is what runs us in a container, as it says itself.
func container() string {
	for line := range strings.SplitSeq(text("/proc/1/environ"), "\x00") {
		if v, ok := strings.CutPrefix(line, "container="); ok {
			return "a container (" + v + ")"
		}
	}
	for _, f := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(f); err == nil {
			return "a container (" + f + ")"
		}
	}
	return ""
}

func hypervised() bool {
	for line := range strings.Lines(text("/proc/cpuinfo")) {
		if strings.HasPrefix(line, "flags") {
			return slices.Contains(strings.Fields(line), "hypervisor")
		}
	}
	return false
}

func tryKVM(*machine) finding {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	switch {
	case err == nil:
		f.Close()
		return pass("/dev/kvm can be opened")
	case errors.Is(err, os.ErrNotExist):
		return pass("no /dev/kvm: VMs inside this machine are emulated")
	}
	return pass("/dev/kvm: " + named(err))
}

// tryState asks system check, which only looks.
func tryState(*machine) finding {
	e, err := engine.Open()
	if err != nil {
		return fail(named(err), asRoot)
	}
	found, err := e.System.Check(false)
	switch {
	case err != nil:
		return warn(named(err), asRoot)
	case len(found) == 0:
		return pass("nothing is left over, nothing is wrong")
	}
	var first []string
	for _, f := range found[:min(3, len(found))] {
		first = append(first, f.Object+": "+f.Wrong)
	}
	return warn(fmt.Sprintf("%s: %s", count(len(found), "finding", "findings"), strings.Join(first, "; ")), "glassbox system check")
}
