package monitor

import (
	"time"

	"glassbox/event"

	"glassbox/logfile"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// The container's state directory (below /run/glassbox, gone after a reboot) holds what the monitor is given and what
// it offers:
//
//	config.json   the OCI spec                            written by the engine
//	layers.json   rootfs.Layers, if the root is an overlay  written by the engine
//	monitor.json  Config                                  written by the engine
//	monitor.log   what the monitor itself had to complain about
//	sock          the monitor's socket
//	lock          flock held by the living monitor; whoever can take it knows that the monitor is dead
//	stdin stdout stderr   FIFOs, owned by the container's user
//	account.json  []program.Account of the start, when Config.Explain
//
// State is written to Config.StateFile, which is on disk and survives a reboot.

// Config is what the engine tells the monitor.
type Config struct {
	ID        string
	StateFile string            // where State is kept (JSON, atomically replaced)
	Log       logfile.Config    // what becomes of the output
	Health    *Health           // nil: none
	Tty       bool              // the process has a terminal
	OpenStdin bool              // keep stdin open for attach; otherwise the process reads end-of-file
	StdinOnce bool              // close stdin when the first attached client goes
	Cleanup   []string          // command line run as the monitor's last act, unless an attached client took it over; [0] is an absolute path
	Explain   bool              // keep times and write account.json
	Step      bool              // the client that starts the container is asked before each call of the start
	Without   string            // the mechanism that an experiment leaves out, runtime.Options.Without
	Tied      bool              // the process is killed when the client goes that started it
	Stopped   string            // a file that exists once a user has sent the container a signal, and holds something if that ends its restarts
	Replug    []string          // command line that, with the process's number added, plugs the network of a further start in; see restart.go
	Donors    map[string]string // whose namespaces it joins: their state files, by the namespace's type in config.json

	// The rest is read again from monitor.json, which the engine replaces (store.Write), each time that it is needed.

	Restart  Restart
	Actor    map[string]string // attributes of the container's events: image, name, and its labels
	Events   string            // the journal, event.Journal; empty: none
	Arriving []event.Event     // told before the start, of volumes and networks that the container gets
	Parting  []event.Event     // told before the end, of those that it had
}

// What Config.Stopped can hold, beside nothing.
const (
	ForGood  = "for good" // the signal was one that ends restarts
	Shutdown = "shutdown" // it was sent because the machine is shut down: it ends restarts, and is not what a user wants of the container
)

// Restart is when the container is started again after it has ended.
type Restart struct {
	Policy string // empty or "no", "on-failure", "always", "unless-stopped"
	Max    int    // how often at most with on-failure; 0: as often as it fails
}

// Wants says whether a container that has ended shall run again: code is its exit code, restarts is how often it was started again since
// somebody started it, stopped says whether a user has sent it a signal since. Those are moby's rules (restartmanager.ShouldRestart).
func (r Restart) Wants(code, restarts int, stopped bool) bool {
	switch r.Policy {
	case Always:
		return true
	case UnlessStopped:
		return !stopped
	case OnFailure:
		return code != 0 && (r.Max == 0 || restarts < r.Max)
	}
	return false
}

// The words of Restart.Policy.
const (
	OnFailure     = "on-failure"
	Always        = "always"
	UnlessStopped = "unless-stopped"
)

// Health is a check that the monitor runs in the container: HEALTHCHECK of its image, --health-cmd.
type Health struct {
	Process       specs.Process // what is executed
	Interval      time.Duration // from the start of the container, or the end of one check, to the start of the next
	Timeout       time.Duration // after which a check is killed, and has failed
	StartPeriod   time.Duration // in which failures do not count, until one has succeeded
	StartInterval time.Duration // instead of Interval in the start period, until one has succeeded
	Retries       int           // failures in a row that make it unhealthy
	File          string        // where HealthState is kept
}
