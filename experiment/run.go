package experiment

import (
	"strings"
	"sync"

	"glassbox/program"
)

// Run is what came of one half of an experiment.
type Run struct {
	Output  []string          `json:"output"`          // what the probe wrote, line by line
	Exit    int               `json:"exit"`            // its exit code
	Ended   string            `json:"ended,omitempty"` // that it did not end by itself, or wrote more than is kept
	Host    []string          `json:"host,omitempty"`  // what the host saw afterwards
	Account []program.Account `json:"account"`         // what was asked of the kernel to start the last container

	Containers []string `json:"containers"` // their ids
	Stage      string   `json:"stage"`
}

// alike replaces in a line what is different at each start: ids and numbers of the stage.
func (r *Run) alike(line string) string {
	for _, id := range r.Containers {
		line = strings.ReplaceAll(strings.ReplaceAll(line, id, "<id>"), id[:12], "<id>")
	}
	return strings.ReplaceAll(line, group(r.Stage), "/glassbox-experiment")
}

// most is how much of a probe's output is kept.
const most = 64 << 10

// bounded keeps the beginning of what is written.
type bounded struct {
	mu   sync.Mutex
	text []byte
	lost int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(p), most-len(b.text))
	b.text, b.lost = append(b.text, p[:n]...), b.lost+len(p)-n
	return len(p), nil
}

func (b *bounded) lines() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b.text), "\n"), "\n")
}
