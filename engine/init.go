package engine

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// initPatience is far more than init needs, about three milliseconds.
const initPatience = 2 * time.Second

// awaitInit waits until --init's program can take signals: before that the kernel drops what is sent to PID 1, pid_namespaces(7),
// and a `stop` would take its whole grace period. It cannot begin with its signals blocked instead, since Go unblocks them before
// its handlers are there. When it has started the command, or at a terminal just before that, it ignores SIGTTIN, which /proc shows.
func (r *record) awaitInit() error {
	if !r.withInit() {
		return nil
	}
	s, err := r.again()
	if err != nil {
		return err
	}
	for end := time.Now().Add(initPatience); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(s.Pid) + "/status")
		if err != nil {
			return nil // it has ended
		}
		ignored, err := strconv.ParseUint(statusField(status, "SigIgn"), 16, 64)
		if err != nil || ignored&(1<<(unix.SIGTTIN-1)) != 0 {
			return err
		}
		if state := statusField(status, "State"); state != "" && state[0] == 'Z' {
			return nil
		}
	}
	return nil // it is stuck or stopped, and was started all the same
}
