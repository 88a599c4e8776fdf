package linux

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The names agree with those of x/sys/unix, which come from the kernel's headers.
func TestNumbersHaveTheHeadersNames(t *testing.T) {
	aliases := map[string]string{"ENOTSUP": "EOPNOTSUPP", "EFSCORRUPTED": "EUCLEAN"}
	for n := 1; n < 134; n++ {
		want := unix.ErrnoName(unix.Errno(n))
		if alias := aliases[want]; alias != "" {
			want = alias
		}
		if got := Meaning(n); got.Name != want || want != "" && got.Message == "" {
			t.Errorf("errno %d is %q (%s), not %q", n, got.Name, got.Message, want)
		}
	}
	for n := 1; n < 32; n++ {
		if want := unix.SignalName(unix.Signal(n)); Signal(n) != want {
			t.Errorf("signal %d is %s, not %s", n, Signal(n), want)
		}
	}
	for n := uint64(0); n <= unix.CAP_LAST_CAP; n++ {
		if Capabilities.Of(n) == "" {
			t.Errorf("capability %d has no name", n)
		}
	}
	if Capabilities.Of(unix.CAP_SYS_ADMIN) != "CAP_SYS_ADMIN" || Capabilities.Of(unix.CAP_CHECKPOINT_RESTORE) != "CAP_CHECKPOINT_RESTORE" {
		t.Error("the capabilities are out of step")
	}
}

func TestSets(t *testing.T) {
	n := Names{{1, "A"}, {2, "B"}, {6, "C"}, {4, "D"}}
	zero := Names{{0, "NONE"}, {1, "A"}}
	for _, c := range []struct{ got, want string }{
		{n.Join(0, "?"), "0"}, {n.Join(1, "?"), "A"}, {n.Join(3, "?"), "A|B"}, {n.Join(7, "?"), "A|B|D"}, {n.Join(6, "?"), "B|D"},
		{n.Join(17, "?"), "A|0x10"}, {n.Join(16, "?"), "0x10 /* ? */"}, {n.Join(16, ""), "0x10"},
		{zero.Join(0, "?"), "NONE"}, {zero.Join(1, "?"), "A"},
		{n.Pick(6, "?"), "C"}, {n.Pick(7, "?"), "0x7 /* ? */"}, {n.Pick(0, ""), "0"},
		{Octal(0), "000"}, {Octal(0o22), "022"}, {Octal(0o755), "0755"}, {Octal(0o1), "001"}, {Hex(255), "0xff"},
		{Signal(0), ""}, {Signal(64), "SIGRT_32"}, {Signal(65), ""}, {Meaning(4000).Name, ""},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// No number stands twice in the table: the second would never be found.
func TestCallsAreDistinct(t *testing.T) {
	names := map[uintptr]string{}
	for _, table := range [][]Call{calls[:], legacy[:], ordinary[:], ordinaryLegacy[:]} {
		for _, c := range table {
			if names[c.Number] != "" {
				t.Errorf("%s and %s are both %d", names[c.Number], c.Name, c.Number)
			}
			names[c.Number] = c.Name
		}
	}
}
