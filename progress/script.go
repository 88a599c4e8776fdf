package progress

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// script is the Dockerfile, of which the lines around a failure are shown.
type script struct {
	name string
	text []byte
}

// show prints the lines that err is about, as BuildKit's client does: two more above and below each, as far as there are.
func (s script) show(w io.Writer, err error) {
	var located *parser.LocationError
	if err == nil || !errors.As(err, &located) || len(s.text) == 0 {
		return
	}
	lines := strings.Split(string(s.text), "\n")
	for _, ranges := range located.Locations {
		marked := marks(ranges)
		if len(marked) == 0 || marked[0] < 1 || marked[0] > len(lines) {
			continue
		}
		first, last := around(marked[0], min(marked[len(marked)-1], len(lines)), len(lines))
		fmt.Fprintf(w, "%s:%d\n--------------------\n", s.name, marked[0])
		for i := first; i <= last; i++ {
			sign := "   "
			if slices.Contains(marked, i) {
				sign = ">>>"
			}
			fmt.Fprintf(w, " %3d | %s %s\n", i, sign, lines[i-1])
		}
		fmt.Fprintln(w, "--------------------")
	}
}

// marks are the lines in ranges, sorted.
func marks(ranges []parser.Range) (all []int) {
	for _, r := range ranges {
		for i := r.Start.Line; i <= max(r.Start.Line, r.End.Line); i++ {
			all = append(all, i)
		}
	}
	slices.Sort(all)
	return all
}

// around widens first..last by about four lines, or two where there are several already, as BuildKit counts them.
func around(first, last, of int) (int, int) {
	pad := 2
	if first == last {
		pad = 4
	}
	for p := 0; p < pad; p++ {
		if first > 1 {
			first--
			p++
		}
		if last != of {
			last++
			p++
		}
	}
	return first, last
}
