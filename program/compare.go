package program

import (
	"fmt"
	"slices"
	"strings"
)

// Difference is where an account and a trace of the same calls disagree.
type Difference struct {
	Number int    // of the step, counted from 1, among those of the account
	Told   string // what the account says; empty: the kernel was asked what nobody told
	Seen   string // what strace saw; empty: the kernel was not asked
	Line   int    // of the trace; 0 where Seen is empty
}

func (d Difference) String() string {
	switch {
	case d.Told == "":
		return fmt.Sprintf("before step %d: not in the account, but on line %d of the trace:\n  seen %s", d.Number, d.Line, d.Seen)
	case d.Seen == "":
		return fmt.Sprintf("step %d: in the account, but not seen:\n  told %s", d.Number, d.Told)
	}
	return fmt.Sprintf("step %d differs from line %d of the trace:\n  told %s\n  seen %s", d.Number, d.Line, d.Told, d.Seen)
}

// Disagreement is an account that strace does not confirm.
type Disagreement []Difference

func (d Disagreement) Error() string {
	const shown = 10
	var w strings.Builder
	fmt.Fprintf(&w, "the account and the trace disagree in %d places", len(d))
	for i, one := range d {
		if i == shown {
			fmt.Fprintf(&w, "\nand %d more", len(d)-shown)
			break
		}
		w.WriteString("\n")
		w.WriteString(one.String())
	}
	return w.String()
}

// Compare holds the steps that an account tells against the calls of the child that strace saw (Child). Whole lines must agree,
// arguments, results and errnos, in the same order and number. Only addresses, told as "<memory>", and the number of the
// process that clone3 made may differ. The error is a Disagreement.
func Compare(told []Done, seen []Traced) error {
	if n := len(seen); n > 0 && len(told) > 0 && told[len(told)-1].Failed && strings.HasPrefix(seen[n-1].Call, "exit_group(") {
		seen = seen[:n-1] // not a step: how the interpreter ends after one that failed
	}
	return align(made(told), seen, confirms)
}

// made leaves out what was skipped: nobody asked the kernel for it.
func made(told []Done) []Done {
	return slices.DeleteFunc(slices.Clone(told), func(d Done) bool { return d.Result == Skipped })
}

// align walks both lists and, where they part, looks ahead for the nearest place where they meet again.
func align(told []Done, seen []Traced, same func(Done, Traced) bool) error {
	var d Disagreement
	i, j := 0, 0
	for i < len(told) || j < len(seen) {
		if i < len(told) && j < len(seen) && same(told[i], seen[j]) {
			i, j = i+1, j+1
			continue
		}
		skipTold, skipSeen := meet(told[i:], seen[j:], same)
		for ; skipTold > 0 && skipSeen > 0; skipTold, skipSeen = skipTold-1, skipSeen-1 {
			d = append(d, Difference{i + 1, line(told[i]), seen[j].String(), seen[j].Line})
			i, j = i+1, j+1
		}
		for ; skipTold > 0; skipTold-- {
			d = append(d, Difference{Number: i + 1, Told: line(told[i])})
			i++
		}
		for ; skipSeen > 0; skipSeen-- {
			d = append(d, Difference{Number: i + 1, Seen: seen[j].String(), Line: seen[j].Line})
			j++
		}
	}
	if d == nil {
		return nil
	}
	return d
}

// meet finds how many entries of each list must be passed over, fewest first, until the next ones agree.
func meet(told []Done, seen []Traced, same func(Done, Traced) bool) (skipTold, skipSeen int) {
	for sum := 1; sum < len(told)+len(seen); sum++ {
		for a := max(0, sum-len(seen)+1); a <= sum && a < len(told); a++ {
			if same(told[a], seen[sum-a]) {
				return a, sum - a
			}
		}
	}
	return len(told), len(seen)
}

func line(d Done) string { return d.Call + " = " + d.Result }

// confirms reports whether strace saw the step as it is told.
func confirms(d Done, t Traced) bool {
	told, seen := line(d), t.String()
	if strings.HasPrefix(d.Call, "clone3(") && !failed(d.Result) && !failed(t.Result) {
		told, seen = d.Call, t.Call
	}
	return matches(told, seen)
}

// matches compares text in which "<memory>" stands for an address and another name in angle brackets for a descriptor.
func matches(told, seen string) bool {
	if told == seen {
		return true
	}
	before, after, ok := strings.Cut(told, "<")
	rest, same := strings.CutPrefix(seen, before)
	if !ok || !same {
		return false
	}
	if rest, same := strings.CutPrefix(rest, "<"); same {
		return matches(after, rest)
	}
	name, after, _ := strings.Cut(after, ">")
	if name == "memory" {
		number, same := strings.CutPrefix(rest, "0x")
		return same && matches(after, strings.TrimLeft(number, "0123456789abcdef"))
	}
	number := strings.TrimLeft(rest, "0123456789")
	return number != rest && matches(after, number)
}
