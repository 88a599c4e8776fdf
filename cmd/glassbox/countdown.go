package main

import (
	"fmt"
	"io"
	"time"
)

// countdown shows on a terminal, in a line that is written over each second, how far away SIGKILL is, until stop is called: then the line is empty
// again.
func countdown(w io.Writer, grace time.Duration) (stop func()) {
	over, gone := make(chan struct{}), make(chan struct{})
	end := time.Now().Add(grace)
	go func() {
		defer close(gone)
		defer fmt.Fprint(w, "\r\x1b[K")
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			fmt.Fprintf(w, "\r\x1b[KSIGKILL in %d s ", max(0, int(time.Until(end).Round(time.Second)/time.Second)))
			select {
			case <-over:
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		close(over)
		<-gone
	}
}
