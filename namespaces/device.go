package namespaces

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Device is what there is to know of a network interface of the host that a container gets for itself: linux.netDevices.
type Device struct {
	Index     int
	Up        bool
	Addresses []Address
}

// ObserveDevices looks at the interfaces that a config.json wants moved, by their names.
func ObserveDevices(spec *specs.Spec) (map[string]Device, error) {
	if spec.Linux == nil || len(spec.Linux.NetDevices) == 0 {
		return nil, nil
	}
	all := map[string]Device{}
	for name := range spec.Linux.NetDevices {
		l, err := linkNamed(nil, name)
		if err != nil {
			return nil, fmt.Errorf("linux.netDevices[%s]: %w", name, err)
		}
		device := Device{Index: l.index, Up: l.up}
		if device.Addresses, err = addressesOf(nil, l.index); err != nil {
			return nil, fmt.Errorf("linux.netDevices[%s]: reading its addresses: %w", name, err)
		}
		all[name] = device
	}
	return all, nil
}

// within is the name that a device has in the container; for %d the kernel puts in the first number that is free.
func within(name string, d specs.LinuxNetDevice) string {
	if d.Name == "" {
		return name
	}
	return d.Name
}

// checkDevices refuses names that the kernel refuses, and devices for a network namespace that is the host's.
func (s Set) checkDevices(devices map[string]specs.LinuxNetDevice) error {
	for name, d := range devices {
		inside := within(name, d)
		switch {
		case !s.Own(unix.CLONE_NEWNET):
			return errors.New("linux.netDevices: the container shares the host's network namespace: there is nowhere to move them to")
		case !validName(name) || strings.Contains(name, "%"):
			return fmt.Errorf("linux.netDevices: %q is no name of an interface", name)
		case !validName(strings.Replace(inside, "%d", "0", 1)) || strings.Contains(strings.Replace(inside, "%d", "0", 1), "%"):
			return fmt.Errorf("linux.netDevices[%s].name: %q is no name of an interface", name, inside)
		}
	}
	return nil
}

// validName is dev_valid_name of the kernel's net/core/dev.c.
func validName(name string) bool {
	return name != "" && len(name) < unix.IFNAMSIZ && name != "." && name != ".." && !strings.ContainsAny(name, "/: \t\n\v\f\r\xa0")
}

// Move is the host's half of moving the devices to the network namespace of the process pid: each goes there and is renamed, gets its
// addresses back, which the kernel drops on the way, and is brought up. After a failure they come back.
func Move(spec *specs.Spec, devices map[string]Device, pid func() int) []program.Request {
	var out []program.Request
	for _, name := range slices.Sorted(maps.Keys(spec.Linux.NetDevices)) {
		m := &moving{Device: devices[name], name: name, inside: within(name, spec.Linux.NetDevices[name]), pid: pid}
		out = append(out, m.requests()...)
	}
	return out
}

func (m *moving) requests() []program.Request {
	from, enter := fmt.Sprintf("linux.netDevices[%s]", m.name), "nsenter -t <pid> -n "
	out := []program.Request{{
		Call: fmt.Sprintf("ip link set %s netns <pid> name %s", m.name, m.inside), From: from, Why: "the container gets this interface, and the host has it no more", Do: m.there, Undo: m.back,
	}}
	for _, a := range m.Addresses {
		out = append(out, program.Request{
			Call: fmt.Sprintf("%sip addr add %s dev %s", enter, a, m.inside), From: from, Why: "its addresses are lost on the way: give them back", Do: func() error { return a.add(m.ns, m.arrived) },
		})
	}
	return append(out, program.Request{
		Call: fmt.Sprintf("%sip link set %s up", enter, m.inside), From: from, Why: "the container shall send and receive by it", Do: func() error { return raise(m.ns, m.arrived) },
	})
}

// moving is a device on its way. It holds the network namespace: what is in one that goes away is gone with it, if it is no real device.
type moving struct {
	Device
	name    string // on the host
	inside  string // in the container
	pid     func() int
	ns      *os.File
	arrived int // its index there
}

func (m *moving) there() (err error) {
	if m.ns, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", m.pid())); err != nil {
		return err
	}
	template := strings.Contains(m.inside, "%")
	if _, err := linkNamed(m.ns, m.inside); !template && !errors.Is(err, unix.ENODEV) {
		return errors.Join(err, fmt.Errorf("an interface %s is there already: %w", m.inside, unix.EEXIST))
	}
	before, err := links(m.ns)
	if err != nil {
		return err
	}
	if err := send(nil, m.Index, m.ns, m.inside); err != nil {
		return err
	}
	after, err := links(m.ns)
	if err != nil {
		return err
	}
	for _, l := range after {
		if !slices.ContainsFunc(before, func(b link) bool { return b.index == l.index }) && (template || l.name == m.inside) {
			m.arrived = l.index
		}
	}
	if m.arrived == 0 {
		return fmt.Errorf("it arrived under no name like %s", m.inside)
	}
	return nil
}

func (m *moving) back() error {
	defer m.ns.Close()
	home, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	if err := send(m.ns, m.arrived, home, m.name); err != nil {
		return fmt.Errorf("taking the interface %s back: %w", m.name, err)
	}
	l, err := linkNamed(nil, m.name)
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range m.Addresses {
		errs = append(errs, a.add(nil, l.index))
	}
	if m.Up {
		errs = append(errs, raise(nil, l.index))
	}
	return errors.Join(errs...)
}
