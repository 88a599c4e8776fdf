package docker

import (
	"fmt"
	"strings"
)

// Compare returns what is wrong with glassbox's outcome of a step, as a readable difference; empty when nothing is.
func Compare(step Step, docker, glassbox Outcome) string {
	want := docker
	if w := step.Wanted; w != nil {
		want = w.over(docker)
		if same(docker, glassbox) {
			return fmt.Sprintf("the wanted difference is gone (%s): glassbox does as Docker does\n", w.Reason)
		}
	}
	var b strings.Builder
	w := step.Wanted
	difference(&b, "stdout", want.Stdout, glassbox.Stdout, w != nil && w.Stdout != nil)
	difference(&b, "stderr", want.Stderr, glassbox.Stderr, w != nil && w.Stderr != nil)
	if want.Code != glassbox.Code {
		fmt.Fprintf(&b, "exit code: want %d, glassbox %d\n", want.Code, glassbox.Code)
	}
	return b.String()
}

func same(a, b Outcome) bool {
	return a.Stdout == b.Stdout && a.Stderr == b.Stderr && a.Code == b.Code
}

// over is Docker's outcome with the wanted differences put in.
func (w *Wanted) over(o Outcome) Outcome {
	if w.Stdout != nil {
		o.Stdout = *w.Stdout
	}
	if w.Stderr != nil {
		o.Stderr = *w.Stderr
	}
	if w.Code != nil {
		o.Code = *w.Code
	}
	return o
}

// difference compares one stream; "..." is a pattern only in what a session says, for Docker prints it too.
func difference(b *strings.Builder, stream, want, have string, pattern bool) {
	if want == have || pattern && match(lines(want), lines(have)) {
		return
	}
	fmt.Fprintf(b, "%s (- Docker, + glassbox):\n", stream)
	for _, line := range diff(lines(want), lines(have)) {
		fmt.Fprintf(b, "  %s\n", line)
	}
}

// diff is the longest common subsequence with what is not in it marked; of the common lines only the neighbours of marked
// ones are kept.
func diff(a, b []string) []string {
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if length[i][j] = max(length[i+1][j], length[i][j+1]); a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			}
		}
	}
	var all []string
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			all = append(all, "  "+a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && length[i+1][j] >= length[i][j+1]:
			all = append(all, "- "+a[i])
			i++
		default:
			all = append(all, "+ "+b[j])
			j++
		}
	}
	return neighbours(all)
}

func neighbours(all []string) (kept []string) {
	for i, line := range all {
		near := line[0] != ' ' || i > 0 && all[i-1][0] != ' ' || i+1 < len(all) && all[i+1][0] != ' '
		if near {
			kept = append(kept, line)
		} else if len(kept) > 0 && kept[len(kept)-1] != "  (...)" {
			kept = append(kept, "  (...)")
		}
	}
	return kept
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// match compares line by line; "..." stands for any number of lines, and inside a line for any text.
func match(want, have []string) bool {
	if len(want) == 0 {
		return len(have) == 0
	}
	if want[0] == "..." {
		return match(want[1:], have) || len(have) > 0 && match(want, have[1:])
	}
	return len(have) > 0 && matchLine(want[0], have[0]) && match(want[1:], have[1:])
}

func matchLine(want, have string) bool {
	before, after, open := strings.Cut(want, "...")
	if !open {
		return want == have
	}
	if !strings.HasPrefix(have, before) {
		return false
	}
	for rest := have[len(before):]; ; rest = rest[1:] {
		if matchLine(after, rest) {
			return true
		}
		if rest == "" {
			return false
		}
	}
}
