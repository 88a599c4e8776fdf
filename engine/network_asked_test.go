package engine

import (
	"os"
	"slices"
	"strings"
	"testing"

	"glassbox/program"

	dockernetwork "github.com/docker/docker/api/types/network"
)

// asked raises a network as somebody who is asked before each request.
func (h *alone) asked(r *networkRecord, answer func(call string) program.Answer) (told []program.Done) {
	h.t.Helper()
	l := program.Ledger{Step: program.NewStepping(func(s program.Stop) (program.Answer, error) { return answer(s.Next[0].Call), nil })}
	if err := h.Networks.raise(r, &l); err != nil {
		h.t.Fatal(err)
	}
	return l.Account("", "").Host
}

// bare creates a network and takes all away that the kernel has of it.
func (h *alone) bare() *networkRecord {
	h.t.Helper()
	r := h.create("lan", dockernetwork.CreateOptions{})
	h.run("ip link del " + r.Bridge + "; nft delete table inet glassbox; nft delete table bridge glassbox; echo 0 >/proc/sys/net/ipv4/ip_forward")
	if err := os.Remove(r.place.Raised()); err != nil {
		h.t.Fatal(err)
	}
	return r
}

// Who is asked about a network's requests makes those that others make all at once, and nobody waits for the answer: another command that needs the
// same network, at any of the questions, goes ahead, and both find it whole.
func TestRaisingAsksAndHoldsNobodyUp(t *testing.T) {
	h := newAlone(t)
	questions := len(h.raise(h.bare()))
	if questions < 5 {
		t.Fatalf("a network is made by %d requests", questions)
	}
	for at := range questions + 1 { // the last time nobody else comes
		h.open(t.TempDir())
		r, n := h.bare(), 0
		told := h.asked(r, func(string) program.Answer {
			if n == at {
				other, err := Open()
				if err == nil {
					err = other.Networks.raise(r, new(program.Ledger))
				}
				if err != nil {
					t.Fatalf("another command at question %d: %v", at, err)
				}
			}
			n++
			return program.Go
		})
		if n != questions && at >= questions-1 { // before the last one the table, as it was to be, is no longer what is missing
			t.Errorf("another command at question %d: %d questions, and %d requests otherwise", at, n, questions)
		}
		if i := slices.IndexFunc(told, func(d program.Done) bool { return d.Failed }); i >= 0 {
			t.Errorf("another command at question %d: %s failed: %s", at, told[i].Call, told[i].Result)
		}
		if left, err := h.Networks.lacks(r); err != nil || len(left) > 0 || !r.raised() {
			t.Errorf("another command at question %d: afterwards %d requests are lacking, %v", at, len(left), err)
		}
		if out := h.run("nft list set inet glassbox bridges"); !strings.Contains(out, r.Bridge) {
			t.Errorf("another command at question %d: the firewall does not know the bridge: %s", at, out)
		}
	}
}

// What was left out is missing, and asked about the next time.
func TestRaisingLeavesOut(t *testing.T) {
	h := newAlone(t)
	r := h.bare()
	for range 2 {
		told := h.asked(r, func(call string) program.Answer {
			if strings.Contains(call, "ip_forward") {
				return program.Skip
			}
			return program.Go
		})
		i := slices.IndexFunc(told, func(d program.Done) bool { return strings.Contains(d.Call, "ip_forward") })
		if i < 0 || told[i].Result != program.Skipped || told[i].Failed {
			t.Fatalf("told: %+v", told)
		}
		if got := h.run("cat /proc/sys/net/ipv4/ip_forward"); got != "0\n" {
			t.Errorf("ip_forward is %s", got)
		}
	}
	if calls := h.raise(r); len(calls) != 1 || !strings.Contains(calls[0], "ip_forward=1") {
		t.Errorf("the next start asks for %q", calls)
	}
}
