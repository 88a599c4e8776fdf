package engine

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnheard: a signal that PID 1 ignores is no signal that the kernel drops, and some reach it whatever it does.
func TestUnheard(t *testing.T) {
	m := newMachine(t)
	id := m.detached(shell("trap '' TERM; trap : USR1; echo ready; while :; do sleep 1; done"))
	m.waitForLog(id, "ready")
	pid := m.inspect(id).State.Pid
	for sig, want := range map[unix.Signal]string{
		unix.SIGTERM: "PID 1 (sh) ignores SIGTERM", unix.SIGUSR1: "", unix.SIGKILL: "", unix.SIGSTOP: "", unix.SIGCONT: "",
		unix.SIGUSR2: "PID 1 (sh) has no handler for SIGUSR2, so the kernel drops it",
	} {
		if got := unheard(pid, sig); got != want {
			t.Errorf("%v: %q, want %q", sig, got, want)
		}
	}
}
