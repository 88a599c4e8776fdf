package fields

import (
	"testing"

	"glassbox/test/need"
)

func TestMounts(t *testing.T) {
	need.SecondKernel(t)
	check(t, mountsRows)
}

var mountsRows = []row{
	{name: "proc", inside: "probe mountinfo /proc", prints: "/proc proc rw,nosuid,nodev,noexec,relatime [] rw"},
}
