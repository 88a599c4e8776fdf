package monitor

import (
	"os"
	"sync"
	"testing"
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
		c, err := Launch("/bin/true", dir)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		c.Close()
	}
}
