package machines

import "glassbox/test/world"

// StartDocker runs a real Docker on the machine: what tests and benchmarks hold glassbox against.
func (m *Machine) StartDocker(bin string, flags ...string) (*world.Docker, error) {
	return world.Ground{Dir: m.Dir + "/docker", Start: m.Daemon, Output: m.Output}.StartDocker(bin, flags...)
}
