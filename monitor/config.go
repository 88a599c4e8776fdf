package monitor

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
	StateFile string   // where State is kept (JSON, atomically replaced)
	LogFile   string   // json-file log: {"log":"line\n","stream":"stdout","time":"..."}; empty: no log
	Tty       bool     // the process has a terminal
	OpenStdin bool     // keep stdin open for attach; otherwise the process reads end-of-file
	StdinOnce bool     // close stdin when the first attached client goes
	Cleanup   []string // command line run as the monitor's last act, unless an attached client took it over; [0] is an absolute path
	Explain   bool     // keep times and write account.json
}
