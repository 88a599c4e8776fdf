// Package load puts glassbox under load: from many shells at once, with a thousand containers, and with a SIGKILL at any of its system
// calls. The machine must be as before afterwards. SOAK (a duration) makes it whole; otherwise it is a sample.
package load

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/test/traces"
	"glassbox/test/world"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: load needs root")
		return
	}
	if os.Getenv(tracerVar) != "" {
		os.Exit(traceMain(os.Args[1:]))
	}
	os.Exit(world.Run(world.BuildGlassbox, func() int {
		traces.Place()
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}))
}

// furnish makes what is there before each test: the image, a network, and what the first container on each makes.
func furnish() error {
	return errors.Join(
		traces.Want(0, "run", "--rm", "tiny", "true"),
		traces.Want(0, "network", "create", "side"),
		traces.Want(0, "volume", "create", "data"),
		traces.Want(0, "run", "--rm", "--network", "side", "-p", "7", "-v", "data:/v", "tiny", "true"))
}

// soak is how long a test may take to be whole; 0: a sample is enough.
func soak() time.Duration {
	length, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		return 0
	}
	return length
}

// account is what there is before a test; the returned function fails the test if anything is different then.
func account(t *testing.T) (settled func()) {
	t.Helper()
	before, err := atRest()
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		left, missing, err := traces.Left(before, 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if len(left)+len(missing) > 0 {
			t.Errorf("left behind:\n  %s\nmissing:\n  %s", strings.Join(left, "\n  "), strings.Join(missing, "\n  "))
		}
	}
}

// atRest is what there is when nobody is at work any more.
func atRest() ([]string, error) {
	last, err := traces.Take()
	for same := 0; err == nil && same < 3; same++ {
		time.Sleep(100 * time.Millisecond)
		var now []string
		if now, err = traces.Take(); !slices.Equal(now, last) {
			last, same = now, -1
		}
	}
	return last, err
}

// lines of what a command said that must succeed.
func lines(t *testing.T, args ...string) []string {
	t.Helper()
	out, code := traces.Glassbox(args...)
	if code != 0 {
		t.Fatalf("glassbox %s: exit %d: %s", strings.Join(args[:min(len(args), 9)], " "), code, out)
	}
	return strings.Fields(out)
}
