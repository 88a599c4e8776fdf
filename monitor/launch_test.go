package monitor

import (
	"os"
	"strings"
	"sync"
	"testing"

	"glassbox/sealed"
)

// Launching leaves nothing to the chance of which descriptors other goroutines close and open meanwhile.
func TestLaunchBesideOthers(t *testing.T) {
	dir := t.TempDir()
	stop := make(chan struct{})
	var others sync.WaitGroup
	defer others.Wait()
	defer close(stop)
	for range 4 {
		others.Go(func() {
			for {
				var open []*os.File
				for range 12 {
					f, err := os.Open("/")
					if err != nil {
						t.Error(err)
						return
					}
					open = append(open, f)
				}
				for _, f := range open {
					f.Close()
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for round := range 500 {
		c, err := spawnFor("/bin/true", dir)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		c.Close()
	}
}

// The error of a start names the reason of this monitor's death, not that of an earlier one, and not the end of a list of goroutines.
func TestLastWords(t *testing.T) {
	dir := t.TempDir()
	if got := lastWords(dir, logSize(dir)); got != "" {
		t.Errorf("without a log: %q", got)
	}
	write := func(text string) {
		f, err := sealed.Log(logPath(dir))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		f.WriteString(text)
	}
	write("glassrun: monitor: an earlier complaint\n")
	c := &Client{}
	c.For(dir)
	if got := lastWords(c.dir, c.said); got != "" {
		t.Errorf("before it said anything: %q", got)
	}
	write("fatal error: out of memory\n\ngoroutine 1 [running]:\n" + strings.Repeat("main.main()\n\t/x.go:1\n", 500))
	if got, want := lastWords(c.dir, c.said), "; it said: fatal error: out of memory"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
