package experiment

import (
	"regexp"
	"slices"
	"strings"

	"glassbox/program"
)

// same finds what two lists have in common: for each entry, whether it belongs to a longest common subsequence.
func same(a, b []string) (inA, inB []bool) {
	inA, inB = make([]bool, len(a)), make([]bool, len(b))
	head, tail := 0, 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		inA[head], inB[head] = true, true
		head++
	}
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
		inA[len(a)-tail], inB[len(b)-tail] = true, true
	}
	middleA, middleB := a[head:len(a)-tail], b[head:len(b)-tail]
	if len(middleA)*len(middleB) > mostPairs {
		return inA, inB // nobody reads so many lines to find the few that are alike
	}
	subsequence(middleA, middleB, inA[head:], inB[head:])
	return inA, inB
}

// mostPairs bounds the work and the memory that a comparison takes.
const mostPairs = 1 << 22

// subsequence marks a longest common one.
func subsequence(a, b []string, inA, inB []bool) {
	longest := make([][]int, len(a)+1)
	for i := range longest {
		longest[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			if a[i] == b[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			}
		}
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			inA[i], inB[j] = true, true
			i, j = i+1, j+1
		case longest[i+1][j] >= longest[i][j+1]:
			i++
		default:
			j++
		}
	}
}

// Line is a line of output, and whether the other run has it too.
type Line struct {
	Text    string `json:"text"`
	Differs bool   `json:"differs,omitempty"`
}

// lines marks what differs between two runs.
func lines(a, b *Run, of func(*Run) []string) (inA, inB []Line) {
	alike := func(r *Run) []string {
		list := slices.Clone(of(r))
		for i := range list {
			list[i] = r.alike(list[i])
		}
		return list
	}
	marksA, marksB := same(alike(a), alike(b))
	return marked(of(a), marksA), marked(of(b), marksB)
}

func marked(texts []string, common []bool) []Line {
	list := make([]Line, len(texts))
	for i, t := range texts {
		list[i] = Line{t, !common[i]}
	}
	return list
}

// Change is a request that one start makes and the other does not, or otherwise.
type Change struct {
	Kind  string   `json:"kind"` // gone, instead, changed
	Call  string   `json:"call"` // of the whole start, or the one that takes its place
	Why   string   `json:"why"`
	Gone  []string `json:"gone,omitempty"`    // of a changed request: words of its arguments that are left out
	Added []string `json:"instead,omitempty"` // and those that stand in their place
	Times int      `json:"times,omitempty"`   // how often, if more than once: descriptors' numbers aside
}

// changes compares two starts. Requests are told apart by the call, the first name in it, and why it is made; their numbers are those of descriptors, which are others
// as soon as one is not opened.
func changes(whole, less *Run) []Change {
	a, b := requests(whole), requests(less)
	inA, inB := same(keys(whole, a), keys(less, b))
	var list []Change
	j := 0
	instead := func() { // what the second start asks for before the next request that both have
		for ; j < len(b) && !inB[j]; j++ {
			list = append(list, Change{Kind: "instead", Call: less.alike(b[j].Call), Why: less.alike(b[j].Why)})
		}
	}
	for i := range a {
		if !inA[i] {
			list = append(list, Change{Kind: "gone", Call: whole.alike(a[i].Call), Why: whole.alike(a[i].Why)})
			continue
		}
		instead()
		if c, is := changed(whole.alike(a[i].Call), less.alike(b[j].Call)); is {
			c.Why = whole.alike(a[i].Why)
			list = append(list, c)
		}
		j++
	}
	instead()
	return list
}

// gathered counts what is asked for several times.
func gathered(list []Change) []Change {
	numbers := regexp.MustCompile(`\b[0-9]+\b`)
	seen := map[string]int{}
	var short []Change
	for _, c := range list {
		key := c.Kind + numbers.ReplaceAllString(c.Call, "N") + strings.Join(c.Gone, " ") + strings.Join(c.Added, " ")
		if at, is := seen[key]; is {
			short[at].Times = max(short[at].Times, 1) + 1
			continue
		}
		seen[key] = len(short)
		short = append(short, c)
	}
	return short
}

// essential says whether a change is of one of the calls by which a mechanism is known: "clone3 CLONE_NEWPID", "write uid_map".
func (c Change) essential(calls []string) bool {
	name, _, _ := strings.Cut(c.Call, "(")
	return slices.ContainsFunc(calls, func(call string) bool {
		words := strings.FieldsFunc(call, func(r rune) bool { return r == ' ' || r == '|' })
		return words[0] == name && !slices.ContainsFunc(words[1:], func(w string) bool {
			return !strings.Contains(c.Call, w) && !slices.Contains(c.Gone, w)
		})
	})
}

// requests are those of a start, the host's and the process's, without the questions at its gates.
func requests(r *Run) []program.Done {
	var list []program.Done
	for _, a := range r.Account {
		list = append(list, a.Host...)
		for _, d := range a.Child {
			if d.Gate == "" {
				list = append(list, d)
			}
		}
	}
	return list
}

func keys(r *Run, list []program.Done) []string {
	keys := make([]string, len(list))
	for i, d := range list {
		name, rest, _ := strings.Cut(r.alike(d.Call), "(")
		_, rest, _ = strings.Cut(rest, `"`)
		path, _, _ := strings.Cut(rest, `"`)
		keys[i] = name + " " + path + " " + r.alike(d.Why)
	}
	return keys
}

// changed says which words of a request's arguments are others, numbers aside.
func changed(a, b string) (Change, bool) {
	words := regexp.MustCompile(`<[a-z]+>|[A-Z_a-z][A-Z_a-z0-9./-]*|0x[0-9a-f]{3,}`)
	in, out := words.FindAllString(a, -1), words.FindAllString(b, -1)
	name, _, _ := strings.Cut(a, "(")
	c := Change{Kind: "changed", Call: name, Gone: without(in, out), Added: without(out, in)}
	return c, len(c.Gone)+len(c.Added) > 0
}

func without(list, others []string) []string {
	var rest []string
	for _, w := range list {
		if !slices.Contains(others, w) && !slices.Contains(rest, w) {
			rest = append(rest, w)
		}
	}
	return rest
}
