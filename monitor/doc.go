// Package monitor is the process that stays with one container: it starts it and its execs, reaps, keeps output, remembers the end.
//
// The worked story. The engine calls Spawn, which executes `glassrun monitor` in a session of its own, with one end of a socket
// pair as descriptor 3. While it comes up the engine writes config.json, layers.json and monitor.json into the container's
// state directory, DIR, and names it (Client.For, Client.Create). The monitor takes DIR/lock, listens on DIR/sock, makes the FIFOs for the container's output and has package runtime create the
// container. Client.Create returns. The engine attaches the network, attaches itself if it wants to see the output
// (Client.Attach), and says Client.Start; if it dies before that, the monitor kills the container and takes everything back.
//
// From then on the engine may go. Whoever wants something of the container dials DIR/sock: attach, exec, resize, signal,
// wait. When the container ends, the monitor drains its output into the log and to the attached clients, writes the
// state file, frees the lock, tells those who wait, and runs the cleanup command, unless a client has promised to clean up. Or its restart
// policy wants it to be started again: then it tells those who wait, too, but stays, and does that (restart.go).
//
// A monitor that is killed leaves a running container (fifo.go says how its output survives); the next command that
// finds the lock free and the process alive calls Adopt.
package monitor
