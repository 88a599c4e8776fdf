package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// table is the result: Markdown, for the README.
type table struct {
	load string // what else the machine was doing
	rows []string
}

func newTable() (*table, error) {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil, err
	}
	return &table{load: strings.Fields(string(load))[0]}, nil
}

func (t *table) add(what, ours, theirs, result, goal string, reached bool) {
	verdict := "reached"
	if !reached {
		verdict = "**missed**"
	}
	if goal == "" {
		verdict = ""
	}
	t.rows = append(t.rows, fmt.Sprintf("| %s | %s | %s | %s | %s | %s |", what, ours, theirs, result, goal, verdict))
}

// compare adds a row for the ratio of two medians; limit 0 sets no goal.
func (t *table) compare(what string, ours, theirs *runner, limit float64, goal string) {
	ratio := float64(ours.median()) / float64(theirs.median())
	t.add(what+" / "+theirs.name, spread(ours), spread(theirs), fmt.Sprintf("%.2f", ratio), goal, ratio <= limit)
}

// memory adds a row for what a command had at most; what it does shall not need more, however large the image.
func (t *table) memory(what string, r *runner) {
	t.add("memory while "+what, fmt.Sprintf("%.0f MiB", mebibytes(r.most)), "", "", "< 150 MB", r.most*1024 < 150e6)
}

func spread(r *runner) string { return milliseconds(r.median()) + " (" + milliseconds(r.least()) + ")" }

func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 100 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func (t *table) String() string {
	var u unix.Utsname
	unix.Uname(&u)
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s, Linux %s, %d CPUs, load average %s before the start, %d rounds; median (least).\n\n",
		time.Now().Format("2006-01-02"), unix.ByteSliceToString(u.Release[:]), runtime.NumCPU(), t.load, *rounds)
	b.WriteString("| what | glassbox | the other | ratio | goal | |\n|---|---|---|---|---|---|\n")
	for _, row := range t.rows {
		b.WriteString(row + "\n")
	}
	return b.String()
}

const beginMark, endMark = "<!-- benchmark: make bench -->\n", "<!-- end of benchmark -->"

// write replaces what stands between the marks of a file.
func (t *table) write(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), beginMark)
	_, after, closed := strings.Cut(rest, endMark)
	if !found || !closed {
		return fmt.Errorf("%s has no benchmark marks", path)
	}
	return os.WriteFile(path, []byte(before+beginMark+t.String()+endMark+after), 0o644)
}
